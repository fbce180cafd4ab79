package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/session"
)

// block is what stands between two empty lines of an event stream.
type block struct{ event, id, data, retry, comment string }

func readBlock(r *bufio.Reader) (b block, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return b, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return b, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			b.event = value
		case "id":
			b.id = value
		case "data":
			b.data = value
		case "retry":
			b.retry = value
		case "":
			b.comment += ":" + value
		}
	}
}

// reader reads a stream in the background.
type reader struct {
	t      testing.TB
	resp   *http.Response
	blocks chan block // closed at the end
	err    error      // how it ended; after blocks is closed
	cancel context.CancelFunc
	lastID string
}

func newReader(t testing.TB, resp *http.Response, cancel context.CancelFunc) *reader {
	s := &reader{t: t, resp: resp, blocks: make(chan block, 100_000), cancel: cancel}
	go func() {
		defer close(s.blocks)
		defer resp.Body.Close()
		in := bufio.NewReader(resp.Body)
		for {
			b, err := readBlock(in)
			if err != nil {
				s.err = err
				return
			}
			s.blocks <- b
		}
	}()
	return s
}

// any is the next block; ok is false at the end of the stream.
func (s *reader) any() (b block, ok bool) {
	s.t.Helper()
	select {
	case b, ok = <-s.blocks:
		if b.id != "" {
			s.lastID = b.id
		}
		return b, ok
	case <-time.After(20 * time.Second):
		s.t.Fatal("nothing came for 20 s")
	}
	return b, ok
}

// next is the next event.
func (s *reader) next() block {
	s.t.Helper()
	for {
		b, ok := s.any()
		if !ok {
			s.t.Fatalf("the stream has ended (%v) where an event was expected", s.err)
		}
		if b.event != "" {
			return b
		}
	}
}

// want is next, which must be of that kind and hold that text.
func (s *reader) want(kind, part string) block {
	s.t.Helper()
	b := s.next()
	if b.event != kind || !strings.Contains(b.data, part) {
		s.t.Fatalf("got %+v, want %s with %q", b, kind, part)
	}
	return b
}

// ended asserts that nothing comes but the proper end of the answer.
func (s *reader) ended() {
	s.t.Helper()
	for {
		b, ok := s.any()
		if !ok {
			break
		}
		if b.event != "" {
			s.t.Fatalf("%+v where the end was expected", b)
		}
	}
	if !errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF) {
		s.t.Errorf("the stream was broken off: %v", s.err)
	}
}

// pending are the events that have come and were not read.
func (s *reader) pending() (kinds []string) {
	for {
		select {
		case b, ok := <-s.blocks:
			if !ok {
				return append(kinds, "end")
			}
			if b.event != "" {
				kinds = append(kinds, b.event)
			}
		default:
			return kinds
		}
	}
}

// stream opens an event stream and checks how it begins.
func (h *harness) stream(path string, headers ...string) *reader {
	h.Helper()
	ctx, cancel := context.WithCancel(h.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", h.URL+path, nil)
	if err != nil {
		h.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := streams.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(cancel) // before the server's Close, which waits for it
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		h.Fatalf("GET %s: %d %s", path, resp.StatusCode, body)
	}
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Encoding": ""} {
		if got := resp.Header.Get(name); got != want {
			h.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	return newReader(h, resp, cancel)
}

var streams = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}}

// events opens the stream of a user and waits until it listens.
func (h *harness) events(token string, headers ...string) *reader {
	h.Helper()
	s := h.stream("/auth/events", append(bearer(token), headers...)...)
	if b, ok := s.any(); !ok || b.id == "" || b.retry == "" || b.event != "" {
		h.Fatalf("the stream begins with %+v", b)
	}
	return s
}

// begin starts a session without the cost of a sign-in.
func (h *harness) begin(user string) session.Grant {
	h.Helper()
	g, err := h.App.Sessions.Start(h.Context(), session.SignIn{UserID: user, Client: session.Client{ID: "test"}})
	if err != nil {
		h.Fatal(err)
	}
	return g
}

// elsewhere is another process on the same data directory.
func (h *harness) elsewhere() *app.App {
	h.Helper()
	cfg := h.App.Config
	a, err := app.Open(h.Context(), cfg)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = a.Close() })
	return a
}

// status is that of a request to a handler behind Protect.
func (h *harness) status(token string) int {
	h.Helper()
	guarded := h.App.Verifier.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/api", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	guarded.ServeHTTP(w, r)
	return w.Code
}

// pipe is the answer of a handler that is called without a network: what is
// flushed can be read at once, in the time of a synctest bubble.
type pipe struct {
	header http.Header
	status int
	begun  chan struct{}
	once   sync.Once
	r      *io.PipeReader
	w      *io.PipeWriter

	mu       sync.Mutex
	deadline time.Time
}

func newPipe(ctx context.Context, method, path string, headers ...string) (*pipe, *http.Request) {
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	p := &pipe{header: http.Header{}, begun: make(chan struct{})}
	p.r, p.w = io.Pipe()
	return p, r
}

func (p *pipe) Header() http.Header { return p.header }

func (p *pipe) WriteHeader(status int) {
	p.once.Do(func() {
		p.status = status
		close(p.begun)
	})
}

// Write blocks until somebody reads or the deadline has passed.
func (p *pipe) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	p.mu.Lock()
	deadline := p.deadline
	p.mu.Unlock()
	if !deadline.IsZero() {
		t := time.AfterFunc(time.Until(deadline), func() { p.w.CloseWithError(os.ErrDeadlineExceeded) })
		defer t.Stop()
	}
	return p.w.Write(b)
}

func (p *pipe) Flush() {}

func (p *pipe) SetReadDeadline(time.Time) error { return nil }

func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return nil
}

// serve calls the handler as a server would and returns the answer when it has
// begun.
func serve(h http.Handler, p *pipe, r *http.Request) *http.Response {
	stop := context.AfterFunc(r.Context(), func() { p.w.CloseWithError(context.Canceled); p.r.CloseWithError(context.Canceled) })
	go func() {
		h.ServeHTTP(p, r)
		p.WriteHeader(http.StatusOK)
		stop()
		_ = p.w.Close()
	}()
	<-p.begun
	return &http.Response{StatusCode: p.status, Header: p.header, Body: p.r, Request: r}
}

// closed reports whether the reader's stream has ended, in a bubble.
func (s *reader) isEnded() bool {
	for {
		select {
		case _, ok := <-s.blocks:
			if !ok {
				return true
			}
		default:
			return false
		}
	}
}
