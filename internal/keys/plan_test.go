package keys

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The model: a stored ring, nodes that each hold a view of it, and a verifier
// that caches the published set of any one node. A token remembers its key and
// when it can be used last.

type modelNode struct {
	view  []Key
	next  time.Time     // when it reads the ring again, true time
	skew  time.Duration // its clock minus true time
	steps steadiness

	jump  time.Duration // its clock is wrong by this much more
	until time.Time     // until then, true time
}

func (n *modelNode) clock(true time.Time) time.Time { return true.Add(n.skew + n.jump) }

// steadiness is Ring.steady for a model node.
type steadiness struct{ last, since time.Time }

func (s *steadiness) at(now time.Time, lead time.Duration) time.Duration {
	if step := now.Sub(s.last); s.last.IsZero() || step < 0 || step > lead {
		s.since = now
	}
	s.last = now
	return now.Sub(s.since)
}

// modelToken stands for all tokens under one key: the one that lives longest.
type modelToken struct {
	use   Use
	until time.Time // true time
}

type model struct {
	t        *rapid.T
	p        Policy
	now      time.Time
	ring     []Key
	nodes    []*modelNode
	cache    []Key // of the verifier
	cachedAt time.Time
	tokens   map[uint32]modelToken
	dropped  int
	rotated  int
	last     time.Time // of an announcement, true time
}

func (m *model) refresh(n *modelNode) {
	now := n.clock(m.now)
	next, actions := Plan(m.ring, m.p, now, n.steps.at(now, m.p.Lead))
	for _, a := range actions {
		switch a.Step {
		case Dropped:
			m.dropped++
		case Announced:
			m.rotated++
			m.last = m.now
		}
	}
	m.ring, n.view = next, next
}

func (m *model) mint(n *modelNode) {
	now := n.clock(m.now)
	for _, u := range []Use{UseSign, UseMAC} {
		c := current(n.view, u, now)
		if c < 0 {
			m.t.Fatalf("no %s key at %v in %v", u, now, n.view)
		}
		life := m.p.Access
		if u == UseMAC {
			life = m.p.Refresh
		}
		if n.jump != 0 {
			// It may be ahead of the others. They have to look the key up, and
			// must find it.
			if !knows(m.ring, n.view[c].ID) {
				m.t.Fatalf("a node with a wrong clock uses key %d, which is not stored: %v", n.view[c].ID, describe(m.ring))
			}
			continue
		}
		m.tokens[n.view[c].ID] = modelToken{u, m.now.Add(life)}
	}
}

func knows(view []Key, id uint32) bool {
	return slices.ContainsFunc(view, func(k Key) bool { return k.ID == id })
}

// check is the promise: a live token is accepted by every node and by a
// verifier with a cache that is as old as it may be.
func (m *model) check() {
	for key, t := range m.tokens {
		if !m.now.Before(t.until) {
			delete(m.tokens, key)
			continue
		}
		for i, n := range m.nodes {
			if !knows(n.view, key) {
				m.t.Fatalf("%v: node %d refuses a live %s token under key %d; its ring: %v", m.now, i, t.use, key, describe(n.view))
			}
		}
		if t.use == UseSign && !knows(m.cache, key) {
			m.t.Fatalf("%v: a verifier refuses a live token under key %d; its cache: %v", m.now, key, describe(m.cache))
		}
	}
}

func describe(ring []Key) (s string) {
	for _, k := range ring {
		s += fmt.Sprintf("\n  %d %s created %v active %v retired %v", k.ID, k.Use, k.CreatedAt, k.ActiveAt, k.RetiredAt)
	}
	return s
}

func (m *model) advance(d time.Duration) {
	m.now = m.now.Add(d)
	for _, n := range m.nodes {
		if n.jump != 0 && !m.now.Before(n.until) {
			n.jump = 0
		}
		if !m.now.Before(n.next) {
			m.refresh(n)
			n.next = m.now.Add(time.Duration(rapid.Int64Range(1, int64(m.p.Lead/4)).Draw(m.t, "poll")))
		}
	}
	// A verifier may look at any time, and must within half the lead time.
	if m.now.Sub(m.cachedAt) >= m.p.Lead/2 || rapid.IntRange(0, 9).Draw(m.t, "looks") == 0 {
		m.cache, m.cachedAt = rapid.SampledFrom(m.nodes).Draw(m.t, "published by").view, m.now
	}
}

