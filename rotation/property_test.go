package rotation_test

import (
	"math"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"pgregory.net/rapid"
)

// memory is the dumb implementation: a server that keeps every token it ever
// minted and every presentation that moved the session on, and decides by
// looking things up instead of comparing generations and tags.
type memory struct {
	parent    map[rotation.Token]rotation.Token // of every token ever minted
	root      rotation.Token                    // stands for the sign-in
	heads     []rotation.Token                  // in the order in which they became head
	headAt    time.Time
	createdAt time.Time
	ended     bool
}

func (m *memory) head() rotation.Token { return m.heads[len(m.heads)-1] }

func (m *memory) age(t rotation.Token) (n int) {
	for ; t != m.root; n++ {
		t = m.parent[t]
	}
	return n
}

// decide says what the table of PROTOCOL.md says, in its words.
func (m *memory) decide(t rotation.Token, p rotation.Policy, now time.Time) rotation.Outcome {
	head := m.head()
	slow := now.Before(m.headAt.Add(p.Overlap))
	switch {
	case m.ended:
		return rotation.Ended
	case p.Idle > 0 && !now.Before(m.headAt.Add(p.Idle)), p.Absolute > 0 && !now.Before(m.createdAt.Add(p.Absolute)):
		return rotation.Expired
	case t == head:
		return rotation.Retried
	case m.parent[t] == head:
		return rotation.Advanced
	case m.age(t) >= m.age(head)+2:
		return rotation.CaughtUp
	case slow && head != m.root && (t == m.parent[head] || m.parent[t] == m.parent[head]):
		return rotation.Overlapped
	}
	return rotation.Reused
}

// sideBySide is both implementations side by side.
type sideBySide struct {
	id     rotation.SessionID
	state  rotation.State
	older  []rotation.State // what the real store may fall back to
	lost   []int            // how many heads the memory had then
	memory memory
	minted []rotation.Token
	tags   uint64
	now    time.Time
	policy rotation.Policy
}

func (s *sideBySide) nextTag() rotation.Tag {
	s.tags++
	return rotation.Tag{0xff, byte(s.tags >> 16), byte(s.tags >> 8), byte(s.tags)}
}

func newSideBySide(p rotation.Policy) *sideBySide {
	s := &sideBySide{id: rotation.SessionID{1}, now: epoch, policy: p}
	head := rotation.Root(s.nextTag())
	s.state = rotation.State{Head: head, HeadAt: epoch, CreatedAt: epoch}
	s.memory = memory{
		parent: map[rotation.Token]rotation.Token{}, createdAt: epoch, headAt: epoch,
		root: rotation.Token{Session: s.id, Tag: head.Tag},
	}
	s.memory.heads = []rotation.Token{s.memory.root}
	s.mint()
	return s
}

func (s *sideBySide) mint() {
	child := rotation.Child(s.id, s.state.Head, s.nextTag())
	s.memory.parent[child] = s.memory.head()
	s.minted = append(s.minted, child)
}

func (s *sideBySide) present(t *rapid.T, tok rotation.Token) {
	want := s.memory.decide(tok, s.policy, s.now)
	got := rotation.Decide(s.state, tok, s.policy, s.now)
	if got.Outcome != want {
		t.Fatalf("token %v at %v: Decide says %v, the memory %v", tok, s.state, got.Outcome, want)
	}
	condition, ok := rotation.Expect(tok, s.policy, s.now)
	if fast := ok && condition.Holds(s.state); fast != (want == rotation.Advanced) {
		t.Fatalf("token %v at %v: Expect holds: %v, outcome %v", tok, s.state, fast, want)
	}
	if got.Outcome.Moves() {
		if !s.state.Condition().Holds(s.state) {
			t.Fatalf("the condition of %v does not hold on it", s.state)
		}
		s.older, s.lost = append(s.older, s.state), append(s.lost, len(s.memory.heads))
		s.state.Head, s.state.HeadAt = got.Head, s.now
		s.memory.heads, s.memory.headAt = append(s.memory.heads, tok), s.now
	} else if got.Head != s.state.Head {
		t.Fatalf("%v moved the head", got.Outcome)
	}
	if got.Outcome.Mints() {
		s.mint()
	}
}

func (s *sideBySide) forget(n int) {
	at := len(s.older) - n
	s.state = s.older[at]
	s.memory.heads, s.memory.headAt, s.memory.ended = s.memory.heads[:s.lost[at]], s.state.HeadAt, s.state.Ended
	s.older, s.lost = s.older[:at], s.lost[:at]
}

var policies = rapid.Custom(func(t *rapid.T) rotation.Policy {
	d := func(name string, of ...time.Duration) time.Duration { return rapid.SampledFrom(of).Draw(t, name) }
	return rotation.Policy{
		Overlap:  d("overlap", 0, time.Second, 10*time.Second, time.Hour),
		Idle:     d("idle", 0, time.Hour, 14*24*time.Hour),
		Absolute: d("absolute", 0, 2*time.Hour, 90*24*time.Hour),
	}
})

