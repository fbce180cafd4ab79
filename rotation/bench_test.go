package rotation_test

import (
	"testing"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

func BenchmarkSeal(b *testing.B) {
	k := testKey(1)
	b.ReportAllocs()
	for b.Loop() {
		rotation.Seal(k, sample)
	}
}

func BenchmarkOpen(b *testing.B) {
	k := testKey(1)
	keys := func(rotation.KeyID) (rotation.Key, bool) { return k, true }
	s := rotation.Seal(k, sample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rotation.Open(keys, s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenForged is what a flood of forged tokens costs.
func BenchmarkOpenForged(b *testing.B) {
	keys := ring(testKey(1))
	s := rotation.Seal(testKey(2), sample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rotation.Open(keys, s); err == nil {
			b.Fatal("opened")
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	s := rotation.State{Head: rotation.Head{Generation: 7, Tag: tag(2), Parent: tag(1)}, HeadAt: epoch, CreatedAt: epoch}
	child := rotation.Child(rotation.SessionID{}, s.Head, tag(3))
	p := rotation.Policy{Overlap: 10 * time.Second, Idle: 14 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour}
	b.ReportAllocs()
	for b.Loop() {
		if rotation.Decide(s, child, p, epoch).Outcome != rotation.Advanced {
			b.Fatal("not advanced")
		}
	}
}

// TestDecideDoesNotAllocate, because it is on the path of every renewal.
func TestDecideDoesNotAllocate(t *testing.T) {
	s := rotation.State{Head: rotation.Root(tag(1)), HeadAt: epoch, CreatedAt: epoch}
	child := rotation.Child(rotation.SessionID{}, s.Head, tag(2))
	p := rotation.Policy{Overlap: time.Second, Idle: time.Hour, Absolute: time.Hour}
	if n := testing.AllocsPerRun(100, func() {
		rotation.Decide(s, child, p, epoch)
		if g, ok := rotation.Expect(child, p, epoch); !ok || !g.Holds(s) {
			t.Error("the condition does not hold")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
