package rotation_test

import (
	"encoding/binary"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// token is a rotation.Token of the one session that is explored, small enough
// to be part of a state: g is its generation, t its tag and p its parent's tag.
// The zero token means "none".
type token struct{ g, t, p uint8 }

func tag(n uint8) (t rotation.Tag) {
	binary.BigEndian.PutUint64(t[:], uint64(n))
	return t
}

func (t token) real() rotation.Token {
	return rotation.Token{Generation: uint32(t.g), Tag: tag(t.t), Parent: tag(t.p)}
}

func (t token) head() rotation.Head {
	return rotation.Head{Generation: uint32(t.g), Tag: tag(t.t), Parent: tag(t.p)}
}

func small(t rotation.Token) token { return token{uint8(t.Generation), t.Tag[7], t.Parent[7]} }

// link is a token that the rule "own chains" has issued, and for how many ticks
// it has been used.
type link struct {
	tok  token
	used uint8 // 0: not yet; n: since n-1 ticks
}

// store is what a rule remembers of the session. Time is counted in ticks, and
// no longer than it can matter.
type store struct {
	head  token   // head and fork: the head; the rivals: the current token
	prev  token   // the rivals: the token before
	age   uint8   // ticks since head became head, at most world.overlap
	links [4]link // own chains only
}

// verdict is what a rule answers to a presentation.
type verdict struct {
	revoked bool
	minted  token // none: an access token only
	outcome string
}

// rule is a server: it judges a presentation and mints with the given tag.
type rule struct {
	name   string
	judge  func(s store, t token, overlap, fresh uint8, mint bool) (store, verdict)
	choose func(s store, t, kept token, overlap uint8) token // that counts of two in one request
	first  func(root token) store                            // state after sign-in; the jar holds token{1, 2, 1}
	ageing func(s *store, overlap uint8)
	dead   func(s store, t token, overlap uint8) bool // revokes, now and for ever
}

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const tick = time.Minute

// headAndFork is the code under test: the real Decide and the real Child. All
// else in these files is the world around it.
var headAndFork = rule{
	name: "head and fork",
	choose: func(s store, t, kept token, overlap uint8) token {
		policy := rotation.Policy{Overlap: time.Duration(overlap) * tick}
		return small(rotation.Choose(s.state(), t.real(), kept.real(), policy, epoch))
	},
	dead:  func(s store, t token, _ uint8) bool { return t.g+1 < s.head.g },
	first: func(root token) store { return store{head: root} },
	judge: func(s store, t token, overlap, fresh uint8, mint bool) (store, verdict) {
		d := rotation.Decide(s.state(), t.real(), rotation.Policy{Overlap: time.Duration(overlap) * tick}, epoch)
		v := verdict{revoked: !d.Outcome.Granted(), outcome: d.Outcome.String()}
		if d.Outcome.Moves() {
			s.head, s.age = token{uint8(d.Head.Generation), d.Head.Tag[7], d.Head.Parent[7]}, 0
		}
		if mint && d.Outcome.Mints() {
			v.minted = small(rotation.Child(rotation.SessionID{}, d.Head, tag(fresh)))
		}
		return s, v
	},
}

func (s store) state() rotation.State {
	return rotation.State{Head: s.head.head(), HeadAt: epoch.Add(-time.Duration(s.age) * tick)}
}

// withoutCookie is head and fork for a browser whose tabs present only what they hold.
var withoutCookie = func() rule {
	r := headAndFork
	r.name = "head and fork without a cookie beside the token"
	r.choose = func(_ store, t, _ token, _ uint8) token { return t }
	return r
}()

// strict is the textbook: every token works once.
var strict = rule{
	name:  "strict single use",
	dead:  func(s store, t token, _ uint8) bool { return t != s.head },
	first: func(root token) store { return store{head: token{1, 2, root.t}} },
	judge: func(s store, t token, _, fresh uint8, _ bool) (store, verdict) {
		if t != s.head {
			return s, verdict{revoked: true, outcome: "reused"}
		}
		return s.rotate(fresh), verdict{minted: s.rotate(fresh).head, outcome: "rotated"}
	},
}

// grace accepts the token before the current one for a while; the new token
// replaces the current one.
var grace = rule{
	name:  "grace window",
	dead:  func(s store, t token, _ uint8) bool { return t != s.head && t != s.prev },
	first: strict.first,
	judge: func(s store, t token, overlap, fresh uint8, _ bool) (store, verdict) {
		switch {
		case t == s.head:
			return s.rotate(fresh), verdict{minted: s.rotate(fresh).head, outcome: "rotated"}
		case t == s.prev && s.age < overlap:
			s.head = token{t.g + 1, fresh, t.t}
			return s, verdict{minted: s.head, outcome: "within the grace"}
		}
		return s, verdict{revoked: true, outcome: "reused"}
	},
}

// parentAnswered gives the current token to whoever shows its parent.
var parentAnswered = rule{
	name:  "parent answered with the current token",
	dead:  grace.dead,
	first: strict.first,
	judge: func(s store, t token, _, fresh uint8, _ bool) (store, verdict) {
		switch t {
		case s.head:
			return s.rotate(fresh), verdict{minted: s.rotate(fresh).head, outcome: "rotated"}
		case s.prev:
			return s, verdict{minted: s.head, outcome: "answered with the current token"}
		}
		return s, verdict{revoked: true, outcome: "reused"}
	},
}

// ownChains lets every use within the grace start a live chain of its own.
var ownChains = rule{
	name:  "every use within the grace starts its own chain",
	dead:  func(s store, t token, overlap uint8) bool { return s.live(t, overlap) < 0 },
	first: func(root token) store { return store{links: [4]link{{tok: token{1, 2, root.t}}}} },
	judge: func(s store, t token, overlap, fresh uint8, _ bool) (store, verdict) {
		i := s.live(t, overlap)
		if i < 0 {
			return s, verdict{revoked: true, outcome: "reused"}
		}
		s.links[i].used = max(s.links[i].used, 1)
		child := token{t.g + 1, fresh, t.t}
		if !s.issue(child, overlap) {
			return s, verdict{revoked: true, outcome: "more live chains than the model has room for"}
		}
		return s, verdict{minted: child, outcome: "rotated"}
	},
	ageing: func(s *store, overlap uint8) {
		for i := range s.links {
			if l := &s.links[i]; l.used > 0 && l.used <= overlap {
				l.used++
			}
		}
	},
}

func (s store) rotate(fresh uint8) store {
	return store{head: token{s.head.g + 1, fresh, s.head.t}, prev: s.head}
}

// live is the place of a token that has not been used for longer than the
// grace, or -1.
func (s store) live(t token, grace uint8) int {
	for i, l := range s.links {
		if l.tok == t && l.used <= grace {
			return i
		}
	}
	return -1
}

// issue adds a live token in the place of a spent one, which is refused
// whether it is remembered or not.
func (s *store) issue(t token, grace uint8) bool {
	for i, l := range s.links {
		if l.tok == (token{}) || l.used > grace {
			s.links[i] = link{tok: t}
			return true
		}
	}
	return false
}

func (r rule) pass(s *store, overlap uint8) {
	s.age = min(s.age+1, overlap)
	if r.ageing != nil {
		r.ageing(s, overlap)
	}
}