// TestDecideAgreesWithMemory presents any token that was ever minted, at any
// time (also backwards), under policies that change, to a store that forgets.
func TestDecideAgreesWithMemory(t *testing.T) {
	seen := map[rotation.Outcome]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := newSideBySide(policies.Draw(t, "policy"))
		t.Repeat(map[string]func(*rapid.T){
			"present": func(t *rapid.T) {
				// Newer tokens more often: that is where the table has most rows.
				back := rapid.IntRange(0, min(len(s.minted)-1, rapid.SampledFrom([]int{2, 6, 1 << 20}).Draw(t, "reach"))).Draw(t, "back")
				tok := s.minted[len(s.minted)-1-back]
				seen[rotation.Decide(s.state, tok, s.policy, s.now).Outcome]++
				s.present(t, tok)
			},
			"wait": func(t *rapid.T) {
				s.now = s.now.Add(rapid.SampledFrom([]time.Duration{
					1, time.Second - 1, time.Second, 10 * time.Second, 59 * time.Minute, time.Hour, -time.Minute, -time.Nanosecond,
				}).Draw(t, "for"))
			},
			"forget": func(t *rapid.T) {
				if len(s.older) > 0 {
					s.forget(rapid.IntRange(1, len(s.older)).Draw(t, "writes"))
				}
			},
			"policy": func(t *rapid.T) { s.policy = policies.Draw(t, "policy") },
			"end": func(t *rapid.T) {
				ended := rapid.IntRange(0, 20).Draw(t, "die") == 0
				s.state.Ended, s.memory.ended = ended, ended
			},
		})
	})
	for o := rotation.Ended; o <= rotation.Reused; o++ {
		if seen[o] == 0 {
			t.Errorf("no presentation came out as %v: the test does not reach it", o)
		}
	}
	t.Log(seen)
}

// anyState and anyToken are not limited to what a server could have written or
// minted: they collide often, at every edge of the generations.
var (
	anyGeneration = rapid.SampledFrom([]uint32{0, 1, 2, 3, 7, math.MaxUint32 - 2, math.MaxUint32 - 1, math.MaxUint32})
	anyTag        = rapid.Custom(func(t *rapid.T) rotation.Tag { return rotation.Tag{rapid.ByteRange(0, 2).Draw(t, "tag")} })
	anyMoment     = rapid.Custom(func(t *rapid.T) time.Time {
		return epoch.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "half hours")) * 30 * time.Minute)
	})
	anyState = rapid.Custom(func(t *rapid.T) rotation.State {
		return rotation.State{
			Head:      rotation.Head{Generation: anyGeneration.Draw(t, "generation"), Tag: anyTag.Draw(t, "head"), Parent: anyTag.Draw(t, "parent")},
			HeadAt:    anyMoment.Draw(t, "head at"),
			CreatedAt: anyMoment.Draw(t, "created at"),
			Ended:     rapid.IntRange(0, 9).Draw(t, "ended") == 0,
		}
	})
	anyToken = rapid.Custom(func(t *rapid.T) rotation.Token {
		return rotation.Token{Generation: anyGeneration.Draw(t, "generation"), Tag: anyTag.Draw(t, "tag"), Parent: anyTag.Draw(t, "parent")}
	})
)

// TestExpectIsAdvanced: the condition holds on exactly the states on which Decide
// says Advanced, so a store may take the short way.
func TestExpectIsAdvanced(t *testing.T) {
	var advanced int
	rapid.Check(t, func(t *rapid.T) {
		s, tok, now := anyState.Draw(t, "state"), anyToken.Draw(t, "token"), anyMoment.Draw(t, "now")
		p := policies.Draw(t, "policy")
		d := rotation.Decide(s, tok, p, now)
		g, ok := rotation.Expect(tok, p, now)
		if short := ok && g.Holds(s); short != (d.Outcome == rotation.Advanced) {
			t.Fatalf("condition holds: %v, outcome: %v", short, d.Outcome)
		}
		if d.Outcome == rotation.Advanced {
			advanced++
		}
	})
	// The same on a state that was made to fit, so that the other half is seen often.
	rapid.Check(t, func(t *rapid.T) {
		s, now, p := anyState.Draw(t, "state"), anyMoment.Draw(t, "now"), policies.Draw(t, "policy")
		tok := rotation.Child(rotation.SessionID{}, s.Head, rotation.Tag{9})
		d := rotation.Decide(s, tok, p, now)
		g, ok := rotation.Expect(tok, p, now)
		if short := ok && g.Holds(s); short != (d.Outcome == rotation.Advanced) {
			t.Fatalf("condition holds: %v, outcome: %v", short, d.Outcome)
		}
		if d.Outcome == rotation.Advanced {
			advanced++
		}
	})
	if advanced == 0 {
		t.Error("nothing advanced: the property was not tested")
	}
}

