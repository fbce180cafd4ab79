package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// counts is what happened, for the test's log: a run in which nothing happens
// proves nothing.
type counts struct {
	signIns, moves, ends, rotations int // committed by the store
	outcomes                        int
	byOutcome                       [8]int // by rotation.Outcome
	thefts, caught                  int
	probes, probed                  int
	accepted, refused               int // access tokens
}

// oracle knows the truth and judges answers by it.
type oracle struct {
	w          *world
	sessions   map[rotation.SessionID]*truth
	versions   map[string]grant // of users
	violations []string
	first      string // who is concerned by the first
	story      string
}

// truth is what is so of a session.
type truth struct {
	who       string
	createdAt time.Time // true time
	endedAt   time.Time // committed; zero: it lives
	wasEnded  bool      // also if the store has forgotten it
	over      time.Time // when it was
	may       []string  // reasons for which it may end
	gone      string    // why there may be no row
	gen       uint32
	era       int
	last      time.Time // when somebody last renewed

	copied bool   // somebody used a copy
	sent   string // what the owner has renewed with since then
	got    [2]struct{ whole, any int }
}

// grant is the truth about a user's grants.
type grant struct {
	version   int64
	highest   int64 // ever
	changedAt time.Time
}

func newOracle(w *world) *oracle {
	return &oracle{w: w, sessions: map[rotation.SessionID]*truth{}, versions: map[string]grant{}}
}

func parseID(s string) rotation.SessionID {
	id, err := rotation.ParseSessionID(s)
	if err != nil {
		panic(err) // the server made it
	}
	return id
}

func (o *oracle) violation(who, format string, args ...any) {
	text := fmt.Sprintf("at %v, %s: ", o.w.since(), who) + fmt.Sprintf(format, args...)
	o.w.note(who, "VIOLATION %s", text)
	o.violations = append(o.violations, text)
	if o.first == "" {
		o.first, o.story = who, o.w.story(strings.TrimPrefix(who, "T"), 40)
		o.w.over = true
	}
}

// --- what the store commits

func (o *oracle) created(s session.Session) {
	o.w.count.signIns++
	o.sessions[s.ID] = &truth{who: s.Contact.UserAgent, createdAt: time.Now(), last: time.Now(), era: o.w.store.era}
}

func (o *oracle) moved(in *incarnation, m session.Move, err error) {
	if err != nil {
		return
	}
	o.w.count.moves++
	if o.w.meter != nil {
		o.w.usage().writes++
	}
	t := o.sessions[m.ID]
	if t == nil {
		o.violation(in.name, "a session was renewed that nobody has started")
		return
	}
	if t.era == o.w.store.era && m.Head.Generation <= t.gen {
		o.violation(t.who, "%s wrote generation %d after %d: a second write for one renewal, or a second head", in.name, m.Head.Generation, t.gen)
	}
	t.era, t.gen, t.last = o.w.store.era, m.Head.Generation, time.Now()
}

func (o *oracle) ended(id rotation.SessionID, e session.End) {
	o.w.count.ends++
	t := o.sessions[id]
	t.endedAt, t.wasEnded, t.over = time.Now(), true, time.Now()
	o.w.note(t.who, "the session is ended: %s", e.Reason)
	if e.Reason == wire.ReasonReuseDetected {
		if t.copied {
			o.w.count.caught++
		}
		if !t.copied {
			o.violation(t.who, "an honest session was revoked")
		}
	}
}

func (o *oracle) grantsChanged(id string) {
	for _, b := range o.w.browsers {
		if user := userID(b.user); id == "" || id == user {
			o.look(user, time.Now())
		}
	}
}

// look reads a user's version from the store.
func (o *oracle) look(user string, at time.Time) {
	u, err := o.w.store.data.Directory.UserByID(context.Background(), user)
	if err != nil {
		panic(err) // users are never deleted
	}
	if g := o.versions[user]; g.version != u.GrantsVersion {
		o.versions[user] = grant{u.GrantsVersion, max(g.highest, u.GrantsVersion), at}
	}
}

func (o *oracle) rotated([]keys.Key) { o.w.count.rotations++ }

func (o *oracle) swept(s session.Session) {
	t := o.sessions[s.ID]
	if t == nil {
		return
	}
	policy := rotation.Policy{Idle: o.w.idle, Absolute: o.w.absolute}
	if !s.State.Ended && !policy.Expired(s.State, time.Now()) {
		o.violation(t.who, "a living session was swept")
	}
	t.gone = "swept"
}

// fellBack is told when the store is as it was at a time.
func (o *oracle) fellBack(from time.Time) {
	for _, t := range o.sessions {
		if t.createdAt.After(from) {
			t.gone = "forgotten"
		}
		if t.endedAt.After(from) {
			t.endedAt = time.Time{}
		}
		t.got[0].whole, t.got[0].any, t.got[1].whole, t.got[1].any = 0, 0, 0, 0
	}
	for _, b := range o.w.browsers {
		o.look(userID(b.user), time.Now())
	}
}

// --- what clients see

// mayEnd is told before somebody ends a session.
func (o *oracle) mayEnd(id, reason string) {
	t := o.sessions[parseID(id)]
	t.may = append(t.may, reason)
}

// stolen reports whether a copy of the session's token was taken and used.
func (o *oracle) stolen(id string) bool { return o.sessions[parseID(id)].copied }

