package rotation_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// maxHand is how many tokens a thief can have that are not dead already.
const maxHand = 8

// theft is a session whose token was copied, or is going to be.
type theft struct {
	store   store
	victim  token
	tabs    [2]token       // heist.tabs: what each tab holds beside victim, the cookie; none: nothing of worth
	hand    [maxHand]token // all that the thief has copied or been given
	handN   int
	stolen  bool
	used    bool  // the thief has presented a token
	waited  uint8 // ticks since the victim was last given an access token
	counted uint8 // ticks since a refresh of the thief was last counted
	before  uint8 // refreshes of the victim before that
	v, t    bool  // victim and thief were granted a refresh in this round
	rounds  uint8 // in each of which both were granted one; at most enough
	revoked bool
}

// enough is where counting stops: nothing below depends on more.
const enough = 4

// granted counts rounds from the moment that the thief has used his copy: a
// round is over when both have been granted a further refresh, in any order and
// any number of them.
func (x *theft) granted(who *bool) {
	if *who = true; x.v && x.t {
		x.v, x.t, x.rounds = false, false, min(x.rounds+1, enough)
	}
}

// heist says how long the overlap is, in ticks, and how often the victim may
// refresh before the thief does.
type heist struct {
	overlap, before uint8
	// accessToo counts answers with an access token only, which come within the
	// overlap, as refreshes. Then neither is counted more than once per overlap,
	// and the victim does not come more often.
	accessToo bool
	// tabs: the victim has two tabs that each hold a token, and a cookie with the newest
	// one, which is sent beside it. The thief copies tokens, and has no cookie.
	tabs bool
}

func (x *theft) tokens(f func(*token)) {
	x.store.tokens(f)
	f(&x.victim)
	for i := range x.tabs {
		f(&x.tabs[i])
	}
	for i := range x.handN {
		f(&x.hand[i])
	}
}

func (x *theft) fresh() (top uint8) {
	x.tokens(func(t *token) { top = max(top, t.t, t.p) })
	return top + 1
}

// canonical renames as state.canonical does. It also throws away what cannot
// make a difference: of several children of one parent that nobody has
// presented the thief needs one, and a token that r can only ever answer with a
// revocation is no help to him.
func (x *theft) canonical(r rule, overlap uint8) (to renaming) {
	hand := x.hand[:x.handN]
	slices.SortFunc(hand, func(a, b token) int {
		return cmp.Or(cmp.Compare(a.g, b.g), cmp.Compare(a.p, b.p), cmp.Compare(a.t, b.t))
	})
	n := 0
	for _, t := range hand {
		// Under head and fork all that was ever presented is of the head's
		// generation or an earlier one.
		unpresented := t.g > x.store.head.g
		twin := n > 0 && unpresented &&
			t.g == hand[n-1].g && t.p == hand[n-1].p && !x.victims(t) && !x.victims(hand[n-1])
		if r.dead(x.store, t, overlap) || twin && r.choose != nil {
			continue
		}
		hand[n] = t
		n++
	}
	clear(hand[n:])
	x.handN = n
	for i, t := range x.tabs {
		if r.dead(x.store, t, overlap) {
			x.tabs[i] = token{}
		}
	}

	to.low = 255
	x.tokens(func(t *token) {
		if t.t != 0 {
			to.low = min(to.low, t.g)
		}
	})
	var count uint8
	name := func(tag uint8) uint8 {
		if tag != 0 && to.tags[tag] == 0 {
			count++
			to.tags[tag] = count
		}
		return to.tags[tag]
	}
	x.tokens(func(t *token) {
		if t.t != 0 {
			*t = token{t.g - to.low, name(t.t), name(t.p)}
		}
	})
	return to
}

func (x *theft) victims(t token) bool { return t == x.victim || slices.Contains(x.tabs[:], t) }

type deed struct {
	text func(*teller) string
	next theft
}

