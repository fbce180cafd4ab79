package verify

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const sweepEvery = time.Minute

// revocations are what a [Liveness] has been told: the sessions that have ended and the
// users whose grants have changed, as long as they matter. Reads take no lock
// but that of one shard.
type revocations struct {
	ended, changed *marks
	floor          atomic.Int64 // tokens issued before that second are stale
	overflows      atomic.Int64
	max            int64

	mu     sync.Mutex // serialises record
	latest time.Time  // the latest time of any event
	swept  time.Time
}

func newRevocations(limit int) *revocations {
	return &revocations{ended: newMarks(), changed: newMarks(), max: int64(limit)}
}

func (k *revocations) live(t *Token) error {
	if _, ended := k.ended.version(t.session); ended {
		return ErrSessionEnded
	}
	if version, changed := k.changed.version(t.subject); changed && t.grantsVersion < version {
		return ErrStaleGrants
	}
	if t.issuedAt.Unix() < k.floor.Load() {
		return ErrStaleGrants
	}
	return nil
}

// record adds one name and keeps within max. at is when it happened, now the
// time, keep how long after its time an event matters.
func (k *revocations) record(m *marks, name string, version int64, at, now time.Time, keep time.Duration) (isNew bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at.After(k.latest) {
		k.latest = at
	}
	until := at.Add(keep)
	if latest := now.Add(keep); until.After(latest) {
		until = latest // an absurd time must not stay for ever
	}
	if k.size() >= k.max {
		k.sweep(now)
	}
	if k.size() >= k.max {
		// Too much to keep: everything that these events concern was issued up
		// to the second of the latest of them.
		k.overflows.Add(1)
		k.floor.Store(max(k.floor.Load(), k.latest.Unix()+1))
		k.ended.clear()
		k.changed.clear()
	}
	return m.raise(name, version, until)
}

// forgetGrants drops the marks of users, for those who will be told again.
func (k *revocations) forgetGrants() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changed.clear()
}

func (k *revocations) size() int64 { return k.ended.count.Load() + k.changed.count.Load() }

func (k *revocations) sweepIfDue(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.swept) >= sweepEvery || now.Before(k.swept) {
		k.sweep(now)
	}
}

func (k *revocations) sweep(now time.Time) {
	k.ended.sweep(now)
	k.changed.sweep(now)
	k.swept = now
}

// LiveSet is a [Liveness] that is told what happens by its owner: the issuer
// itself, or a program that hears of it in a way of its own. It is what a [Feed]
// keeps, without the connection. It is safe for concurrent use.
type LiveSet struct {
	revoked *revocations
	keep    time.Duration
	clock   func() time.Time
}

// NewLiveSet returns an empty set. keep is how long after its time an event
// matters: the longest life of an access token and wire.FeedMargin seconds. At
// most maxMarks sessions and users are kept (0: DefaultMaxMarks); see
// [FeedConfig] for what happens beyond. clock is the issuer's; nil: time.Now.
func NewLiveSet(keep time.Duration, maxMarks int, clock func() time.Time) *LiveSet {
	if maxMarks <= 0 {
		maxMarks = DefaultMaxMarks
	}
	if clock == nil {
		clock = time.Now
	}
	return &LiveSet{revoked: newRevocations(maxMarks), keep: keep, clock: clock}
}

// SessionEnded refuses the session's tokens from now on. It reports whether
// that is news.
func (l *LiveSet) SessionEnded(sessionID string, at time.Time) (isNew bool) {
	return l.record(l.revoked.ended, sessionID, 0, at)
}

// GrantsChanged refuses the user's tokens with a smaller grants version.
func (l *LiveSet) GrantsChanged(userID string, version int64, at time.Time) {
	l.record(l.revoked.changed, userID, version, at)
}

// ForgetGrants forgets all versions of grants. It is for the owner of a store that
// has fallen back to an earlier state: a version that the store has forgotten would
// be asked of tokens that nobody can make any more. Sessions that ended stay so.
func (l *LiveSet) ForgetGrants() { l.revoked.forgetGrants() }

func (l *LiveSet) record(m *marks, name string, version int64, at time.Time) bool {
	now := l.clock()
	if !now.Before(at.Add(l.keep)) {
		return false // concerns no token that still lives
	}
	l.revoked.sweepIfDue(now)
	return l.revoked.record(m, name, version, at, now, l.keep)
}

// Live implements [Liveness].
func (l *LiveSet) Live(_ context.Context, t *Token) error { return l.revoked.live(t) }