func drawModel(t *rapid.T) *model {
	p := Policy{
		Lead:   time.Duration(rapid.IntRange(1, 24).Draw(t, "lead h")) * time.Hour,
		Access: time.Duration(rapid.IntRange(1, 240).Draw(t, "access min")) * time.Minute,
	}.withDefaults()
	p.Refresh = p.Lead * time.Duration(rapid.IntRange(1, 40).Draw(t, "refresh/lead"))
	p.Period = p.Lead * time.Duration(rapid.IntRange(2, 20).Draw(t, "period/lead"))
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, p: p, now: epoch, tokens: map[uint32]modelToken{}}
	for range rapid.IntRange(1, 4).Draw(t, "nodes") {
		half := int64(p.Skew / 2)
		m.nodes = append(m.nodes, &modelNode{skew: time.Duration(rapid.Int64Range(-half, half).Draw(t, "skew"))})
	}
	for _, n := range m.nodes {
		m.refresh(n)
	}
	m.cache, m.cachedAt = m.nodes[0].view, m.now
	if len(m.ring) != 2 {
		t.Fatalf("first start made %d keys, not 2", len(m.ring))
	}
	return m
}

// No token minted by any node is refused by another, or by a verifier that
// caches the published keys, while it lives.
func TestNoLiveTokenIsEverRefused(t *testing.T) {
	dropped := 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		for range rapid.IntRange(400, 1500).Draw(t, "steps") {
			// Nodes and the cache wait up to a step longer than they meant to:
			// that must fit into what the lead time leaves, an eighth each.
			m.advance(time.Duration(rapid.Int64Range(int64(m.p.Lead/32), int64(m.p.Lead/16)).Draw(t, "step")))
			m.check()
			m.mint(rapid.SampledFrom(m.nodes).Draw(t, "mints"))
			m.check()
		}
		dropped += m.dropped
	})
	if dropped < 100 {
		t.Errorf("only %d keys were dropped: the simulation is too short to show anything", dropped)
	}
}

// Clocks that jump, in either direction and by any amount, for less than the
// lead time, cost no token that a node with the right time made. Keys do not
// pile up either.
func TestClockJumpsDoNoHarm(t *testing.T) {
	jumps, dropped := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		mine := 0
		for range rapid.IntRange(400, 1000).Draw(t, "steps") {
			m.advance(time.Duration(rapid.Int64Range(int64(m.p.Lead/32), int64(m.p.Lead/16)).Draw(t, "step")))
			m.check()
			n := rapid.SampledFrom(m.nodes).Draw(t, "node")
			if n.jump == 0 && rapid.IntRange(0, 19).Draw(t, "jumps") == 0 {
				far := rapid.SampledFrom([]time.Duration{m.p.Lead / 8, m.p.Lead, m.p.Period, m.p.Refresh, 20 * 365 * 24 * time.Hour}).Draw(t, "how far")
				n.jump = time.Duration(rapid.Int64Range(-int64(far), int64(far)).Draw(t, "jump"))
				n.until = m.now.Add(time.Duration(rapid.Int64Range(1, int64(m.p.Lead*3/4)).Draw(t, "jump lasts")))
				mine++
			}
			m.mint(n)
			m.check()
			// A key from the future may stand in for one that is due, but must
			// not stop the rotation.
			if idle := m.now.Sub(m.last); idle > 2*(m.p.Period+m.p.Lead) {
				t.Fatalf("no key was announced for %v, the period is %v: %v", idle, m.p.Period, describe(m.ring))
			}
		}
		regular := 2 * int(m.now.Sub(epoch)/m.p.Period)
		if m.rotated > regular+4+4*mine {
			t.Fatalf("%d keys made where %d were due, with %d jumps", m.rotated, regular, mine)
		}
		jumps, dropped = jumps+mine, dropped+m.dropped
	})
	if jumps < 100 || dropped < 100 {
		t.Errorf("only %d jumps and %d dropped keys: too few to show anything", jumps, dropped)
	}
}

