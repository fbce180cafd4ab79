package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-dev/tacet/rotation"
)

// lag is how long a node may take, when nothing is broken, to hear of the end of
// a session: PostgreSQL is looked at every second, and a connection that has
// just come back may take as long again.
const lag = 2500 * time.Millisecond

// verdict is what the oracle has found.
type verdict struct {
	wrongs []string

	sessions, renewals, bare int
	unknown, later           int // answers that were lost, and 503
	robbed, revoked          int // sessions
	signedOut                int // honest clients whose session was robbed
	forgotten                int // sessions that a loss has undone, sign-in and all
	caughtUp, uses           int
}

func (v *verdict) wrong(format string, args ...any) {
	v.wrongs = append(v.wrongs, fmt.Sprintf(format, args...))
}

func (v verdict) String() string {
	return fmt.Sprintf("%d sessions, %d renewals, %d with an access token alone, %d calls without an answer, %d put off; %d sessions robbed, %d revoked, %d owners signed out by it; %d sign-ins forgotten by the store, %d times caught up; %d uses of dead access tokens",
		v.sessions, v.renewals, v.bare, v.unknown, v.later, v.robbed, v.revoked, v.signedOut, v.forgotten, v.caughtUp, v.uses)
}

// judge says what was wrong in a run that is over.
func (w *world) judge() (v verdict) {
	v.wrongs = slices.Clone(w.rec.wrong)
	slices.SortFunc(w.losses, func(a, b loss) int { return int(a.Down - b.Down) })
	sessions := map[rotation.SessionID][]op{}
	minted := map[rotation.Token]bool{}
	for _, o := range w.rec.ops {
		sessions[o.session] = append(sessions[o.session], o)
		v.count(o)
		if o.minted != (rotation.Token{}) {
			if minted[o.minted] {
				v.wrong("session %s: two answers held the same token", o.session)
			}
			minted[o.minted] = true
		}
	}
	for id, calls := range sessions {
		slices.SortFunc(calls, func(a, b op) int { return int(a.call - b.call) })
		if calls[0].kind != signIn {
			if i := slices.IndexFunc(calls, func(o op) bool { return o.kind == signIn }); i >= 0 {
				calls[0], calls[i] = calls[i], calls[0]
			} else {
				v.wrong("session %s: nobody has signed in to it\n%s", id, story(calls))
				continue
			}
		}
		v.sessions++
		w.judgeSession(&v, calls)
	}
	w.judgeLogs(&v, sessions)
	return v
}

func (v *verdict) count(o op) {
	switch {
	case o.kind == use:
		v.uses++
	case o.kind == renew && o.answer == granted:
		v.renewals++
	case o.kind == renew && o.answer == bare:
		v.bare++
	case o.answer == unknown && o.status != 0:
		v.later++
	case o.answer == unknown:
		v.unknown++
	}
}

func (w *world) judgeSession(v *verdict, calls []op) {
	id := calls[0].session
	robbed := slices.IndexFunc(calls, func(o op) bool { return o.thief && o.kind == renew })
	if robbed >= 0 {
		v.robbed++
		w.judgeTheft(v, calls)
	}
	for _, o := range calls {
		if o.thief || o.answer != refused || o.kind == use {
			continue
		}
		switch {
		case robbed >= 0 && calls[robbed].call < o.ret:
			v.signedOut++
		case slices.ContainsFunc(calls, func(s op) bool { return s.kind == signOut && s.call < o.ret }):
		case slices.ContainsFunc(w.losses, func(l loss) bool { return l.Down < o.ret && calls[0].ret >= l.From }):
			v.forgotten++
		default:
			v.wrong("session %s of client %d: an honest client was signed out\n%s", id, o.client, story(calls))
		}
		break
	}
	if res := linearisable(calls, w.losses); res != porcupine.Ok {
		v.wrong("session %s: no order of the calls explains their answers (%s)\n%s", id, res, story(calls))
	}
	w.judgeUses(v, calls)
}

// judgeTheft counts rounds, in each of which both sides are given a refresh
// token, since the thief's first use or since the store has last forgotten
// something: there must be no third (rotation.TestTheftShows). A call that
// overlaps the end of a round is counted in neither.
func (w *world) judgeTheft(v *verdict, calls []op) {
	var since time.Duration
	for _, l := range w.losses {
		since = l.Up
	}
	rounds, using, thief := 0, false, -1
	var given [2]bool
	var until time.Duration
	for _, o := range calls {
		if o.kind != renew || o.call < since {
			continue
		}
		if o.thief && thief >= 0 && thief != o.client {
			return // for more than two holders of copies nothing is promised
		}
		if o.thief {
			using, thief = true, o.client
		}
		if !using || o.answer != granted {
			continue
		}
		given[side(o)] = true
		until = max(until, o.ret)
		if given[0] && given[1] {
			rounds, given, since = rounds+1, [2]bool{}, until
		}
	}
	if rounds >= 3 {
		v.wrong("session %s: thief and owner were both given a refresh token, %d times\n%s", calls[0].session, rounds, story(calls))
	}
}

