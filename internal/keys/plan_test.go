package keys

import (
	"fmt"
	"slices"
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
}

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
}

func (m *model) refresh(n *modelNode) {
	now := m.now.Add(n.skew)
	next, actions := Plan(m.ring, m.p, now, n.steps.at(now, m.p.Lead))
	for _, a := range actions {
		switch a.Step {
		case Dropped:
			m.dropped++
		case Announced:
			m.rotated++
		}
	}
	m.ring, n.view = next, next
}

func (m *model) mint(n *modelNode) {
	now := m.now.Add(n.skew)
	for _, u := range []Use{UseSign, UseMAC} {
		c := current(n.view, u, now)
		if c < 0 {
			m.t.Fatalf("no %s key at %v in %v", u, now, n.view)
		}
		life := m.p.Access
		if u == UseMAC {
			life = m.p.Refresh
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
		if !m.now.Before(n.next) {
			m.refresh(n)
			n.next = m.now.Add(time.Duration(rapid.Int64Range(1, int64(m.p.Lead/4)).Draw(m.t, "poll")))
		}
	}
	if m.now.Sub(m.cachedAt) >= m.p.Lead/2 {
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