// story runs Plan over one node's time and notes what happens when.
func story(p Policy, ring []Key, from, to, every time.Duration) (lines []string) {
	var s steadiness
	for at := from; at <= to; at += every {
		now := epoch.Add(at)
		var actions []Action
		ring, actions = Plan(ring, p, now, s.at(now, p.Lead))
		for _, a := range actions {
			lines = append(lines, fmt.Sprintf("%v %s %d %s", at, a.Step, a.Key.ID, a.Key.Algorithm))
		}
	}
	return lines
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// storyPolicy keeps a retired signing key for 15 min + 1 h + 2 × 7.5 min, and a
// MAC key for 9 h 45 min + 1 h 15 min.
var storyPolicy = Policy{Algorithm: EdDSA, Period: 10 * time.Hour, Lead: time.Hour, Access: 15 * time.Minute,
	Refresh: 9*time.Hour + 45*time.Minute, Skew: 7*time.Minute + 30*time.Second}

func TestLifeOfAKey(t *testing.T) {
	expect(t, story(storyPolicy, nil, 0, 24*time.Hour, 15*time.Minute),
		"0s announced 1 EdDSA", // and active at once: there is no other
		"0s announced 2 HS256",
		"10h0m0s announced 3 EdDSA", // active at 11 h
		"10h0m0s announced 4 HS256",
		"12h0m0s retired 1 EdDSA",
		"12h0m0s retired 2 HS256",
		"13h30m0s dropped 1 EdDSA",
		"20h0m0s announced 5 EdDSA",
		"20h0m0s announced 6 HS256",
		"22h0m0s retired 3 EdDSA",
		"22h0m0s retired 4 HS256",
		"23h0m0s dropped 2 HS256",
		"23h30m0s dropped 3 EdDSA",
	)
}

func TestChangeOfAlgorithmKeepsTheLeadTime(t *testing.T) {
	p := storyPolicy
	ring, _ := Plan(nil, p, epoch, 0)
	p.Algorithm = ES256
	expect(t, story(p, ring, 0, 5*time.Hour, 15*time.Minute),
		"1h0m0s announced 3 ES256", // active at 2 h
		"3h0m0s retired 1 EdDSA",
		"4h30m0s dropped 1 EdDSA",
	)
}

func TestWithoutLimitOfRefreshTokensMACKeysStay(t *testing.T) {
	p := storyPolicy
	p.Refresh = 0
	for _, line := range story(p, nil, 0, 1000*time.Hour, time.Hour) {
		if strings.Contains(line, "dropped") && strings.Contains(line, HS256) {
			t.Fatal(line)
		}
	}
}

func TestNothingIsTakenBeforeTheClockHasProvedSteady(t *testing.T) {
	ring, _ := Plan(nil, storyPolicy, epoch, 0)
	next, _ := Plan(ring, storyPolicy, epoch.Add(10*time.Hour), 0)
	far := epoch.Add(1000 * time.Hour)
	if _, actions := Plan(next, storyPolicy, far, storyPolicy.Lead-1); slices.ContainsFunc(actions, func(a Action) bool { return a.Step != Announced }) {
		t.Errorf("a process that has just started did %v", actions)
	}
	next, actions := Plan(next, storyPolicy, far, storyPolicy.Lead)
	if len(actions) != 4 { // two retired, two announced
		t.Errorf("a steady clock did %v", actions)
	}
	if _, actions = Plan(next, storyPolicy, far, storyPolicy.Lead); len(actions) != 0 {
		t.Errorf("the same moment again did %v", actions)
	}
}

// A ring in which every key is retired (made by hand, or damaged) still signs.
func TestARingWithoutAUsableKeyGetsOne(t *testing.T) {
	ring, _ := Plan(nil, storyPolicy, epoch, 0)
	for i := range ring {
		ring[i].RetiredAt = epoch
	}
	next, actions := Plan(ring, storyPolicy, epoch.Add(time.Hour), 0)
	if len(actions) != 2 || next[current(next, UseSign, epoch.Add(time.Hour))].ID != 3 {
		t.Errorf("actions %v, ring %v", actions, describe(next))
	}
}

func TestCurrent(t *testing.T) {
	h := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }
	ring := []Key{
		{ID: 1, Use: UseMAC, ActiveAt: h(0), RetiredAt: h(3)},
		{ID: 2, Use: UseMAC, ActiveAt: h(2)},
		{ID: 5, Use: UseMAC, ActiveAt: h(6)},
		{ID: 4, Use: UseMAC, ActiveAt: h(4)},
		{ID: 3, Use: UseMAC, ActiveAt: h(4)},
		{ID: 9, Use: UseSign, ActiveAt: h(1)},
	}
	for now, want := range map[int]uint32{
		-9: 2, // behind them all: not the retired one, but the first of the others
		1:  2,
		2:  2,
		3:  2,
		4:  4, // equally old: the higher id
		5:  4,
		6:  5,
		99: 5,
	} {
		if got := ring[current(ring, UseMAC, h(now))].ID; got != want {
			t.Errorf("at %d h key %d is used, want %d", now, got, want)
		}
	}
	if current(ring[:5], UseSign, h(1)) != -1 {
		t.Error("a MAC key is offered for signing")
	}
}

func TestAKeyFromTheFutureDoesNotStopTheRotation(t *testing.T) {
	ring, _ := Plan(nil, storyPolicy, epoch, 0)
	ring, _ = Plan(ring, storyPolicy, epoch.Add(100_000*time.Hour), 0) // 3 and 4, under a wrong clock
	expect(t, story(storyPolicy, ring, 0, 11*time.Hour, time.Hour),
		"10h0m0s announced 5 EdDSA",
		"10h0m0s announced 6 HS256",
	)
}
