package rotation

import "time"

// Head is the newest refresh token of a session that anyone has presented.
type Head struct {
	Generation uint32
	Tag        Tag
	Parent     Tag
}

// Root is the head of a session that was just started: generation 0, which no
// token carries, under a random tag that the first children name as parent.
func Root(tag Tag) Head { return Head{Tag: tag} }

// State is everything a server remembers about a session's chain.
// It has the same size after any number of renewals.
type State struct {
	Head      Head
	HeadAt    time.Time // when Head was first presented; CreatedAt for a root
	CreatedAt time.Time // when the user signed in
	Ended     bool      // signed out, thrown out or revoked
}

// Policy holds the durations that a decision depends on. It may change at any
// time and applies to tokens that are already out. Zero Idle or Absolute means
// no such limit.
type Policy struct {
	// Overlap is how long after HeadAt a slow duplicate of the request that
	// the head came from still gets a response, with an access token only.
	Overlap time.Duration
	// Idle is how long a session lives after HeadAt.
	Idle time.Duration
	// Absolute is how long a session lives after CreatedAt.
	Absolute time.Duration
}

// ExpiresAt is the first instant at which the session is over if its head does
// not move again, or the zero time if the policy sets no limit.
func (p Policy) ExpiresAt(s State) time.Time {
	var at time.Time
	if p.Idle > 0 {
		at = s.HeadAt.Add(p.Idle)
	}
	if p.Absolute > 0 {
		if abs := s.CreatedAt.Add(p.Absolute); at.IsZero() || abs.Before(at) {
			at = abs
		}
	}
	return at
}

// Expired reports whether the session's idle or absolute lifetime is over.
func (p Policy) Expired(s State, now time.Time) bool {
	at := p.ExpiresAt(s)
	return !at.IsZero() && !now.Before(at)
}

// Outcome says what a presentation means.
type Outcome uint8

const (
	// Ended: the session was ended before. Refuse; nothing changes.
	Ended Outcome = iota
	// Expired: the idle or absolute lifetime is over. Refuse; nothing changes.
	Expired
	// Retried: the head was presented again (a lost response, a retry, a second
	// tab). Mint a child; nothing to write.
	Retried
	// Advanced: a child of the head is in use and becomes the head. Write it,
	// mint a child.
	Advanced
	// CaughtUp: the token is authentic and newer than any child of the head,
	// so the store has lost acknowledged writes. It becomes the head.
	CaughtUp
	// Overlapped: a slow duplicate of the request that the head came from.
	// Respond with an access token only; the client's refresh token is newer
	// than anything that could be minted here.
	Overlapped
	// Reused: somebody holds a copy. Revoke the session.
	Reused
)

var outcomeNames = [...]string{"ended", "expired", "retried", "advanced", "caught_up", "overlapped", "reuse_detected"}

// String is the outcome's stable name, as used in logs, metrics and test vectors.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// Granted reports whether the response carries an access token.
func (o Outcome) Granted() bool { return o == Overlapped || o.Mints() }

// Mints reports whether the response carries a new refresh token.
func (o Outcome) Mints() bool { return o == Retried || o == Advanced || o == CaughtUp }

// Moves reports whether the presented token must become the head, by
// compare-and-swap against the head that was decided on.
func (o Outcome) Moves() bool { return o == Advanced || o == CaughtUp }

// Decision is what to do with a presentation. Head is the head after it: the
// presented token where Outcome.Moves, else the head as it was. Children are
// minted from Head.
type Decision struct {
	Outcome Outcome
	Head    Head
}

// Decide is the whole rule (PROTOCOL.md, "Presenting a token"). The token must
// have been opened with [Open] and belong to the session whose state is given.
// If another presentation moves the head before the decision is applied, load
// the state again and decide again.
func Decide(s State, t Token, p Policy, now time.Time) Decision {
	h := s.Head
	switch {
	case s.Ended:
		return Decision{Ended, h}
	case p.Expired(s, now):
		return Decision{Expired, h}
	case t.Generation == h.Generation && t.Tag == h.Tag:
		return Decision{Retried, h}
	case t.childOf(h):
		return Decision{Advanced, t.head()}
	case t.newerThanChildOf(h):
		return Decision{CaughtUp, t.head()}
	case now.Sub(s.HeadAt) < p.Overlap && (t.parentOf(h) || t.siblingOf(h)):
		return Decision{Overlapped, h}
	default:
		return Decision{Reused, h}
	}
}

// Choose is which of two tokens in one request is decided on: t, or kept, which the
// browser has added by itself (an HttpOnly cookie). Tabs that each hold a token of their
// own present stale ones; a browser that has the newest in its cookie jar as well is no
// thief. kept counts if it is of the same session and worth as much as t or more, so
// both together are never worth more than the better one alone. Without a second token,
// kept is the zero Token.
func Choose(s State, t, kept Token, p Policy, now time.Time) Token {
	worth := func(t Token) int {
		switch o := Decide(s, t, p, now).Outcome; {
		case o.Mints():
			return 2
		case o.Granted():
			return 1
		}
		return 0
	}
	if kept.Session == t.Session && worth(kept) >= worth(t) {
		return kept
	}
	return t
}

// The additions are made in 64 bits: a generation at its end must not wrap.

func (t Token) childOf(h Head) bool {
	return uint64(t.Generation) == uint64(h.Generation)+1 && t.Parent == h.Tag
}

func (t Token) newerThanChildOf(h Head) bool {
	return uint64(t.Generation) > uint64(h.Generation)+1
}

func (t Token) parentOf(h Head) bool {
	return uint64(t.Generation)+1 == uint64(h.Generation) && t.Tag == h.Parent
}

func (t Token) siblingOf(h Head) bool {
	return t.Generation == h.Generation && t.Parent == h.Parent
}

func (t Token) head() Head { return Head{t.Generation, t.Tag, t.Parent} }

// Condition is a condition on a stored state that a store can check inside one
// conditional write, so that the common renewal needs no read before it.
type Condition struct {
	Generation   uint32
	Tag          Tag
	HeadAfter    time.Time // HeadAt must be later; zero: any
	CreatedAfter time.Time // CreatedAt must be later; zero: any
}

// Expect is the condition under which Decide(state, t, p, now) is Advanced: a store
// that finds a state which is not Ended and satisfies it may move the head to t
// without asking Decide. No other state satisfies it.
func Expect(t Token, p Policy, now time.Time) (Condition, bool) {
	if t.Generation == 0 {
		return Condition{}, false
	}
	c := Condition{Generation: t.Generation - 1, Tag: t.Parent}
	if p.Idle > 0 {
		c.HeadAfter = now.Add(-p.Idle)
	}
	if p.Absolute > 0 {
		c.CreatedAfter = now.Add(-p.Absolute)
	}
	return c, true
}

// Condition is the compare-and-swap condition for a decision made on s.
func (s State) Condition() Condition {
	return Condition{Generation: s.Head.Generation, Tag: s.Head.Tag}
}

// Holds reports whether s satisfies c. Stores must agree with it.
func (c Condition) Holds(s State) bool {
	return !s.Ended && s.Head.Generation == c.Generation && s.Head.Tag == c.Tag &&
		(c.HeadAfter.IsZero() || s.HeadAt.After(c.HeadAfter)) &&
		(c.CreatedAfter.IsZero() || s.CreatedAt.After(c.CreatedAfter))
}