// deeds calls yield with everything that victim, thief and clock can do next.
func deeds(r rule, h heist, x theft, yield func(deed)) {
	if x.revoked {
		return
	}
	later := x
	r.pass(&later.store, h.overlap)
	later.waited = min(later.waited+1, h.overlap)
	later.counted = min(later.counted+1, h.overlap)
	yield(deed{func(*teller) string { return "time passes" }, later})

	if !h.accessToo || x.waited >= h.overlap {
		if h.tabs {
			x.tabRefreshes(r, h, 0, yield)
			x.tabRefreshes(r, h, 1, yield)
		} else {
			x.victimRefreshes(r, h, yield)
		}
	}
	for _, t := range append(x.tabs[:], x.victim) {
		if x.stolen || t == (token{}) {
			continue
		}
		y := x
		y.stolen, y.hand[0], y.handN = true, t, 1
		yield(deed{func(n *teller) string { return "the thief copies " + n.token(t) }, y})
	}
	for _, t := range x.hand[:x.handN] {
		y, v := x.present(r, h, t)
		if h.counts(v) && (!h.accessToo || y.counted >= h.overlap) {
			if y.used {
				y.granted(&y.t)
			}
			y.counted = 0
		}
		y.used = true
		if v.minted != (token{}) && !slices.Contains(y.hand[:y.handN], v.minted) {
			y.hand[y.handN] = v.minted // panics if the hand is too small
			y.handN++
		}
		yield(deed{tale("thief", t, v, ""), y})
	}
}

// victimRefreshes with the newest token that it was given; the answer may be
// lost on the way back.
func (x theft) victimRefreshes(r rule, h heist, yield func(deed)) {
	if !x.used && x.before == h.before {
		return
	}
	y, v := x.present(r, h, x.victim)
	if !x.used {
		y.before++
	}
	if !v.revoked {
		yield(deed{tale("victim", x.victim, v, ", which is lost"), y})
	}
	if v.minted != (token{}) {
		y.victim = v.minted
	}
	if h.counts(v) && x.used {
		y.granted(&y.v)
	}
	y.waited = 0
	yield(deed{tale("victim", x.victim, v, ""), y})
}

// tabRefreshes: a tab of the victim presents its token, and the browser adds the cookie.
func (x theft) tabRefreshes(r rule, h heist, tab int, yield func(deed)) {
	if !x.used && x.before == h.before {
		return
	}
	t := x.victim
	if x.tabs[tab] != (token{}) {
		t = r.choose(x.store, x.tabs[tab], x.victim, h.overlap)
	}
	y, v := x.present(r, h, t)
	if !x.used {
		y.before++
	}
	who := fmt.Sprintf("victim's tab %c", 'A'+tab)
	if !v.revoked {
		yield(deed{tale(who, t, v, ", which is lost"), y})
	}
	if y.tabs[tab] = v.minted; v.minted != (token{}) {
		y.victim = v.minted
	}
	if h.counts(v) && x.used {
		y.granted(&y.v)
	}
	yield(deed{tale(who, t, v, ""), y})
}

func (h heist) counts(v verdict) bool {
	return v.minted != (token{}) || h.accessToo && !v.revoked
}

func (x theft) present(r rule, h heist, t token) (theft, verdict) {
	var v verdict
	x.store, v = r.judge(x.store, t, h.overlap, x.fresh(), true)
	x.revoked = v.revoked
	return x, v
}

func tale(who string, t token, v verdict, fate string) func(*teller) string {
	return func(n *teller) string {
		text := fmt.Sprintf("the %s presents %s (%s)", who, n.token(t), v.outcome)
		switch {
		case v.revoked:
			return text + ": revoked, the theft has shown"
		case v.minted == token{}:
			return text + " and gets an access token only" + fate
		}
		return text + " and gets " + n.token(v.minted) + fate
	}
}

// search sees every state that is reachable from first and returns how many
// there are and the shortest story that ends in one which goal accepts.
func (h heist) search(r rule, first theft, goal func(theft) bool) (int, theft, []string) {
	seen := map[theft]bool{first: true}
	queue, from := []theft{first}, []int{-1}
	for at := 0; at < len(queue); at++ {
		found := -1
		deeds(r, h, queue[at], func(d deed) {
			d.next.canonical(r, h.overlap)
			if found >= 0 || seen[d.next] {
				return
			}
			seen[d.next] = true
			queue, from = append(queue, d.next), append(from, at)
			if goal(d.next) {
				found = len(queue) - 1
			}
		})
		if found >= 0 {
			return len(queue), queue[found], h.retell(r, queue, from, found)
		}
	}
	return len(queue), theft{}, nil
}

