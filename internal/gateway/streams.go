package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// ErrSessionOver is returned by Config.Session for a session that has ended or
// expired, or that there never was.
var ErrSessionOver = errors.New("gateway: the session is over")

// ending is why a stream is closed.
type ending struct {
	code   uint16 // of a WebSocket's close frame
	reason string
}

var (
	sessionEnded  = &ending{wire.CloseSessionOver, wire.CloseSessionEnded}
	grantsChanged = &ending{wire.CloseSessionOver, wire.CloseGrantsChanged}
	goingAway     = &ending{1001, ""} // RFC 6455 §7.4.1
)

// stream is a response that may never end, and whose session must live.
type stream struct {
	session, user string
	grants        int64
	// end closes both sides. It is called once at most and must not block.
	end  func(*ending)
	once sync.Once
}

func (s *stream) over(e *ending) { s.once.Do(func() { s.end(e) }) }

// done says that there is nothing to close any more: end is not called after it.
func (s *stream) done() { s.once.Do(func() {}) }

// streams are all that are open. Sessions and users have few each.
type streams struct {
	mu        sync.Mutex
	closed    bool
	bySession map[string]map[*stream]bool
	byUser    map[string]map[*stream]bool
}

func newStreams() *streams {
	return &streams{bySession: map[string]map[*stream]bool{}, byUser: map[string]map[*stream]bool{}}
}

func (l *streams) add(s *stream) {
	l.mu.Lock()
	put(l.bySession, s.session, s)
	put(l.byUser, s.user, s)
	closed := l.closed
	l.mu.Unlock()
	if closed {
		s.over(goingAway)
	}
}

func (l *streams) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	drop(l.bySession, s.session, s)
	drop(l.byUser, s.user, s)
}

func put(m map[string]map[*stream]bool, name string, s *stream) {
	if m[name] == nil {
		m[name] = map[*stream]bool{}
	}
	m[name][s] = true
}

func drop(m map[string]map[*stream]bool, name string, s *stream) {
	delete(m[name], s)
	if len(m[name]) == 0 {
		delete(m, name)
	}
}

// endIf closes those under the name for which f holds; nil: all.
func (l *streams) endIf(m map[string]map[*stream]bool, name string, e *ending, f func(*stream) bool) {
	l.mu.Lock()
	var over []*stream
	for s := range m[name] {
		if f == nil || f(s) {
			over = append(over, s)
		}
	}
	l.mu.Unlock()
	for _, s := range over {
		s.over(e)
	}
}

// SessionEnded closes the streams of a session. What the access tokens are
// checked against (Config.Liveness) must know of it already. Calls on a nil
// Gateway do nothing; it never blocks.
func (g *Gateway) SessionEnded(sessionID string) {
	if g != nil {
		g.streams.endIf(g.streams.bySession, sessionID, sessionEnded, nil)
	}
}

// GrantsChanged closes the user's streams that were opened with older grants:
// what the upstream was told about the user is not true any more. The client
// renews and connects again, if it still may. As for SessionEnded.
func (g *Gateway) GrantsChanged(userID string, version int64) {
	if g != nil {
		g.streams.endIf(g.streams.byUser, userID, grantsChanged, func(s *stream) bool { return s.grants < version })
	}
}

// Close closes all streams, now and from now on, for a server that stops.
func (g *Gateway) Close() {
	if g == nil {
		return
	}
	l := g.streams
	l.mu.Lock()
	l.closed = true
	var all []*stream
	for _, set := range l.bySession {
		for s := range set {
			all = append(all, s)
		}
	}
	l.mu.Unlock()
	for _, s := range all {
		s.over(goingAway)
	}
}

const (
	checkTimeout = 5 * time.Second
	checkRetry   = 30 * time.Second
)

// watch closes the stream when its session is over, until ctx is done. Ends are
// told as they happen; of a session that runs out nobody tells, so the store is
// asked: when the access token runs out, then when the session would if it were
// not renewed, but at least every Config.Recheck.
func (g *Gateway) watch(ctx context.Context, s *stream, next time.Time) {
	wait := g.until(next)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		limited, cancel := context.WithTimeout(ctx, checkTimeout)
		expires, err := g.Session(limited, s.session)
		cancel()
		switch {
		case errors.Is(err, ErrSessionOver):
			s.over(sessionEnded)
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			g.Logger.Warn("whether the session of an open stream still lives could not be read; it will be tried again", "error", err, "in", checkRetry.String())
			wait = checkRetry
		default:
			wait = g.until(expires)
		}
	}
}

// until is how long to wait for t; a moment at least, so that what is due at
// that time has happened.
func (g *Gateway) until(t time.Time) time.Duration {
	if t.IsZero() {
		return g.Recheck
	}
	return max(time.Millisecond, min(t.Sub(g.Clock())+time.Millisecond, g.Recheck))
}
