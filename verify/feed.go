package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// Defaults of [FeedConfig].
const (
	DefaultMaxLag   = 60 * time.Second
	DefaultMaxMarks = 100_000
)

// LostPolicy says what becomes of requests while the feed is lost.
type LostPolicy int

const (
	// OpenThenClosed trusts what is known for MaxLag; then, and before the feed
	// was read for the first time, requests are refused with 503. So nobody is
	// served for longer than MaxLag after the end of their session.
	OpenThenClosed LostPolicy = iota
	// ClosedThenOpen refuses with 503 as soon as the feed is late (three ticks), but
	// for MaxLag only; then signature and expiry alone decide, until the feed is
	// back. For systems where a long outage of the issuer is worse than an ended
	// session that is served to the end of its access token.
	ClosedThenOpen
)

// FeedConfig is what a [Feed] needs to know. URL and Secret are required.
type FeedConfig struct {
	// URL of the feed: the issuer's base path + wire.PathFeed. https, or http on
	// a loopback host.
	URL string
	// InsecureHTTP allows http elsewhere: whoever sits on the way then sees the
	// secret and can hold events back.
	InsecureHTTP bool
	// Secret is sent as bearer token.
	Secret string
	// Lost is the policy for when the feed is lost, MaxLag its time. Zero: 60 s.
	Lost   LostPolicy
	MaxLag time.Duration
	// MaxMarks is how many ended sessions and changed users are kept, about 200
	// bytes each. If there are more within one access lifetime, all tokens
	// issued until then count as stale: clients renew once, silently, and
	// nothing is let through. Zero: DefaultMaxMarks.
	MaxMarks int
	// Keys is refreshed when the issuer says that its keys have changed: the
	// [KeySet] of the Verifier. May be nil.
	Keys interface{ Refresh(context.Context) error }
	// OnEnded is told of each session that has ended, once as a rule, to close
	// connections that it holds open. It must not block. May be nil.
	OnEnded func(sessionID string)
	// OnError is told why a connection was lost, for the log. May be nil.
	OnError func(error)
	// Client connects. Nil: one without redirects and without a time-out for the
	// whole response.
	Client *http.Client
	// Clock is the local time. Nil: time.Now.
	Clock func() time.Time
}

// Feed is a [Liveness] that is kept up to date by the issuer, over one
// connection that [Feed.Run] holds open. It knows the sessions that have ended
// and the users whose grants have changed within the last access lifetime; older
// ones concern no token that still lives. A request costs two look-ups in
// memory.
type Feed struct {
	c      FeedConfig
	client *http.Client
	jitter func() float64 // in [0,1)
	start  time.Time

	revoked   *revocations
	clock     atomic.Pointer[feedClock]
	tolerance atomic.Int64 // three ticks, in ns
	running   atomic.Bool
	synced    chan struct{} // closed by the first tick
	syncOnce  sync.Once

	connections, resets atomic.Int64

	// Of Run's goroutine only.
	resume string        // Last-Event-ID
	keep   time.Duration // how long after its time an event matters
}

