package rotation_test

import (
	"cmp"
	"fmt"
	"slices"
)

// world says what can happen in an exploration. Durations are in ticks; a tick
// is as short as one likes, and within a tick events come in any order. The
// overlap is open in the ticks before age == overlap.
type world struct {
	tabs     int
	access   uint8 // lifetime of an access token
	overlap  uint8
	life     uint8 // a request, its repetition or its answer is gone after so long
	lag      uint8 // a crash brings back a cookie that the jar held at most so long ago
	inFlight int   // exchanges under way at once
	rollback int   // how many writes the store can forget at once
	forgets  uint8 // how often it does

	ownRefresh   bool // each tab keeps a refresh token of its own, and the jar the newest
	ownTokens    bool // each tab keeps an access token of its own
	lock         bool // one renewal at a time in the browser
	repeats      bool // the network repeats a request
	crash        bool
	bootRenews   bool // the access token does not survive a crash or a reload
	reload       bool
	pageLeaves   bool // an answer may set the cookie when its page is gone
	confirm      bool // the child is confirmed as soon as it is in the jar
	messagesFall bool // what is under way when the browser dies dies with it
	cleanBreaks  bool // a request whose connection broke does not arrive later
}

const (
	maxExchanges = 6
	maxPast      = 6
	maxRollback  = 4
	maxTabs      = 3
	noTab        = 255 // access lifetime of a tab that does not exist
)

// exchange is a request, its repetition, and their answers. A page gets at most
// one answer to it.
type exchange struct {
	tok      token
	kept     token // what the jar held, beside a tab's own tok
	age      uint8
	copies   uint8 // requests that have not arrived
	repeated bool
	confirm  bool
	deaf     bool // the connection is gone: no answer can reach the browser
	tab      int8 // who waits for it; -1: nobody
	answers  [2]token
	n        uint8 // of answers under way
}

// held is a token that the jar held before.
type held struct {
	tok    token
	landed uint8 // ticks since it came
	left   uint8 // ticks since it was replaced
}

// state is everything there is: server, network and browser.
type state struct {
	store   store
	older   [maxRollback]store // what the store may fall back to, newest first
	olderN  int
	forgets uint8 // how often the store may still fall back
	jar     token
	landed  uint8 // ticks since jar came, at most world.access
	past    [maxPast]held
	pastN   int
	own     [maxTabs]token // the tab's own token; none: only what the jar holds counts
	tabs    [maxTabs]uint8 // ticks for which the tab's access token is still good
	ex      [maxExchanges]exchange
	exN     int
	revoked bool
}

// start is a browser that has just signed in.
func start(r rule, w world) state {
	s := state{store: r.first(token{0, 1, 0}), jar: token{1, 2, 1}, forgets: w.forgets}
	for i := range s.tabs {
		s.tabs[i] = noTab
		if i < w.tabs {
			s.tabs[i] = w.access
			if w.ownRefresh {
				s.own[i] = s.jar
			}
		}
	}
	return s
}

func (s *state) drop(i int) {
	copy(s.ex[i:], s.ex[i+1:s.exN])
	s.exN--
	s.ex[s.exN] = exchange{}
}

// tidy forgets exchanges that can do nothing any more.
func (s *state) tidy() {
	for i := s.exN - 1; i >= 0; i-- {
		if e := s.ex[i]; e.copies == 0 && (e.deaf || e.n == 0) {
			s.drop(i)
		}
	}
}

// fresh is a tag that nothing in the state carries.
func (s *state) fresh() uint8 {
	var top uint8
	s.tokens(func(t *token) { top = max(top, t.t, t.p) })
	return top + 1
}

// tokens visits every token in the state in a fixed order.
func (s *state) tokens(f func(*token)) {
	s.store.tokens(f)
	f(&s.jar)
	for i := range s.exN {
		f(&s.ex[i].tok)
		f(&s.ex[i].kept)
		for j := range s.ex[i].n {
			f(&s.ex[i].answers[j])
		}
	}
	for i := range s.own {
		f(&s.own[i])
	}
	for i := range s.pastN {
		f(&s.past[i].tok)
	}
	for i := range s.olderN {
		s.older[i].tokens(f)
	}
}

func (s *store) tokens(f func(*token)) {
	f(&s.head)
	f(&s.prev)
	for i := range s.links {
		if s.links[i].tok.t != 0 {
			f(&s.links[i].tok)
		}
	}
}

// canonical gives states that differ only in names the same form: tabs and
// exchanges in order, tags numbered as they appear, generations counted from
// the oldest token that still exists. Decide compares generations with the
// head's only, so nothing depends on where the counting starts; that is what
// makes the number of states finite for any number of renewals. (Two states
// that differ only in names may still get different forms where exchanges are
// alike; that costs time, not truth.) It returns what it renamed.
func (s *state) canonical() (to renaming) {
	access := func(e exchange) uint8 {
		if e.tab < 0 {
			return 255
		}
		return s.tabs[e.tab]
	}
	slices.SortStableFunc(s.ex[:s.exN], func(a, b exchange) int {
		return cmp.Or(cmp.Compare(access(a), access(b)), cmp.Compare(a.tok.g, b.tok.g), cmp.Compare(a.age, b.age),
			cmp.Compare(a.copies, b.copies), cmp.Compare(a.n, b.n), cmp.Compare(bits(a), bits(b)),
			cmp.Compare(a.tok.t, b.tok.t), cmp.Compare(a.answers[0].t, b.answers[0].t))
	})
	var waits [maxTabs]bool
	var tabs [maxTabs]uint8
	var own [maxTabs]token
	n := 0
	for i := range s.exN {
		if t := s.ex[i].tab; t >= 0 {
			waits[t] = true
			to.tabs[t] = n
			tabs[n], own[n], s.ex[i].tab = s.tabs[t], s.own[t], int8(n)
			n++
		}
	}
	for n < maxTabs {
		least := -1
		for t := range s.tabs {
			if !waits[t] && (least < 0 || s.tabs[t] < s.tabs[least]) {
				least = t
			}
		}
		waits[least] = true
		to.tabs[least] = n
		tabs[n], own[n] = s.tabs[least], s.own[least]
		n++
	}
	s.tabs, s.own = tabs, own

	for i, t := range s.own {
		if s.neverAgain(t) { // what the jar holds counts, whatever it is
			s.own[i] = token{}
		}
	}
	to.low = 255
	s.tokens(func(t *token) {
		if t.t != 0 {
			to.low = min(to.low, t.g)
		}
	})
	var count uint8
	name := func(tag uint8) uint8 {
		if tag == 0 {
			return 0
		}
		if to.tags[tag] == 0 {
			count++
			to.tags[tag] = count
		}
		return to.tags[tag]
	}
	s.tokens(func(t *token) {
		if t.t != 0 {
			*t = token{t.g - to.low, name(t.t), name(t.p)}
		}
	})
	return to
}

