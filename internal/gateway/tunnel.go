package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

var errOver = errors.New("gateway: the session of the stream is over")

// tunnel is the upstream's side of a WebSocket. It passes bytes and looks at
// what comes from the upstream only to find the ends of frames, so that it can
// say why it closes.
type tunnel struct {
	io.ReadWriteCloser
	frames frames // of the reading goroutine
	said   bool   // the close frame; likewise

	mu     sync.Mutex
	caller net.Conn // nil until the protocol is switched
	ending *ending  // nil: it goes on
}

// end lets Read send the close frame when the upstream's side has been closed,
// which is up to the caller of end. A peer that does not take it is cut.
func (t *tunnel) end(e *ending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = e
	t.limit()
}

// switched tells the connection to the caller.
func (t *tunnel) switched(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.caller = conn
	t.limit()
}

// limit is called with mu held.
func (t *tunnel) limit() {
	if t.ending != nil && t.caller != nil {
		_ = t.caller.SetDeadline(time.Now().Add(farewell))
	}
}

func (t *tunnel) over() *ending {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ending
}

// Read reads what goes to the caller.
func (t *tunnel) Read(p []byte) (int, error) {
	e := t.over()
	if e == nil {
		n, err := t.ReadWriteCloser.Read(p)
		if n > 0 {
			t.frames.see(p[:n])
			return n, nil // an error comes again
		}
		if e = t.over(); e == nil {
			return 0, err
		}
	}
	if f := closeFrame(e.code, e.reason); !t.said && t.frames.between() && len(p) >= len(f) {
		t.said = true
		return copy(p, f), nil
	}
	return 0, errOver
}

// Write writes what comes from the caller. When all is over it swallows that:
// an error would end the connection before the close frame is sent.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Write(p)
	if err != nil && t.over() != nil {
		return len(p), nil
	}
	return n, err
}

// hijackable is a ResponseWriter that tells the call when its connection is
// taken over.
type hijackable struct {
	http.ResponseWriter
	call *call
}

// Unwrap is for http.ResponseController.
func (h *hijackable) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack is http.Hijacker.
func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.call.control.Hijack()
	if err == nil {
		h.call.hijacked = true
		if h.call.tunnel != nil {
			h.call.tunnel.switched(conn)
		}
	}
	return conn, rw, err
}

// body is a request's body without a time limit for the whole of it, which
// would cut long uploads: only a caller who pauses for too long is cut.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	failed  func()
}

func (b *body) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.stall))
	n, err := b.ReadCloser.Read(p)
	switch err {
	case nil:
	case io.EOF:
		_ = b.control.SetReadDeadline(time.Time{}) // what follows is waiting for the caller to leave
	default: // the limit stays: the server must not wait for the rest when it has responded
		b.failed()
	}
	return n, err
}
