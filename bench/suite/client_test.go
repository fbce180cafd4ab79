package suite

import (
	"slices"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/bench/report"
)

// A herd that renewed twice, or not at all, would be measured as well.
func TestHerdOfGoroutinesRenewsOnce(t *testing.T) {
	e := &Env{Settings: Settings{Rounds: 1}, Progress: t.Logf}
	herds, err := e.goroutineHerds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range slices.Concat(herds[clientHerd], herds[sharedHerd]) {
		if h.Renewals != 1 || h.Renewal < roundTrip || h.Max < h.P99 || h.Max < h.Renewal {
			t.Errorf("%+v", h)
		}
	}
	if len(herds[clientHerd]) != 2 || len(herds[sharedHerd]) != 2 || len(herds[channelHerd]) != 2 {
		t.Errorf("%+v", herds)
	}
}

func TestTransportsOfTheRaceWork(t *testing.T) {
	var f clientFixture
	e := &Env{Settings: Settings{Rounds: 2, Duration: time.Millisecond}, Progress: t.Logf}
	var sec report.Section
	rounds, err := e.race(t.Context(), &sec, &f.failed, contender{ourTransport, f.ours}, contender{oauth2Transport, f.oauth2})
	if err != nil {
		t.Fatal(err)
	}
	rows := rounds.rows(oauth2Transport, ourTransport, oauth2Transport)
	if len(rows) != 2 || rows[1][2] != report.Ratio(1) || rounds.last(ourTransport).AllocsPerOp == 0 {
		t.Errorf("%v", rows)
	}
}

func TestChangesReport(t *testing.T) {
	many := func(d time.Duration) []time.Duration {
		out := make([]time.Duration, 1000)
		for i := range out {
			out[i] = d
		}
		out[7] = time.Second // less than a hundredth
		return out
	}
	var sec report.Section
	e := &Env{Settings: Settings{Streams: 1000}}
	writeChanges(e, &sec, 20, changeTimes{many(time.Millisecond), many(2 * time.Millisecond), many(3 * time.Millisecond)})
	if len(sec.Targets) != 2 || !sec.Targets[0].Met || !sec.Targets[1].Met {
		t.Errorf("%+v", sec.Targets)
	}
	if row := sec.Tables[0].Rows[2]; row[2] != "3.00" || row[3] != "1000.0" || len(row) != len(sec.Tables[0].Header) {
		t.Errorf("%v", row)
	}
	writeChanges(e, &sec, 20, changeTimes{many(time.Millisecond), many(250 * time.Millisecond), many(time.Minute)})
	if sec.Targets[0].Met || sec.Targets[1].Met {
		t.Errorf("%+v", sec.Targets)
	}
}