// neverAgain reports whether a token is older than the parent of every head that the
// store can come back to.
func (s *state) neverAgain(t token) bool {
	oldest := s.store.head.g
	for _, o := range s.older[:s.olderN] {
		oldest = min(oldest, o.head.g)
	}
	return t.g+1 < oldest
}

// renaming is what canonical did: tag by tag, tab by tab.
type renaming struct {
	tags [256]uint8
	tabs [maxTabs]int
	low  uint8
}

func bits(e exchange) (b uint8) {
	for i, on := range []bool{e.repeated, e.confirm, e.deaf} {
		if on {
			b |= 1 << i
		}
	}
	return b
}

// move is one thing that happens: what is written about it, and the state after.
type move struct {
	text func(*teller) string
	next state
}

// result of an exploration. Trace is the shortest way to the revocation of an
// honest session, or empty if every reachable state was seen and none exists.
type result struct {
	states int
	trace  []string
}

// explore sees every state that rule r can reach in world w, nearest first. It
// reports the first revocation, and a state from which the browser could not
// renew again, as a failure.
func explore(r rule, w world, limit int) (result, error) {
	first := start(r, w)
	first.canonical()
	seen := map[state]int32{first: 0}
	queue, from := []state{first}, []int32{-1}
	for at := 0; at < len(queue); at++ {
		var bad error
		stuck := -1
		moves(r, w, queue[at], func(m move) {
			m.next.canonical()
			if _, ok := seen[m.next]; ok || stuck >= 0 || bad != nil {
				return
			}
			seen[m.next] = int32(len(queue))
			queue, from = append(queue, m.next), append(from, int32(at))
			if m.next.revoked {
				stuck = len(queue) - 1
			}
			if len(queue) > limit {
				bad = fmt.Errorf("more than %d states", limit)
			}
		})
		if bad != nil {
			return result{states: len(queue)}, bad
		}
		if stuck >= 0 {
			return result{states: len(queue), trace: retell(r, w, queue, from, stuck)}, nil
		}
	}
	for _, s := range queue {
		if err := renewable(r, w, s); err != nil {
			return result{states: len(queue)}, err
		}
	}
	return result{states: len(queue)}, nil
}

// renewable checks that a browser whose messages are all lost, and that comes
// back after any overlap, is given a new refresh token.
func renewable(r rule, w world, s state) error {
	s.store.age = w.overlap
	if _, v := r.judge(s.store, s.jar, w.overlap, s.fresh(), true); v.minted == (token{}) {
		return fmt.Errorf("the browser is stuck with %v at %v: %s", s.jar, s.store.head, v.outcome)
	}
	return nil
}

// retell tells how queue[to] is reached, with the same names from end to end.
func retell(r rule, w world, queue []state, from []int32, to int) []string {
	var path []state
	for at := int32(to); at > 0; at = from[at] {
		path = append(path, queue[at])
	}
	slices.Reverse(path)
	tell := newTeller()
	s := start(r, w)
	tell.token(s.jar)
	tell.follow(s.canonical())
	var story []string
	for _, want := range path {
		found := false
		moves(r, w, s, func(m move) {
			next := m.next
			renamed := next.canonical()
			if found || next != want {
				return
			}
			found = true
			story = append(story, m.text(tell))
			tell.follow(renamed)
		})
		s = want
	}
	return story
}

// teller gives tokens and tabs the names that people read, and keeps them when
// the states rename theirs: T1, then T2 and T2' for two children of T1.
type teller struct {
	tags          map[uint8]string
	tabs          [maxTabs]string
	low           uint8
	perGeneration map[uint8]int
}

func newTeller() *teller {
	return &teller{tags: map[uint8]string{}, tabs: [...]string{"A", "B", "C"}, perGeneration: map[uint8]int{}}
}

func (n *teller) token(t token) string {
	if n.tags[t.t] == "" {
		g := t.g + n.low
		n.tags[t.t] = fmt.Sprintf("T%d%.*s", g, n.perGeneration[g], "'''''''''")
		n.perGeneration[g]++
	}
	return n.tags[t.t]
}

func (n *teller) tab(i int8) string { return n.tabs[i] }

func (n *teller) follow(to renaming) {
	tags := map[uint8]string{}
	for old, name := range n.tags {
		if renamed := to.tags[old]; renamed != 0 {
			tags[renamed] = name
		}
	}
	var tabs [maxTabs]string
	for old, i := range to.tabs {
		tabs[i] = n.tabs[old]
	}
	n.tags, n.tabs, n.low = tags, tabs, n.low+to.low
}