// used is told when a thief shows his copy.
func (o *oracle) used(id string) { o.sessions[parseID(id)].copied = true }

// granted is told of tokens that somebody got for a token: whole ones with a
// refresh token.
func (o *oracle) granted(who, id, sent string, whole bool) {
	t := o.sessions[parseID(id)]
	t.last = time.Now()
	if !t.copied {
		return
	}
	side := &t.got[0]
	if strings.HasPrefix(who, "T") {
		side = &t.got[1]
	} else if sent == t.sent {
		return // tabs that renewed at once count as one
	} else {
		t.sent = sent
	}
	side.any++
	if whole {
		side.whole++
	}
	if t.got[0].whole > 2 && t.got[1].whole > 2 || t.got[0].any > 3 && t.got[1].any > 3 {
		o.violation(t.who, "owner and thief have both renewed three times since the copy was used, and nothing was noticed")
	}
}

// refused is told when a client that is honest hears that its session is over.
func (o *oracle) refused(who, id string) {
	sid := parseID(id)
	t := o.sessions[sid]
	s, err := o.w.store.data.Sessions.Get(context.Background(), sid)
	policy := rotation.Policy{Idle: o.w.idle, Absolute: o.w.absolute}
	switch {
	case t.gone != "", t.copied:
	case err != nil:
		o.violation(who, "the session is unknown to the store: %v", err)
	case s.State.Ended || t.wasEnded:
		for _, reason := range t.may {
			if reason == s.End.Reason || !s.State.Ended {
				return
			}
		}
		o.violation(who, "signed out: the session was ended as %q by nobody", s.End.Reason)
	case policy.Expired(s.State, time.Now().Add(o.w.skew)):
	default:
		o.violation(who, "signed out, although the session lives (generation %d)", s.State.Head.Generation)
	}
}

// settled reports whether a node must have heard of what was committed at a time.
func (o *oracle) settled(in *incarnation, at time.Time) bool {
	w := o.w
	for _, since := range []time.Time{in.since, w.store.good} {
		if since.After(at) {
			at = since
		}
	}
	return !w.store.down.Load() && time.Since(at) > w.poll+100*time.Millisecond
}

// call has a node check an access token, and judges what it says. It reports
// whether the token was accepted.
func (o *oracle) call(in *incarnation, who string, a *access) bool {
	_, err := in.Verifier.Verify(context.Background(), a.raw)
	t := o.sessions[parseID(a.claims.SessionID)]
	g := o.versions[a.claims.Subject]
	late := in.clock().Unix() - a.claims.ExpiresAt
	if err == nil {
		o.w.count.accepted++
		switch {
		case !t.endedAt.IsZero() && o.settled(in, t.endedAt):
			o.violation(who, "%s accepted a token %v after its session had ended", in.name, time.Since(t.endedAt))
		case a.claims.GrantsVersion < g.version && o.settled(in, g.changedAt):
			o.violation(who, "%s accepted grants of version %d, %v after they became %d", in.name, a.claims.GrantsVersion, time.Since(g.changedAt), g.version)
		case late >= 0:
			o.violation(who, "%s accepted a token %d s after its end, by its own clock", in.name, late)
		}
		o.elsewhere(who, a)
		return true
	}
	o.w.count.refused++
	o.w.note(who, "%s refuses the access token: %v", in.name, err)
	switch {
	case errors.Is(err, verify.ErrExpired) && late >= -1:
	case errors.Is(err, verify.ErrSessionEnded) && t.wasEnded:
	case errors.Is(err, verify.ErrStaleGrants) && a.claims.GrantsVersion < g.version:
	case errors.Is(err, verify.ErrStaleGrants) && !o.settled(in, g.changedAt):
	default:
		o.violation(who, "%s refused a good access token: %v", in.name, err)
	}
	return false
}

// elsewhere has a resource server that only knows the key set check a token that a
// node has just accepted.
func (o *oracle) elsewhere(who string, a *access) {
	if _, err := o.w.api.Verify(context.Background(), a.raw); err != nil && !errors.Is(err, verify.ErrUnavailable) {
		o.violation(who, "a resource server refused a good access token: %v", err)
	}
}

// decided is told of decisions.
func (o *oracle) decided(in *incarnation, d session.Decided) {
	if d.Started {
		return
	}
	o.w.presented(d.Presented)
	o.w.count.outcomes++
	o.w.count.byOutcome[d.Outcome]++
	if d.Outcome == rotation.Expired {
		s, err := o.w.store.data.Sessions.Get(context.Background(), d.Session)
		policy := rotation.Policy{Idle: o.w.idle, Absolute: o.w.absolute}
		if err == nil && !policy.Expired(s.State, d.At) {
			o.violation(o.sessions[d.Session].who, "%s says expired at %v, which is before %v", in.name, d.At, policy.ExpiresAt(s.State))
		}
	}
}

// lived is how long sessions have been alive, all together.
func (o *oracle) lived() time.Duration {
	var sum time.Duration
	for _, t := range o.sessions {
		end := t.last.Add(o.w.idle)
		for _, other := range []time.Time{t.createdAt.Add(o.w.absolute), o.w.end} {
			if other.Before(end) {
				end = other
			}
		}
		if t.wasEnded && t.over.Before(end) {
			end = t.over
		}
		sum += max(0, end.Sub(t.createdAt))
	}
	return sum
}

// finish is called when the world ends.
func (o *oracle) finish() { o.w.end = time.Now() }