// TestDecideEverywhere holds for any state and token, also impossible ones.
func TestDecideEverywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, tok, now := anyState.Draw(t, "state"), anyToken.Draw(t, "token"), anyMoment.Draw(t, "now")
		p := policies.Draw(t, "policy")
		d := rotation.Decide(s, tok, p, now)
		if again := rotation.Decide(s, tok, p, now); again != d {
			t.Fatalf("the same question got %v and %v", d, again)
		}
		if moved := d.Head != s.Head; moved && !d.Outcome.Moves() {
			t.Fatalf("%v moved the head", d.Outcome)
		}
		if d.Outcome.Moves() {
			if d.Head != (rotation.Head{Generation: tok.Generation, Tag: tok.Tag, Parent: tok.Parent}) {
				t.Fatalf("%v: the head is %v, not the presented token", d.Outcome, d.Head)
			}
			if d.Head.Generation <= s.Head.Generation {
				t.Fatalf("the generation went from %d to %d", s.Head.Generation, d.Head.Generation)
			}
		}
		s.Ended = true
		if o := rotation.Decide(s, tok, p, now).Outcome; o != rotation.Ended {
			t.Fatalf("an ended session answered %v", o)
		}
	})
}

// TestTwoTokensAreWorthNoMoreThanTheBetterOne: who presents two gets what one of them
// alone would have got, and nobody is refused for a second one.
func TestTwoTokensAreWorthNoMoreThanTheBetterOne(t *testing.T) {
	both := 0
	rapid.Check(t, func(t *rapid.T) {
		s, a, b, now := anyState.Draw(t, "state"), anyToken.Draw(t, "token"), anyToken.Draw(t, "kept"), anyMoment.Draw(t, "now")
		p := policies.Draw(t, "policy")
		a.Session, b.Session = rotation.SessionID{1}, rotation.SessionID{1}
		chosen := rotation.Choose(s, a, b, p, now)
		if chosen != a && chosen != b {
			t.Fatalf("%v is neither of the two", chosen)
		}
		if chosen == b && a != b {
			both++
		}
		got, alone := rotation.Decide(s, chosen, p, now).Outcome, rotation.Decide(s, a, p, now).Outcome
		if alone.Mints() && !got.Mints() || alone.Granted() && !got.Granted() {
			t.Fatalf("alone %v, with another one beside it %v", alone, got)
		}
		b.Session = rotation.SessionID{2}
		if rotation.Choose(s, a, b, p, now) != a || rotation.Choose(s, a, rotation.Token{}, p, now) != a {
			t.Fatal("a token of another session counted")
		}
	})
	if both == 0 {
		t.Error("the second token never counted: the property was not tested")
	}
}

// TestPolicyIsMonotone: longer lifetimes never refuse what shorter ones grant,
// and a longer overlap only ever turns Reused into Overlapped.
func TestPolicyIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, tok, now := anyState.Draw(t, "state"), anyToken.Draw(t, "token"), anyMoment.Draw(t, "now")
		p := policies.Draw(t, "policy")
		longer := p
		longer.Overlap += time.Minute
		a, b := rotation.Decide(s, tok, p, now).Outcome, rotation.Decide(s, tok, longer, now).Outcome
		if a != b && (a != rotation.Reused || b != rotation.Overlapped) {
			t.Fatalf("a longer overlap turned %v into %v", a, b)
		}
		unlimited := p
		unlimited.Idle, unlimited.Absolute = 0, 0
		if c := rotation.Decide(s, tok, unlimited, now).Outcome; a != rotation.Expired && c != a {
			t.Fatalf("without limits %v turned into %v", a, c)
		}
		if at := p.ExpiresAt(s); p.Expired(s, now) != (!at.IsZero() && !now.Before(at)) || at.IsZero() && (p.Idle > 0 || p.Absolute > 0) {
			t.Fatalf("Expired and ExpiresAt disagree at %v", at)
		}
	})
}

// TestReuseIsFinal: a token that is reuse stays reuse when the head moves on, so
// the session may be ended without comparing the head again.
func TestReuseIsFinal(t *testing.T) {
	var checked int
	rapid.Check(t, func(t *rapid.T) {
		s, tok, now := anyState.Draw(t, "state"), anyToken.Draw(t, "token"), anyMoment.Draw(t, "now")
		p := rotation.Policy{Overlap: time.Minute}
		next := rotation.Child(rotation.SessionID{}, s.Head, rotation.Tag{200}) // a tag that nothing else has
		if s.Ended || s.Head.Generation == math.MaxUint32 || rotation.Decide(s, tok, p, now).Outcome != rotation.Reused {
			t.Skip("not a reuse")
		}
		checked++
		s.Head, s.HeadAt = rotation.Decide(s, next, p, now).Head, now
		if o := rotation.Decide(s, tok, p, now).Outcome; o != rotation.Reused {
			t.Fatalf("turned into %v when the head moved to %v", o, s.Head)
		}
	})
	if checked == 0 {
		t.Error("no reuse was seen")
	}
}
