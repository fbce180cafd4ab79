package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// faulty is a small world in which everything goes wrong that may, all the time.
func faulty(seed uint64) scenario {
	s := scenario{
		seed: seed, length: 3 * day, nodes: 1 + int(seed%3), browsers: 36,
		access: 15 * time.Minute, idle: 2 * day, absolute: 4 * day, overlap: 10 * time.Second,
		poll: time.Second, gap: 2 * time.Minute, skew: 200 * time.Millisecond,
		lostRequests: 0.02, lostAnswers: 0.03, repeats: 0.05, stalls: 0.05,
		life: 20 * time.Second, flush: 30 * time.Second,
		lostNotices: 0.2, storeSpikes: 0.01, storeCuts: 0.005,
		signOuts: 0.03, holidays: 0.05,
		kills: 3 * time.Hour, outages: 5 * time.Hour, slowness: 4 * time.Hour, failovers: 4 * time.Hour, restores: 30 * time.Hour,
		crashes: 20 * time.Minute, tunnels: 10 * time.Minute,
		thefts: 2 * time.Hour, grants: time.Hour, ends: 3 * time.Hour, rotations: 20 * time.Hour, probes: 2 * time.Hour,
	}
	return s
}

func report(t *testing.T, w *world) {
	t.Helper()
	if len(w.oracle.violations) > 0 {
		t.Errorf("seed %d: %s\n%s\nagain with: SIM_SEED=%d go test ./internal/sim -run TestSeed", w.seed, w.oracle.violations[0], w.oracle.story, w.seed)
	}
}

func TestSeed(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("SIM_SEED"), 10, 64)
	if err != nil {
		t.Skip("SIM_SEED says which")
	}
	w := play(t, faulty(seed))
	report(t, w)
	t.Logf("%+v hash %x", w.count, w.hash.Sum64())
}

func TestSameSeedSameHistory(t *testing.T) {
	seen := map[uint64]uint64{}
	for seed := range uint64(3) {
		a, b := play(t, faulty(seed)), play(t, faulty(seed))
		report(t, a)
		if a.hash.Sum64() != b.hash.Sum64() {
			t.Errorf("seed %d: two histories\n%s", seed, difference(a, b))
		}
		if other, ok := seen[a.hash.Sum64()]; ok {
			t.Errorf("seeds %d and %d have one history", seed, other)
		}
		seen[a.hash.Sum64()] = seed
		t.Logf("%+v", a.count)
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
