package rotation_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata and spec/vectors instead of comparing with them")

// deep makes the explorations larger: minutes and gigabytes instead of seconds.
var deep = os.Getenv("TACET_DEEP") != ""

// exploration is one run of the explorer and what must come of it.
type exploration struct {
	name  string
	about string
	rule  rule
	world world
	safe  bool
}

// guarantee is the world of the promise "no spurious sign-out": messages and
// cookies on disk live less long than an access token, the tabs share the
// access token, and the overlap is shorter than either.
func guarantee(tabs int) world {
	return world{
		tabs: tabs, access: 2, overlap: 1, life: 1, lag: 1, inFlight: 3,
		repeats: true, crash: true, rollback: 2, forgets: 1,
	}
}

func (w world) with(change func(*world)) world {
	change(&w)
	return w
}

// serial is a client that sends one renewal at a time, to the end.
var serial = world{tabs: 3, access: 2, overlap: 1, inFlight: 3, ownTokens: true, lock: true, cleanBreaks: true}

func withinTheGuarantee() []exploration {
	g := []exploration{
		{name: "guarantee, 1 tab", world: guarantee(1).with(func(w *world) { w.inFlight, w.forgets = 4, 2 })},
		{name: "guarantee, 2 tabs", world: guarantee(2).with(func(w *world) { w.forgets = 2 })},
		{name: "guarantee, 3 tabs", world: guarantee(3)},
		{name: "guarantee, 2 tabs, longer lives", world: guarantee(2).with(func(w *world) { w.access, w.life, w.lag, w.rollback = 3, 2, 2, 1 }),
			about: "messages outlive the overlap by far"},
		{name: "guarantee, 3 tabs, no overlap", world: guarantee(3).with(func(w *world) { w.overlap = 0 }),
			about: "inside the guarantee the overlap is not needed"},
		{name: "guarantee, 2 tabs, long overlap", world: guarantee(2).with(func(w *world) { w.overlap = 4 }),
			about: "and does no harm, however long"},
		{name: "any earlier state", world: guarantee(1).with(func(w *world) { w.inFlight, w.rollback, w.forgets = 2, 4, 2 }),
			about: "the store falls back by up to four writes, twice"},
		{name: "serial client", world: serial.with(func(w *world) { w.rollback, w.forgets, w.reload, w.messagesFall = 2, 2, true, true }),
			about: "one renewal at a time, each over before the next: safe at any pace, whatever access tokens live"},
		{name: "serial client that confirms", world: serial.with(func(w *world) { w.confirm, w.tabs = true, 2; w.rollback, w.forgets = 1, 1 }),
			about: "one renewal at a time, cookie on disk before the confirmation, repetitions gone within the overlap"},
		{name: "tabs with tokens of their own, by turns", world: serial.with(func(w *world) { w.tabs, w.access, w.ownRefresh = 2, 1, true; w.rollback, w.forgets = 1, 1 }),
			about: "one renewal at a time, each tab with the token that it was given last and the newest in the cookie beside it"},
		{name: "in-memory access token, power loss", world: guarantee(2).with(func(w *world) { w.bootRenews, w.messagesFall = true, true }),
			about: "after a crash the browser renews at once with the cookie from the disk"},
	}
	if deep {
		for _, tabs := range []int{1, 2, 3} {
			g = append(g, exploration{
				name: fmt.Sprintf("deep guarantee, %d tabs", tabs),
				world: guarantee(tabs).with(func(w *world) {
					w.access, w.life, w.lag, w.forgets = 3, 2, 2, 2
					if tabs < 3 {
						w.inFlight = 4
					}
				}),
			})
		}
		g = append(g, exploration{name: "deep, any earlier state",
			world: guarantee(2).with(func(w *world) { w.rollback, w.forgets = 4, 2 })})
	}
	for i := range g {
		g[i].rule, g[i].safe = headAndFork, true
	}
	return g
}

