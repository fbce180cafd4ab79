package sim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

var update = flag.Bool("update", false, "write testdata/capacity.txt anew (some minutes)")

const (
	capacityFile = "testdata/capacity.txt"
	window       = 15 * time.Minute
)

// meter counts what people ask of the server, by windows of time.
type meter struct {
	windows []usage
	habits  [3]struct{ people, presented int }
	tokens  map[rotation.Tag]struct{} // that were presented
}

type usage struct {
	presented, writes int
	active            map[rotation.SessionID]struct{}
}

func (w *world) usage() *usage {
	i := int(w.since() / window)
	for len(w.meter.windows) <= i {
		w.meter.windows = append(w.meter.windows, usage{active: map[rotation.SessionID]struct{}{}})
	}
	return &w.meter.windows[i]
}

// presented counts one presentation of a refresh token.
func (w *world) presented(t rotation.Token) {
	if w.meter == nil {
		return
	}
	u := w.usage()
	u.presented++
	u.active[t.Session] = struct{}{}
	w.meter.tokens[t.Tag] = struct{}{}
	var i int
	_, _ = fmt.Sscanf(w.oracle.sessions[t.Session].who, "b%d", &i)
	w.meter.habits[w.browsers[i].habit].presented++
}

// column is one column of the table.
type column struct {
	name   string
	kind   kind
	access time.Duration
}

var columns = []column{
	{"SDK 15m", sdk, 15 * time.Minute},
	{"SDK 5m", sdk, 5 * time.Minute},
	{"SDK 60m", sdk, time.Hour},
	{"others 15m", interceptor, 15 * time.Minute},
}

// row is one figure; wide ones vary more from sample to sample.
type row struct {
	name  string
	wide  bool
	value float64
}

// measure lets so many people live for a week without accidents, but with a network
// that loses one message in five hundred.
func (c column) measure(t *testing.T, people int) []row {
	s := scenario{
		seed: 7, length: 7 * day, cluster: 1, people: people, kinds: []kind{c.kind}, offices: 0.3,
		access: c.access, idle: 14 * day, absolute: 90 * day, overlap: 10 * time.Second,
		poll: time.Hour, gap: min(2*time.Minute, c.access/4), apiSkipped: 1,
		lostRequests: 0.001, lostAnswers: 0.001, stalls: 0.002, life: 20 * time.Second, flush: 30 * time.Second,
		signOuts: 0.005, measured: true,
	}
	w := play(t, s)
	report(t, w)
	m := w.meter
	for _, b := range w.browsers {
		m.habits[b.habit].people++
	}
	var presented, writes, weekday, peak, active, most, hours int
	for i, u := range m.windows {
		presented, writes = presented+u.presented, writes+u.writes
		if time.Duration(i)*window < 5*day {
			weekday += u.presented
		}
		peak, most = max(peak, u.presented), max(most, len(u.active))
		active += len(u.active)
		hours++
	}
	n, days := float64(people), 7.0
	mean := float64(presented) / n / days
	each := func(h habit) float64 { return float64(m.habits[h].presented) / float64(m.habits[h].people) / days }
	second := window.Seconds()
	return []row{
		{"presentations a session and day, mean of the week", false, mean},
		{"  on a weekday", false, float64(weekday) / n / 5},
		{"  of those who work with it", false, each(office)},
		{"  of those who visit now and then", false, each(casual)},
		{"  of those who glance at it", false, each(phone)},
		{"writes a session and day", false, float64(writes) / n / days},
		{"writes a token that was presented", false, float64(writes) / float64(len(m.tokens))},
		{"writes a presentation", false, float64(writes) / float64(presented)},
		{"sign-ins a session and day", true, float64(w.count.signIns-people) / n / days},
		{"events a session and day", true, float64(w.count.ends) / n / days},
		{"presentations/s of a million sessions, mean", false, mean * 1e6 / 86400},
		{"  in the busiest quarter of an hour", true, float64(peak) / n * 1e6 / second},
		{"  busiest to mean", true, float64(peak) / second / (mean * n / 86400)},
		{"sessions that renew within a quarter of an hour, mean %", false, 100 * float64(active) / float64(hours) / n},
		{"  in the busiest %", true, 100 * float64(most) / n},
	}
}

// TestCapacity holds the committed table against this program.
func TestCapacity(t *testing.T) {
	if *update {
		const people = 1000
		var b strings.Builder
		fmt.Fprintf(&b, "# What sessions ask of a server, measured in internal/sim with %d people for one week each:\n"+
			"# 30 %% work with the application all day, 35 %% visit it one to three times a day, 35 %% glance at it\n"+
			"# three to eight times; all in one time zone, which is the worst case. One session each.\n"+
			"# \"SDK\" is @tacet/browser with one to four tabs, \"others\" are tabs without a lock that renew each\n"+
			"# for itself; beside it the access lifetime. Made by: go test ./internal/sim -run Capacity -update\n", people)
		fmt.Fprintf(&b, "%-58s", "")
		var table [][]row
		for _, c := range columns {
			fmt.Fprintf(&b, " %11s", c.name)
			table = append(table, c.measure(t, people))
		}
		for i := range table[0] {
			fmt.Fprintf(&b, "\n%-58s", table[0][i].name)
			for _, col := range table {
				fmt.Fprintf(&b, " %11.4g", col[i].value)
			}
		}
		if err := os.WriteFile(capacityFile, []byte(b.String()+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(capacityFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range columns[0].measure(t, 80) {
		committed, ok := find(string(data), r.name)
		if !ok {
			t.Errorf("%s has no line %q: run go test ./internal/sim -run Capacity -update", capacityFile, r.name)
			continue
		}
		tolerance := 0.12
		if r.wide {
			tolerance = 0.5 // of a small sample
		}
		t.Logf("%-58s %8.4g, committed %8.4g", r.name, r.value, committed)
		if r.value < committed*(1-tolerance) || r.value > committed*(1+tolerance) {
			t.Errorf("%q is %.4g in a small sample, but %.4g in %s: if that is right, run go test ./internal/sim -run Capacity -update", r.name, r.value, committed, capacityFile)
		}
	}
}

// find returns the first figure in the line of that name.
func find(table, name string) (v float64, ok bool) {
	for line := range strings.Lines(table) {
		if rest, found := strings.CutPrefix(line, fmt.Sprintf("%-58s ", name)); found {
			_, err := fmt.Sscan(rest, &v)
			return v, err == nil
		}
	}
	return 0, false
}
