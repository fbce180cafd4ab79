package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/events"
)

const (
	// writeTimeout is how long a peer may leave us sitting on what we want to
	// send before it counts as dead.
	writeTimeout = 10 * time.Second
	// maxStreams bounds the streams of browsers, maxUserStreams those of one user,
	// maxSessionStreams those of one session, so that none of them takes all that
	// the user has, and maxFeeds those of resource servers.
	maxStreams        = 20_000
	maxUserStreams    = 64
	maxSessionStreams = 16
	maxFeeds          = 256

	flushAt = 16 << 10 // bytes
)

// stream writes server-sent events (HTML standard §9.2). It has no goroutine
// and no buffer of its own while nothing is sent.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stopped <-chan struct{} // the server is being shut down
	buf     []byte
}

// openStream begins the response. The server's time limits are for responses that
// end: the one for reading would cut every stream after a while, so it is
// lifted, and each write gets a limit of its own.
func (a *API) openStream(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{w: w, control: http.NewResponseController(w), stopped: a.stops.of(r)}
	_ = s.control.SetReadDeadline(time.Time{})
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx passes it on at once
	w.WriteHeader(http.StatusOK)
	return s
}

// close gives the end of the response its time.
func (s *stream) close() { s.limit() }

func (s *stream) limit() { _ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout)) }

// event adds an event. Data must be without line breaks, as JSON is.
func (s *stream) event(kind string, id string, data []byte) error {
	s.buf = append(append(s.buf, "event: "...), kind...)
	s.buf = append(append(s.buf, "\nid: "...), id...)
	s.buf = append(append(append(s.buf, "\ndata: "...), data...), "\n\n"...)
	if len(s.buf) < flushAt {
		return nil
	}
	return s.flush()
}

// lines adds lines that are no event: comments, and fields that readers keep.
func (s *stream) lines(lines ...string) {
	for _, l := range lines {
		s.buf = append(append(s.buf, l...), '\n')
	}
	s.buf = append(s.buf, '\n')
}

// flush sends what was added. An error means that the reader is gone.
func (s *stream) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	s.limit()
	_, err := s.w.Write(s.buf)
	s.buf = nil
	return errors.Join(err, s.control.Flush())
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// count takes a place among at most limit; the function returned gives it back.
func count(n *atomic.Int64, limit int64) (release func(), err error) {
	if n.Add(1) > limit {
		n.Add(-1)
		return nil, errTooManyStreams
	}
	return func() { n.Add(-1) }, nil
}

// shares counts who has how many streams open.
type shares struct {
	mu   sync.Mutex
	open map[string]int
}

// take takes a place among at most limit of this holder.
func (s *shares) take(holder string, limit int) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[holder] >= limit {
		return nil, errTooManyStreams
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[holder]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[holder]--; s.open[holder] == 0 {
			delete(s.open, holder)
		}
	}, nil
}

// place takes a place for a stream of a browser.
func (a *API) place(who listener) (release func(), err error) {
	all, err := count(&a.streams, maxStreams)
	if err != nil {
		return nil, err
	}
	ofUser, err := a.ofUser.take(who.user, maxUserStreams)
	if err != nil {
		all()
		return nil, err
	}
	ofSession, err := a.ofSession.take(who.session.String(), maxSessionStreams)
	if err != nil {
		ofUser()
		all()
		return nil, err
	}
	return func() { ofSession(); ofUser(); all() }, nil
}

// stops tells streams that the server which they run on is being shut down:
// http.Server.Shutdown waits for running responses, and a stream does not end by
// itself. It finds the server by its requests, so that whoever mounts the
// handler need not do anything.
type stops struct {
	mu      sync.Mutex
	servers map[*http.Server]context.Context
}

func (s *stops) of(r *http.Request) <-chan struct{} {
	srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, known := s.servers[srv]
	if !known {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(context.Background())
		srv.RegisterOnShutdown(func() {
			stop()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.servers, srv)
		})
		if s.servers == nil {
			s.servers = map[*http.Server]context.Context{}
		}
		s.servers[srv] = ctx
	}
	return ctx.Done()
}

// hubError translates the errors of a subscription that was not made.
func hubError(err error) error {
	if errors.Is(err, events.ErrClosed) {
		return problem.Unavailable
	}
	return err
}