func outsideTheGuarantee() []exploration {
	quick := world{access: 2, overlap: 1, inFlight: 3} // all messages are gone within a tick, which is within the overlap
	g := []exploration{
		{name: "a message as old as an access token", world: guarantee(2).with(func(w *world) { w.life = w.access; w.crash = false; w.repeats = false; w.rollback = 0 }),
			about: "dropped: messages live less long than an access token"},
		{name: "a cookie on disk as old as an access token", world: guarantee(1).with(func(w *world) { w.lag = w.access; w.rollback = 0 }),
			about: "dropped: the cookie on disk lags less than an access lifetime"},
		{name: "each tab with an access token of its own", world: guarantee(2).with(func(w *world) { w.ownTokens = true; w.crash = false; w.rollback = 0 }),
			about: "dropped: tabs share the access token; a repetition outlives the overlap"},
		{name: "own access tokens, answers overtaking", world: quick.with(func(w *world) { w.tabs, w.ownTokens, w.cleanBreaks = 3, true, true }),
			about: "the same, with nothing lost and everything within the overlap: a sibling's answer lands last"},
		{name: "own access tokens, grandparent", world: quick.with(func(w *world) { w.tabs, w.ownTokens, w.lock = 3, true, true }),
			about: "the same under a lock: two quick renewals while a broken request is still under way"},
		{name: "tabs with tokens of their own, by turns, no cookie", rule: withoutCookie, world: serial.with(func(w *world) { w.tabs, w.access, w.ownRefresh = 2, 1, true }),
			about: "dropped: one jar; each tab presents only what it was given last"},
		{name: "reloads without an access token", world: quick.with(func(w *world) { w.tabs, w.reload = 1, true }),
			about: "dropped: a reload keeps the access token; the page spends a renewal each time"},
		{name: "reload, then power loss", world: quick.with(func(w *world) {
			w.tabs, w.lag, w.reload, w.crash, w.messagesFall, w.cleanBreaks = 1, 1, true, true, true, true
		}), about: "dropped: the disk is at most one presentation behind"},
		{name: "a page leaves, its cookie lands", world: quick.with(func(w *world) { w.tabs, w.pageLeaves = 2, true }),
			about: "dropped: who gets the cookie gets the access token"},
		{name: "confirm without a lock", world: quick.with(func(w *world) { w.tabs, w.confirm = 2, true }),
			about: "two tabs confirm two siblings"},
		{name: "confirm, then a repetition", world: quick.with(func(w *world) { w.tabs, w.life, w.confirm, w.repeats = 1, 1, true, true }),
			about: "a confirmed child moves the head at once: a repetition must come within the overlap"},
		{name: "confirm before the cookie is on disk", world: quick.with(func(w *world) { w.tabs, w.confirm, w.crash = 1, true, true }),
			about: "a confirmed child that is forgotten leaves the browser with a dead parent"},
	}
	for i := range g {
		if g[i].rule.name == "" {
			g[i].rule = headAndFork
		}
	}
	return g
}

func rivals() []exploration {
	calm := world{tabs: 1, access: 2, overlap: 1, life: 1, inFlight: 3, cleanBreaks: true}
	return []exploration{
		{name: "strict, answer lost", rule: strict, world: calm},
		{name: "strict, request repeated", rule: strict, world: calm.with(func(w *world) { w.repeats, w.lock = true, true })},
		{name: "strict, two tabs", rule: strict, world: calm.with(func(w *world) { w.tabs = 2 })},
		{name: "grace, answer lost", rule: grace, world: calm},
		{name: "grace, two tabs", rule: grace, world: calm.with(func(w *world) { w.tabs = 2 })},
		{name: "own chains, answer lost", rule: ownChains, world: calm},
		{name: "parent answered, no rollback", rule: parentAnswered, world: guarantee(3).with(func(w *world) { w.rollback = 0 }), safe: true,
			about: "kind to honest browsers; see the thief"},
		{name: "parent answered, store forgets", rule: parentAnswered, world: calm.with(func(w *world) { w.rollback, w.forgets = 1, 1 })},
	}
}

// TestNoSpuriousSignOut: for one browser with any number of tabs on one cookie
// jar and any loss, delay, reordering or repetition within an access token's
// lifetime, crashes, and stores that forget acknowledged writes, the honest
// session is never revoked, and the browser can renew from every state.
func TestNoSpuriousSignOut(t *testing.T) { runAll(t, "explorer-safe.txt", withinTheGuarantee()) }

