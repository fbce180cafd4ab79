package rotation_test

import (
	"math"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// TestDecisionTable is the table of PROTOCOL.md, row by row.
func TestDecisionTable(t *testing.T) {
	const overlap, idle, absolute = 10 * time.Second, time.Hour, 24 * time.Hour
	p := rotation.Policy{Overlap: overlap, Idle: idle, Absolute: absolute}
	head := rotation.Head{Generation: 7, Tag: tag(70), Parent: tag(60)}
	tok := func(g uint32, own, parent uint8) rotation.Token {
		return rotation.Token{Generation: g, Tag: tag(own), Parent: tag(parent)}
	}
	for _, c := range []struct {
		name  string
		tok   rotation.Token
		after time.Duration // after HeadAt
		want  rotation.Outcome
	}{
		{"the head", tok(7, 70, 60), 0, rotation.Retried},
		{"the head, much later", tok(7, 70, 60), idle - 1, rotation.Retried},
		{"the head's tag in another generation", tok(5, 70, 40), 0, rotation.Reused},
		{"a child", tok(8, 80, 70), 0, rotation.Advanced},
		{"a child, much later", tok(8, 80, 70), idle - 1, rotation.Advanced},
		{"a child of a sibling", tok(8, 80, 71), 0, rotation.Reused},
		{"two generations on", tok(9, 90, 81), 0, rotation.CaughtUp},
		{"many generations on", tok(math.MaxUint32, 90, 81), 0, rotation.CaughtUp},
		{"the parent, at once", tok(6, 60, 50), 0, rotation.Overlapped},
		{"the parent, just in time", tok(6, 60, 50), overlap - 1, rotation.Overlapped},
		{"the parent, too late", tok(6, 60, 50), overlap, rotation.Reused},
		{"a sibling, just in time", tok(7, 71, 60), overlap - 1, rotation.Overlapped},
		{"a sibling, too late", tok(7, 71, 60), overlap, rotation.Reused},
		{"a sibling, clock set back", tok(7, 71, 60), -time.Hour, rotation.Overlapped},
		{"an uncle", tok(6, 61, 50), 0, rotation.Reused},
		{"a grandparent", tok(5, 50, 40), 0, rotation.Reused},
		{"a cousin", tok(7, 71, 61), 0, rotation.Reused},
		{"the first token", tok(1, 10, 1), 0, rotation.Reused},
		{"the head, idle lifetime over", tok(7, 70, 60), idle, rotation.Expired},
		{"a stolen parent, idle lifetime over", tok(6, 60, 50), idle, rotation.Expired},
	} {
		s := rotation.State{Head: head, HeadAt: epoch, CreatedAt: epoch}
		if got := rotation.Decide(s, c.tok, p, epoch.Add(c.after)).Outcome; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		o                      rotation.Outcome
		name                   string
		granted, mints, writes bool
	}{
		{rotation.Ended, "ended", false, false, false},
		{rotation.Expired, "expired", false, false, false},
		{rotation.Retried, "retried", true, true, false},
		{rotation.Advanced, "advanced", true, true, true},
		{rotation.CaughtUp, "caught_up", true, true, true},
		{rotation.Overlapped, "overlapped", true, false, false},
		{rotation.Reused, "reuse_detected", false, false, false},
		{rotation.Reused + 1, "unknown", false, false, false},
	} {
		if c.o.String() != c.name || c.o.Granted() != c.granted || c.o.Mints() != c.mints || c.o.Moves() != c.writes {
			t.Errorf("%d: %v granted %v mints %v moves %v", c.o, c.o, c.o.Granted(), c.o.Mints(), c.o.Moves())
		}
	}
}

// TestGenerationsDoNotWrap: after 2^32-1 renewals there is no next generation.
// Nothing wraps: what looks like a child of the last head is refused.
func TestGenerationsDoNotWrap(t *testing.T) {
	last := rotation.Head{Generation: math.MaxUint32, Tag: tag(2), Parent: tag(1)}
	s := rotation.State{Head: last, HeadAt: epoch, CreatedAt: epoch}
	child := rotation.Child(rotation.SessionID{}, last, tag(3))
	if got := rotation.Decide(s, child, rotation.Policy{}, epoch).Outcome; got != rotation.Reused {
		t.Errorf("generation %d after %d: %v", child.Generation, last.Generation, got)
	}
	if g, ok := rotation.Expect(child, rotation.Policy{}, epoch); ok {
		t.Errorf("a condition for a token of generation 0: %v", g)
	}
	first := rotation.State{Head: rotation.Root(tag(2)), HeadAt: epoch, CreatedAt: epoch}
	parent := rotation.Token{Generation: math.MaxUint32, Tag: rotation.Tag{}, Parent: tag(1)}
	if got := rotation.Decide(first, parent, rotation.Policy{Overlap: time.Hour}, epoch).Outcome; got != rotation.CaughtUp {
		t.Errorf("the last generation presented to the first head: %v", got)
	}
}

// TestLifetimes: idle counts from HeadAt, absolute from CreatedAt, whichever
// comes first; both end at their first instant.
func TestLifetimes(t *testing.T) {
	s := rotation.State{HeadAt: epoch.Add(time.Hour), CreatedAt: epoch}
	for _, c := range []struct {
		idle, absolute, want time.Duration
	}{
		{0, 0, 0},
		{time.Hour, 0, 2 * time.Hour},
		{0, 3 * time.Hour, 3 * time.Hour},
		{time.Hour, 3 * time.Hour, 2 * time.Hour},
		{5 * time.Hour, 3 * time.Hour, 3 * time.Hour},
	} {
		p := rotation.Policy{Idle: c.idle, Absolute: c.absolute}
		at := p.ExpiresAt(s)
		if c.want == 0 {
			if !at.IsZero() || p.Expired(s, epoch.Add(1000*time.Hour)) {
				t.Errorf("%+v expires at %v", p, at)
			}
			continue
		}
		if end := epoch.Add(c.want); !at.Equal(end) || p.Expired(s, end.Add(-1)) || !p.Expired(s, end) {
			t.Errorf("%+v expires at %v, want %v", p, at, end)
		}
	}
}