// NewFeed checks c; the feed works while [Feed.Run] does.
func NewFeed(c FeedConfig) (*Feed, error) {
	if err := checkURL("FeedConfig.URL", c.URL, c.InsecureHTTP); err != nil {
		return nil, err
	}
	switch {
	case c.Secret == "":
		return nil, errors.New("verify: FeedConfig.Secret is empty; it must be the feed secret that the issuer is configured with")
	case !quotable(c.Secret):
		return nil, errors.New("verify: FeedConfig.Secret must be printable ASCII without quote and backslash")
	case c.MaxLag < 0 || c.MaxMarks < 0:
		return nil, errors.New("verify: MaxLag and MaxMarks of FeedConfig cannot be negative")
	case c.Lost != OpenThenClosed && c.Lost != ClosedThenOpen:
		return nil, fmt.Errorf("verify: FeedConfig.Lost is %d, which is no policy", c.Lost)
	}
	c.MaxLag = orElse(c.MaxLag, DefaultMaxLag)
	if c.MaxMarks == 0 {
		c.MaxMarks = DefaultMaxMarks
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	f := &Feed{
		c: c, client: c.Client, jitter: rand.Float64, start: c.Clock(),
		revoked: newRevocations(c.MaxMarks), synced: make(chan struct{}),
	}
	f.tolerance.Store(int64(firstSilence))
	f.clock.Store(&feedClock{epoch: f.start, lo: f.start, hi: f.start, tickAt: f.start})
	if f.client == nil {
		f.client = streamClient()
	}
	return f, nil
}

// Live implements [Liveness].
func (f *Feed) Live(_ context.Context, t *Token) error {
	if err := f.revoked.live(t); err != nil {
		return err
	}
	if f.lost() {
		return ErrFeedLost
	}
	return nil
}

// lost reports whether the policy refuses everybody now.
func (f *Feed) lost() bool {
	c := f.clock.Load()
	lag := c.lag(f.c.Clock())
	if f.c.Lost == ClosedThenOpen {
		return (c.tick.IsZero() || lag > time.Duration(f.tolerance.Load())) && lag <= f.c.MaxLag
	}
	return c.tick.IsZero() || lag > f.c.MaxLag
}

// Lag is how far the feed may be behind at most: what happened longer ago is
// known here. Before the first tick it counts from NewFeed.
func (f *Feed) Lag() time.Duration { return f.clock.Load().lag(f.c.Clock()) }

// Now is the issuer's clock as seen from here, at most one transit time slow;
// the local clock before the issuer was heard for the first time. As
// Config.Clock it makes the Verifier independent of the local one.
func (f *Feed) Now() time.Time {
	lo, _ := f.clock.Load().at(f.c.Clock())
	return lo
}

// Ready waits until the feed has been read up to the present once, for start-up
// and readiness checks.
func (f *Feed) Ready(ctx context.Context) error {
	select {
	case <-f.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrFeedLost, ctx.Err())
	}
}

// FeedStats is for metrics.
type FeedStats struct {
	Lag            time.Duration
	Ended, Changed int   // sessions and users kept
	Connections    int64 // made so far
	Resets         int64 // times that the issuer said: start over
	Overflows      int64 // times that MaxMarks was reached
}

// Stats returns the present figures.
func (f *Feed) Stats() FeedStats {
	return FeedStats{
		Lag: f.Lag(), Ended: int(f.revoked.ended.count.Load()), Changed: int(f.revoked.changed.count.Load()),
		Connections: f.connections.Load(), Resets: f.resets.Load(), Overflows: f.revoked.overflows.Load(),
	}
}

// apply takes in one event.
func (f *Feed) apply(e event, sent time.Time) error {
	switch e.kind {
	case wire.EventFeedHello:
		return f.hello(e.data, sent)
	case wire.EventFeedTick:
		return f.tick(e.data)
	case wire.EventSessionEnded:
		var d wire.FeedSessionEnded
		at, err := decode(e, &d, &d.At)
		if err != nil || d.SessionID == "" {
			return malformed(e, err)
		}
		if f.revoked.record(f.revoked.ended, d.SessionID, 0, at, f.Now(), f.keep) && f.c.OnEnded != nil {
			f.c.OnEnded(d.SessionID)
		}
	case wire.EventGrantsChanged:
		var d wire.FeedGrantsChanged
		at, err := decode(e, &d, &d.At)
		if err != nil || d.UserID == "" {
			return malformed(e, err)
		}
		f.revoked.record(f.revoked.changed, d.UserID, d.GrantsVersion, at, f.Now(), f.keep)
	case wire.EventKeysRotated:
		if f.c.Keys != nil {
			go func() { // its errors are told by KeySetConfig.OnError
				ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
				defer cancel()
				_ = f.c.Keys.Refresh(ctx)
			}()
		}
	}
	return nil
}