// TestEveryAssumptionIsNeeded drops the assumptions one at a time.
func TestEveryAssumptionIsNeeded(t *testing.T) {
	runAll(t, "explorer-boundary.txt", outsideTheGuarantee())
}

// TestRivalsFail shows that the explorer can fail: it finds what is wrong with
// the rules in use elsewhere.
func TestRivalsFail(t *testing.T) { runAll(t, "explorer-rivals.txt", rivals()) }

func runAll(t *testing.T, file string, all []exploration) {
	var report strings.Builder
	for _, x := range all {
		res, err := explore(x.rule, x.world, 5_000_000)
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		text := x.describe(res)
		t.Log("\n" + text)
		if x.safe && res.trace != nil {
			t.Errorf("%s: an honest session was revoked", x.name)
		}
		if !x.safe && res.trace == nil {
			t.Errorf("%s: expected a failure, found none", x.name)
		}
		report.WriteString(text)
	}
	if !deep {
		golden(t, file, report.String())
	}
}

func (x exploration) describe(res result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", x.rule.name, x.name)
	if x.about != "" {
		fmt.Fprintf(&b, "  (%s)\n", x.about)
	}
	fmt.Fprintf(&b, "  world: %s\n", x.world)
	if res.trace == nil {
		fmt.Fprintf(&b, "  never revoked, always renewable: all %d reachable states\n", res.states)
	} else {
		fmt.Fprintf(&b, "  REVOKED after %d steps (%d states seen), shortest trace:\n", len(res.trace), res.states)
	}
	for i, line := range res.trace {
		fmt.Fprintf(&b, "  %3d. %s\n", i+1, line)
	}
	return b.String() + "\n"
}

func (w world) String() string {
	s := fmt.Sprintf("%d tab(s); in ticks: access token %d, overlap %d, message %d", w.tabs, w.access, w.overlap, w.life)
	if w.crash {
		s += fmt.Sprintf(", cookie on disk %d", w.lag)
	}
	s += fmt.Sprintf("; %d exchanges at once", w.inFlight)
	if w.rollback > 0 {
		s += fmt.Sprintf("; the store forgets up to %d writes, %d×", w.rollback, w.forgets)
	}
	for _, f := range []struct {
		on   bool
		text string
	}{
		{w.repeats, "requests repeated"}, {w.crash, "crashes"}, {w.ownTokens, "an access token per tab"}, {w.ownRefresh, "a refresh token per tab"}, {w.lock, "one renewal at a time"},
		{w.cleanBreaks, "broken requests do not arrive"}, {w.bootRenews, "crashes lose the access token"}, {w.reload, "reloads lose the access token"},
		{w.messagesFall, "messages die with the browser"}, {w.pageLeaves, "cookies land without their page"}, {w.confirm, "children confirmed"},
	} {
		if f.on {
			s += "; " + f.text
		}
	}
	return s
}

// TestBoundaryIsExact: two tabs are safe if, and only if, messages and cookies
// on disk live less long than an access token, whatever the overlap.
func TestBoundaryIsExact(t *testing.T) {
	longest := uint8(2)
	if deep {
		longest = 4
	}
	var states int
	for overlap := range longest + 1 {
		for access := uint8(1); access <= longest; access++ {
			for life := range longest + 1 {
				for lag := range longest + 1 {
					w := world{tabs: 2, access: access, overlap: overlap, life: life, lag: lag, inFlight: 3, repeats: true, crash: true}
					res, err := explore(headAndFork, w, 1_000_000)
					if err != nil {
						t.Fatalf("%v: %v", w, err)
					}
					states += res.states
					if safe, want := res.trace == nil, life < access && lag < access; safe != want {
						t.Errorf("%v: safe %v, want %v; %s", w, safe, want, strings.Join(res.trace, "; "))
					}
				}
			}
		}
	}
	t.Logf("%d states in all", states)
}

// golden compares got with a file in testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the explorer finds now; if that is right, run: go test ./rotation -run %s -update", path, t.Name())
	}
}
