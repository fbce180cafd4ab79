package sim

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// faulty is a small world in which everything goes wrong that may, all the time.
func faulty(seed uint64) scenario {
	s := scenario{
		seed: seed, length: 2 * day, cluster: 1 + int(seed%3), people: 36, kinds: everybody,
		access: 15 * time.Minute, idle: day, absolute: 3 * day, overlap: 10 * time.Second,
		poll: 2 * time.Second, gap: 2 * time.Minute, skew: 200 * time.Millisecond,
		lostRequests: 0.02, lostAnswers: 0.03, repeats: 0.05, stalls: 0.05,
		life: 20 * time.Second, flush: 30 * time.Second,
		lostNotices: 0.2, storeSpikes: 0.01, storeCuts: 0.005,
		signOuts: 0.03, holidays: 0.05, offices: 0.5,
		kills: 3 * time.Hour, outages: 5 * time.Hour, slowness: 4 * time.Hour, failovers: 4 * time.Hour, restores: 30 * time.Hour,
		crashes: 20 * time.Minute, tunnels: 10 * time.Minute,
		thefts: 2 * time.Hour, grants: time.Hour, ends: 3 * time.Hour, rotations: 8 * time.Hour, probes: 2 * time.Hour, forgets: 0.1, apiSkipped: 0.5,
	}
	if seed%4 == 3 { // clocks are far apart; a page that is reloaded at once may then be out of luck
		s.skew, s.kinds = 20*time.Second, slices.DeleteFunc(slices.Clone(everybody), func(k kind) bool { return k == reloader })
	}
	if seed%2 == 1 { // most sessions come to their ends
		s.idle, s.absolute = 18*time.Hour, 30*time.Hour
	}
	return s
}

// hard is faulty in a hurry: a good day in which access tokens live for three
// minutes, so that more happens in less.
func hard(seed uint64) scenario {
	s := faulty(seed)
	s.length, s.people, s.apiSkipped = 30*time.Hour, 20, 0
	s.access, s.idle, s.absolute = 3*time.Minute, 8*time.Hour, 14*time.Hour
	s.gap, s.offices = time.Minute, 0.6
	s.life, s.flush = 20*time.Second, 20*time.Second
	s.thefts, s.grants, s.ends, s.rotations, s.probes = 40*time.Minute, 20*time.Minute, time.Hour, 5*time.Hour, 40*time.Minute
	return s
}

// season is ten days of a thousand browsers: a quarter of a million session-hours.
func season(seed uint64) scenario {
	s := faulty(seed)
	s.length, s.people, s.cluster = 250*time.Hour, 1000, 3
	if seed%2 == 0 {
		s.idle, s.absolute = 6*day, 90*day
	} else {
		s.idle, s.absolute = 2*day, 5*day
	}
	s.skew, s.kinds, s.rotations = 200*time.Millisecond, everybody, 20*time.Hour
	s.gap, s.offices, s.apiSkipped, s.poll = 5*time.Minute, 0.25, 0.9, 5*time.Second
	s.crashes, s.tunnels, s.thefts, s.ends = time.Minute, time.Minute, 15*time.Minute, 30*time.Minute
	s.kills, s.outages, s.slowness, s.failovers, s.restores = 6*time.Hour, 10*time.Hour, 8*time.Hour, 8*time.Hour, 60*time.Hour
	return s
}

// hours is how long sessions have been alive in a world, all together.
func (w *world) hours() float64 { return w.oracle.lived().Hours() }

// setting is a number from the environment.
func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func report(t *testing.T, w *world) {
	t.Helper()
	if len(w.oracle.violations) > 0 {
		t.Errorf("seed %d: %s\n%s\nagain with: SIM_SEED=%d go test ./internal/sim -run '^%s$'", w.seed, w.oracle.violations[0], w.oracle.story, w.seed, t.Name())
	}
}

// TestFaults plays worlds in which everything goes wrong. SIM_SEED plays one of
// them, SIM_SEEDS that many.
func TestFaults(t *testing.T) {
	first, n := uint64(setting("SIM_SEED", 0)), setting("SIM_SEEDS", 2)
	if os.Getenv("SIM_SEED") != "" {
		n = 1
	}
	var seen proof
	for seed := first; seed < first+uint64(n); seed++ {
		w := play(t, faulty(seed))
		report(t, w)
		seen.add(t, w)
	}
	if n > 1 { // one that is played again is there for its story
		seen.enough(t)
	}
}

// TestMillion plays as many session-hours as SIM_HOURS says.
func TestMillion(t *testing.T) {
	want := float64(setting("SIM_HOURS", 0))
	if want == 0 {
		t.Skip("make test-sim: a million session-hours")
	}
	var seen proof
	began, total := time.Now(), 0.0
	for seed := uint64(setting("SIM_SEED", 1)); total < want && !t.Failed(); seed++ {
		w := play(t, season(seed))
		report(t, w)
		seen.add(t, w)
		total += w.hours()
	}
	seen.enough(t)
	took := time.Since(began)
	t.Logf("%.0f session-hours in %v, %.0f per second", total, took.Round(time.Second), total/took.Seconds())
}

// proof is what several worlds have seen together: how much is in one of them is a
// matter of its seed.
type proof struct{ worlds, moves, caught, probed, rotations, accepted int }

func (p *proof) add(t *testing.T, w *world) {
	t.Helper()
	c := w.count
	t.Logf("seed %d: %.0f session-hours, %d sessions, %d decisions %v, %d writes; %d copies used, %d sessions revoked for it; "+
		"%d access tokens accepted, %d refused; %d ended, %d probes of lifetimes, %d changes of the key ring; history %x",
		w.seed, w.hours(), c.signIns, c.outcomes, c.byOutcome[:7], c.moves, c.thefts, c.caught, c.accepted, c.refused, c.ends, c.probed, c.rotations, w.hash.Sum64())
	p.worlds++
	p.moves += c.moves
	p.caught += c.caught
	p.probed += c.probed
	p.rotations += c.rotations
	p.accepted += c.accepted
}

// enough fails if it was too little, on average, to prove anything.
func (p *proof) enough(t *testing.T) {
	t.Helper()
	if n := p.worlds; p.moves < n || p.caught < n || p.probed < n || p.rotations < 2*n || p.accepted < n {
		t.Errorf("too little has happened: %+v", *p)
	}
}

// TestSameSeedSameHistory is what makes a seed worth anything.
func TestSameSeedSameHistory(t *testing.T) {
	short := func(seed uint64) *world {
		s := hard(seed)
		s.length, s.people = 14*time.Hour, 12
		return play(t, s)
	}
	a, b, other := short(3), short(3), short(4)
	if a.hash.Sum64() != b.hash.Sum64() {
		t.Errorf("one seed, two histories: %s", difference(a, b))
	}
	if a.hash.Sum64() == other.hash.Sum64() {
		t.Error("two seeds, one history")
	}
	if len(a.lines) < 500 {
		t.Errorf("only %d things have happened", len(a.lines))
	}
}

func difference(a, b *world) string {
	for i := range min(len(a.lines), len(b.lines)) {
		if a.lines[i] != b.lines[i] {
			return fmt.Sprintf("line %d: %v / %v", i, a.lines[i], b.lines[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(a.lines), len(b.lines))
}