func side(o op) int {
	if o.thief {
		return 1
	}
	return 0
}

// judgeUses looks for access tokens that were accepted after the end of their
// session was acknowledged, when every node must have heard of it.
func (w *world) judgeUses(v *verdict, calls []op) {
	over := time.Duration(-1)
	for _, o := range calls {
		if o.kind == signOut && o.answer == granted || o.kind == renew && o.answer == refused {
			if over < 0 || o.ret < over {
				over = o.ret
			}
		}
	}
	if over < 0 || slices.ContainsFunc(w.losses, func(l loss) bool {
		return l.Up >= l.From && over >= l.From && over <= l.Up || calls[0].ret >= l.From && l.Down < over
	}) {
		return
	}
	for _, o := range calls {
		if o.kind == use && o.answer == granted && o.call > over+lag && w.quiet(o.node, o.call) {
			v.wrong("session %s: an access token was accepted %v after its end\n%s", o.session, o.call-over, story(calls))
			return
		}
	}
}

// quiet reports whether a node was well and connected long enough to have heard
// of everything.
func (w *world) quiet(node int, at time.Duration) bool {
	return !slices.ContainsFunc(w.active, func(f window) bool {
		return (f.node < 0 || f.node == node) && f.from < at && f.to > at-lag
	})
}

// logLine is what a node has to tell about a session.
type logLine struct {
	Time           time.Time
	Event, Session string
}

// logs are what all nodes have to tell about sessions, in order.
func (w *world) logs(v *verdict) (list []logLine) {
	for _, n := range w.nodes {
		f, err := os.Open(n.log())
		if err != nil {
			v.wrong("%v", err)
			continue
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var line logLine
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Session != "" {
				list = append(list, line)
			} else if text := lines.Text(); strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") {
				v.wrong("node %d: %s", n.number, text)
			}
		}
	}
	slices.SortFunc(list, func(a, b logLine) int { return a.Time.Compare(b.Time) })
	return list
}

// judgeLogs compares what the nodes say about thieves and losses with what there
// was.
func (w *world) judgeLogs(v *verdict, sessions map[rotation.SessionID][]op) {
	robbed := w.rec.robbed()
	revoked, caughtUp := map[string]bool{}, map[string]int{}
	for _, line := range w.logs(v) {
		id, err := rotation.ParseSessionID(line.Session)
		if err != nil {
			v.wrong("a node tells of session %q: %v", line.Session, err)
		}
		switch line.Event {
		case "caught_up":
			v.caughtUp++
			caughtUp[line.Session]++
			losses := 0
			for _, l := range w.losses {
				if l.Down < line.Time.Sub(w.rec.began) {
					losses++
				}
			}
			// A thief may come with an older token first.
			if caughtUp[line.Session] > losses && !robbed[id] {
				v.wrong("session %s was caught up with %d times after %d losses: the store has forgotten more than it was made to\n%s",
					line.Session, caughtUp[line.Session], losses, story(sessions[id]))
			}
		case "reuse.detected":
			revoked[line.Session] = true
			if !robbed[id] {
				v.wrong("session %s was revoked, and nobody has copied its token\n%s", line.Session, story(sessions[id]))
			}
		}
	}
	v.revoked = len(revoked)
	if len(w.losses) > 0 && v.caughtUp == 0 {
		v.wrong("the store has lost acknowledged writes, and no token was caught up with")
	}
}

// story is what happened in a session, for people.
func story(calls []op) string {
	var b strings.Builder
	tag := func(t rotation.Token) string {
		if t == (rotation.Token{}) {
			return "-"
		}
		return fmt.Sprintf("%d:%x<%x", t.Generation, t.Tag[:2], t.Parent[:2])
	}
	for _, o := range calls {
		if o.kind == use && o.answer == refused {
			continue
		}
		who := "client"
		if o.thief {
			who = "thief"
		}
		fmt.Fprintf(&b, "    %7.3f–%7.3f %s %d, node %d: %s %s → %s %d %s\n", o.call.Seconds(), o.ret.Seconds(), who, o.client, o.node,
			kindNames[o.kind], tag(o.presented), answerNames[o.answer], o.status, tag(o.minted))
	}
	return b.String()
}
