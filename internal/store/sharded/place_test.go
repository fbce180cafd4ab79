package sharded

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/rotation"
)

// drawID is an id as the service makes them, of version 7.
func drawID(t *rapid.T, label string) (id rotation.SessionID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), len(id), len(id)).Draw(t, label))
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

// TestIdsCarryTheirShard: what is stamped is read, ids of version 7 are in the
// home, and stamping keeps the order of time, the variant and 62 random bits.
func TestIdsCarryTheirShard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawID(t, "a"), drawID(t, "b")
		if shardOf(a) != postgres.HomeShard {
			t.Fatalf("%v, as it is without shards, is said to be in shard %d", a, shardOf(a))
		}
		n, m := rapid.IntRange(0, postgres.MaxShard).Draw(t, "n"), rapid.IntRange(0, postgres.MaxShard).Draw(t, "m")
		x, y := stamp(a, n), stamp(b, m)
		if shardOf(x) != n || shardOf(y) != m {
			t.Fatalf("%v and %v are in the shards %d and %d, want %d and %d", x, y, shardOf(x), shardOf(y), n, m)
		}
		if x[8] != a[8] || !bytes.Equal(x[9:], a[9:]) || !bytes.Equal(x[:6], a[:6]) {
			t.Fatalf("%v became %v", a, x)
		}
		if order := bytes.Compare(a[:6], b[:6]); order != 0 && order != bytes.Compare(x[:], y[:]) {
			t.Fatalf("%v and %v are not in the order of %v and %v", x, y, a, b)
		}
		if again, err := rotation.ParseSessionID(x.String()); err != nil || again != x {
			t.Fatalf("%v is not a good id: %v", x, err)
		}
	})
}

// TestPlacesAreForGood: the order in which shards are named does not matter; one
// that is added takes over users and moves none among the others; one that is
// left out leaves only its own.
func TestPlacesAreForGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := rapid.SliceOfNDistinct(rapid.IntRange(0, postgres.MaxShard), 2, 12, rapid.ID[int]).Draw(t, "shards")
		user := rapid.String().Draw(t, "user")
		at := placed(user, shards)
		other := slices.Clone(shards)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		if got := placed(user, other); got != at || !slices.Contains(shards, at) {
			t.Fatalf("placed in %d and in %d of %v", at, got, shards)
		}
		added := rapid.IntRange(0, postgres.MaxShard).Filter(func(n int) bool { return !slices.Contains(shards, n) }).Draw(t, "added")
		if got := placed(user, append(other, added)); got != at && got != added {
			t.Fatalf("adding %d moved the user from %d to %d", added, at, got)
		}
		gone := rapid.SampledFrom(shards).Draw(t, "gone")
		left := slices.DeleteFunc(slices.Clone(shards), func(n int) bool { return n == gone })
		if got := placed(user, left); gone != at && got != at {
			t.Fatalf("without %d the user moved from %d to %d", gone, at, got)
		}
	})
}

// TestTheSpreadIsEven by a chi-square test at 1 in 10,000, for names of every kind.
// Nothing here is random: it passes or fails for good.
func TestTheSpreadIsEven(t *testing.T) {
	// Quantiles of the chi-square distribution, by degrees of freedom.
	quantile := map[int]float64{1: 15.14, 2: 18.42, 4: 23.51, 15: 44.26, 63: 113.5}
	const users = 20_000
	kinds := map[string]func(i int) string{
		"counted":   func(i int) string { return fmt.Sprint("user-", i) },
		"uuid":      func(i int) string { return rotation.SessionID{1, 14: byte(i >> 8), 15: byte(i)}.String() },
		"addresses": func(i int) string { return fmt.Sprintf("%c%c%d@example.com", 'a'+i%26, 'a'+i/26%26, i) },
	}
	for kind, user := range kinds {
		for df, limit := range quantile {
			shards := make([]int, df+1)
			for i := range shards {
				shards[i] = i
			}
			count := make([]float64, len(shards))
			for i := range users {
				count[placed(user(i), shards)]++
			}
			expected, chi := float64(users)/float64(len(shards)), 0.0
			for _, n := range count {
				chi += (n - expected) * (n - expected) / expected
			}
			if chi > limit {
				t.Errorf("%s over %d shards: chi-square %.1f, over %.1f: %v", kind, len(shards), chi, limit, count)
			}
		}
	}
}