func (h heist) retell(r rule, queue []theft, from []int, to int) (story []string) {
	var path []int
	for at := to; at >= 0; at = from[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	tell := newTeller()
	tell.low = 1 - queue[0].victim.g // the story begins with T1
	tell.token(queue[0].victim)
	for i, at := range path[:len(path)-1] {
		told := false
		deeds(r, h, queue[at], func(d deed) {
			renamed := d.next.canonical(r, h.overlap)
			if !told && d.next == queue[path[i+1]] {
				told = true
				story = append(story, d.text(tell))
				tell.follow(renamed)
			}
		})
	}
	return story
}

func signedIn(r rule, h heist) theft {
	x := theft{store: r.first(token{0, 1, 0}), victim: token{1, 2, 1}, waited: h.overlap, counted: h.overlap}
	if h.tabs {
		x.tabs = [2]token{x.victim, x.victim}
	}
	x.canonical(r, h.overlap)
	return x
}

func rounds(n uint8) func(theft) bool {
	return func(x theft) bool { return !x.revoked && x.rounds >= n }
}

// TestTheftShows: if a copy of a token is used by a second party and both carry
// on, the session is revoked after at most two rounds in which both refresh,
// whatever order and timing the thief chooses. The thief copies any token at
// any time and presents any token that he ever had, in any order, at any pace,
// for any number of rounds; answers to the victim may be lost.
//
// A refresh is an answer with a refresh token. Answers to slow duplicates add
// one more access token at most: see the lines "access tokens too".
//
// Two tabs of the victim that each hold a token, beside a cookie with the newest one
// (Choose), are one browser: a thief, who has no cookie, is found out as soon as where
// all take the token from one place, and a round sooner than without the cookie.
func TestTheftShows(t *testing.T) {
	var report strings.Builder
	for overlap := range uint8(3) {
		never(t, &report, headAndFork, heist{overlap: overlap, before: 3}, 3)
	}
	for overlap := range uint8(2) {
		never(t, &report, headAndFork, heist{overlap: overlap + 1, before: 2, accessToo: true}, 4)
	}
	for overlap := range uint8(2) {
		h := heist{overlap: overlap, before: 3, tabs: true}
		never(t, &report, headAndFork, h, 3)
		never(t, &report, withoutCookie, h, 4)
	}
	report.WriteString(rivalsAndThieves(t))
	t.Log("\n" + report.String())
	golden(t, "thief.txt", report.String())
}

// never checks that both are granted n-1 further refreshes at most, and that
// this is the least such n.
func never(t *testing.T, report *strings.Builder, r rule, h heist, n uint8) {
	what := "refresh"
	if h.accessToo {
		what = "refresh (access tokens too)"
	}
	if h.tabs {
		what = "refresh (two tabs of the victim with tokens of their own)"
	}
	first := signedIn(r, h)
	states, _, story := h.search(r, first, rounds(n))
	if story != nil {
		t.Errorf("overlap %d: both were granted %d times a further %s:\n%s", h.overlap, n, what, strings.Join(story, "\n"))
	}
	_, _, longest := h.search(r, first, rounds(n-1))
	if longest == nil {
		t.Errorf("overlap %d: both are not even granted %d times a further %s: say so", h.overlap, n-1, what)
	}
	fmt.Fprintf(report, "%s, overlap of %d ticks: all %d states, any number of rounds: both are never granted %d times a further %s\n", r.name, h.overlap, states, n, what)
	fmt.Fprintf(report, "  %d times they can be:\n%s\n", n-1, numbered(longest))
}

// rivalsAndThieves shows which rules let a thief stay for ever: there is a way
// back to the same state on which both were granted refreshes.
func rivalsAndThieves(t *testing.T) string {
	var report strings.Builder
	h := heist{overlap: 2, before: 1}
	for _, c := range []struct {
		rule    rule
		forever bool
	}{{strict, false}, {grace, false}, {ownChains, true}, {parentAnswered, true}} {
		n, at, story := h.search(c.rule, signedIn(c.rule, h), rounds(3))
		if c.forever != (story != nil) {
			t.Errorf("%s: undetected %v, want %v", c.rule.name, story != nil, c.forever)
		}
		if story == nil {
			fmt.Fprintf(&report, "%s: all %d states, any number of rounds: both are never granted 3 times a further refresh\n\n", c.rule.name, n)
			continue
		}
		loop := h.loop(c.rule, at)
		if loop == nil {
			t.Errorf("%s: no way to go on for ever was found", c.rule.name)
		}
		fmt.Fprintf(&report, "%s: NOT DETECTED. Both are granted three further refreshes:\n%sand from there on round and round, for ever:\n%s\n",
			c.rule.name, numbered(story), numbered(loop))
	}
	return report.String()
}

// loop is a way from x back to x on which both were granted a refresh.
func (h heist) loop(r rule, x theft) []string {
	x.v, x.t, x.rounds = false, false, 0
	_, _, story := h.search(r, x, func(y theft) bool {
		if !rounds(1)(y) {
			return false
		}
		y.rounds = 0
		return y == x
	})
	return story
}

func numbered(story []string) string {
	var b strings.Builder
	for i, line := range story {
		fmt.Fprintf(&b, "  %3d. %s\n", i+1, line)
	}
	return b.String()
}
