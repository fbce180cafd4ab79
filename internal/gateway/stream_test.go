package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// sockets is a WebSocket API: it sends back what it hears, and tells when its
// side is closed.
func sockets(h *harness, protocols ...string) (closed <-chan struct{}, offered *atomic.Value) {
	c := make(chan struct{}, 64)
	offered = &atomic.Value{}
	h.api.mux.HandleFunc("/api/ws", func(w http.ResponseWriter, r *http.Request) {
		offered.Store(strings.Join(r.Header.Values("Sec-Websocket-Protocol"), "|") + " " + r.Header.Get("Authorization") + " " + r.Header.Get(wire.HeaderUser))
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: protocols})
		if err != nil {
			h.Error("accept:", err)
			return
		}
		defer func() { c <- struct{}{} }()
		defer conn.CloseNow()
		for {
			kind, msg, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			if err := conn.Write(context.Background(), kind, msg); err != nil {
				return
			}
		}
	})
	return c, offered
}

func dial(h *harness, token string, protocols ...string) *websocket.Conn {
	h.Helper()
	o := &websocket.DialOptions{Subprotocols: protocols, HTTPHeader: http.Header{}}
	if token != "" {
		o.HTTPHeader.Set("Authorization", "Bearer "+token)
	}
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, h.url+"/api/ws", o)
	if err != nil {
		h.Fatalf("%v, %v", err, resp)
	}
	h.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// say sends a message and reads it back.
func say(h *harness, conn *websocket.Conn, msg string) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(msg)); err != nil {
		h.Fatal(err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != msg {
		h.Fatalf("%q came back as %q, %v", msg, got, err)
	}
}

// closedBy waits for the end of a WebSocket and says with which code and reason.
func closedBy(h *harness, conn *websocket.Conn) string {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	_, _, err := conn.Read(ctx)
	var c websocket.CloseError
	if !errors.As(err, &c) {
		h.Fatalf("not closed by a close frame: %v", err)
	}
	return fmt.Sprintf("%d %s", c.Code, c.Reason)
}

func TestWebSocketsEndWithTheirSession(t *testing.T) {
	h := newHarness(t)
	upstream, _ := sockets(h)
	bob, other := h.login("bob"), h.login("bob")
	conn, stays := dial(h, bob.AccessToken), dial(h, other.AccessToken)
	say(h, conn, "hello")
	say(h, stays, strings.Repeat("x", 20_000))
	h.logout(bob)
	// The close frame says that it is this event; there is no time limit that
	// could have closed it.
	if got := closedBy(h, conn); got != "4401 session_ended" {
		t.Error(got)
	}
	wait(t, upstream, "the upstream's side to be closed")
	say(h, stays, "still here")
	_, resp, err := websocket.Dial(t.Context(), h.url+"/api/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + bob.AccessToken}}})
	if err == nil || resp == nil || resp.StatusCode != 401 {
		t.Errorf("a new one after the end: %v, %v", resp, err)
	}
}

func TestWebSocketsEndWhenGrantsChange(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Directory, c.Authenticator = nil, nil })
	sockets(h)
	if err := embeddedUser(h, "carol", "carol-password", "orders:read"); err != nil {
		t.Fatal(err)
	}
	grant, err := h.app.Sessions.SignIn(t.Context(), "carol", "carol-password", session.SignIn{Client: session.Client{ID: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(h, grant.AccessToken)
	say(h, conn, "hello")
	if err := h.app.Directory.ChangePermissions(t.Context(), "reader", nil, []string{"orders:read"}); err != nil {
		t.Fatal(err)
	}
	if got := closedBy(h, conn); got != "4401 grants_changed" {
		t.Error(got)
	}
}

func TestWebSocketsEndWhenTheServerStops(t *testing.T) {
	h := newHarness(t)
	sockets(h)
	conn := dial(h, h.login("bob").AccessToken)
	h.app.Gateway.Close() // what app.Serve calls first
	if got := closedBy(h, conn); got != "1001 " {
		t.Error(got)
	}
}

// A caller who takes nothing from the connection can't keep it either.
func TestWebSocketsOfPeersThatDoNotReadEnd(t *testing.T) {
	h := newHarness(t)
	var sent atomic.Int64
	gone := make(chan struct{}, 2)
	h.api.mux.HandleFunc("/api/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for err == nil {
			err = conn.Write(context.Background(), websocket.MessageBinary, make([]byte, 1<<16))
			sent.Add(1)
		}
		gone <- struct{}{}
	})
	h.api.mux.HandleFunc("/api/events", func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 1<<16))
			sent.Add(1)
		}
		gone <- struct{}{}
	})
	bob := h.login("bob")
	dial(h, bob.AccessToken) // never read from
	resp := h.open("/api/events", bob.AccessToken)
	defer resp.Body.Close()
	for before := int64(-1); before != sent.Load(); { // until all buffers are full
		before = sent.Load()
		time.Sleep(100 * time.Millisecond)
	}
	h.logout(bob)
	wait(t, gone, "the upstream's side to be closed")
	wait(t, gone, "the other upstream's side to be closed")
	h.until("nothing is left", func() bool { return h.app.Gateway.OpenStreams() == 0 })
}

// The end of a session that comes between the check and the answer is in time.
func TestAStreamThatBeginsAfterTheEndIsRefused(t *testing.T) {
	h := newHarness(t)
	reached, answer := make(chan struct{}), make(chan struct{})
	h.api.mux.HandleFunc("/api/events", func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-answer
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	bob := h.login("bob")
	go func() {
		<-reached
		h.logout(bob)
		close(answer)
	}()
	resp, body := h.get("/api/events", bearer(bob)...)
	problem(t, resp, body, 401, wire.CodeInvalidToken)
	h.until("nothing is left", func() bool { return h.app.Gateway.OpenStreams() == 0 })
}

func TestAWebSocketCanCarryItsTokenAsSubprotocol(t *testing.T) {
	h := newHarness(t)
	_, offered := sockets(h, "chat")
	bob := h.login("bob")
	conn := dial(h, "", "tacet", "tacet.bearer."+bob.AccessToken)
	if p := conn.Subprotocol(); p != "tacet" {
		t.Errorf("a browser would hang up: subprotocol %q", p)
	}
	say(h, conn, "hello")
	if got := offered.Load(); got != " Bearer "+bob.AccessToken+" bob" {
		t.Errorf("the upstream was offered %q", got)
	}
	conn = dial(h, "", "chat", "tacet.bearer."+bob.AccessToken)
	if p := conn.Subprotocol(); p != "chat" {
		t.Errorf("subprotocol %q", p)
	}
	if got := offered.Load(); got != "chat Bearer "+bob.AccessToken+" bob" {
		t.Errorf("the upstream was offered %q", got)
	}
	h.logout(bob)
	if got := closedBy(h, conn); got != "4401 session_ended" {
		t.Error(got)
	}
	if strings.Contains(h.log.String(), bob.AccessToken[:40]) {
		t.Error("the log holds the token")
	}
}

func TestEventStreamsEndWithTheirSession(t *testing.T) {
	h := newHarness(t)
	gone := make(chan struct{}, 1)
	h.api.mux.HandleFunc("/api/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	bob := h.login("bob")
	resp := h.open("/api/events", bob.AccessToken)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "data: one\n" {
		t.Fatalf("an event that was sent did not come through: %q, %v", line, err)
	}
	h.logout(bob)
	if rest, err := io.ReadAll(lines); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cut: %q, %v; want an answer that is broken off", rest, err)
	}
	wait(t, gone, "the upstream's side to be closed")
}

// An answer with a known length ends by itself, and is let end.
func TestDownloadsThatHaveBegunEndInPeace(t *testing.T) {
	h := newHarness(t)
	half, rest := make(chan struct{}), make(chan struct{})
	h.api.mux.HandleFunc("/api/file", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "a")
		_ = http.NewResponseController(w).Flush()
		close(half)
		<-rest
		_, _ = io.WriteString(w, "b")
	})
	bob := h.login("bob")
	go func() {
		<-half
		h.logout(bob)
		close(rest)
	}()
	if resp, body := h.get("/api/file", bearer(bob)...); resp.StatusCode != 200 || body != "ab" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// big is a body of that many bytes that is nowhere in memory.
type big struct{ left int64 }

func (b *big) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := int(min(b.left, int64(len(p))))
	b.left -= int64(n)
	return n, nil
}

func TestLargeBodiesStreamBothWays(t *testing.T) {
	const size = 100 << 20
	h := newHarness(t)
	h.api.mux.HandleFunc("/api/upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	h.api.mux.HandleFunc("/api/download", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, &big{size})
	})
	bob := h.login("bob")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, _ := http.NewRequestWithContext(t.Context(), "POST", h.url+"/api/upload", &big{size})
	r.Header.Set("Authorization", "Bearer "+bob.AccessToken)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(said) != fmt.Sprint(size, nil) {
		t.Errorf("the upstream has read %s", said)
	}
	r, _ = http.NewRequestWithContext(t.Context(), "GET", h.url+"/api/download", nil)
	r.Header.Set("Authorization", "Bearer "+bob.AccessToken)
	if resp, err = http.DefaultTransport.RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	// Client, gateway and upstream are one process here; all that they have ever
	// allocated for 200 MB is a fraction of one body.
	if used := after.TotalAlloc - before.TotalAlloc; used > size/4 {
		t.Errorf("%d MB were allocated to pass on %d MB", used>>20, 2*size>>20)
	}
}

// A stream through the server's own time limits: it takes longer than the limit
// for reading a request, which stands for 30 s here.
func TestStreamsOutliveTheServersTimeLimit(t *testing.T) {
	h := newHarness(t)
	h.api.mux.HandleFunc("/api/upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, " ", err)
	})
	srv := &http.Server{Handler: h.app.Handler, ReadTimeout: 100 * time.Millisecond}
	url := serve(t, srv)
	body, feed := io.Pipe()
	go func() {
		for range 6 {
			_, _ = feed.Write([]byte("x"))
			time.Sleep(50 * time.Millisecond)
		}
		_ = feed.Close()
	}()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", url+"/api/upload", body)
	r.Header.Set("Authorization", "Bearer "+h.login("bob").AccessToken)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); string(said) != "6 <nil>" {
		t.Errorf("%d: the upstream has read %s", resp.StatusCode, said)
	}
}

// The command line ends a session from a process of its own.
func TestWebSocketsEndWhenAnotherProcessEndsTheirSession(t *testing.T) {
	h := newHarness(t)
	sockets(h)
	bob := h.login("bob")
	conn := dial(h, bob.AccessToken)
	say(h, conn, "hello")
	cfg := h.app.Config
	cfg.Gateway.Upstreams, cfg.Gateway.Require, cfg.Gateway.Public = nil, nil, nil
	other, err := app.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	id, err := rotation.ParseSessionID(bob.Session.ID)
	if err == nil {
		err = other.Sessions.End(t.Context(), id, wire.ReasonEndedByAdmin)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := closedBy(h, conn); got != "4401 session_ended" {
		t.Error(got)
	}
}

func TestWebSocketsEndWhenTheirSessionRunsOut(t *testing.T) {
	h := newHarness(t, func(c *app.Config) {
		c.AccessTTL, c.IdleTTL, c.AbsoluteTTL = time.Second, 2*time.Second, 2*time.Second
	})
	upstream, _ := sockets(h)
	conn := dial(h, h.login("bob").AccessToken)
	if got := closedBy(h, conn); got != "4401 session_ended" {
		t.Error(got)
	}
	wait(t, upstream, "the upstream's side to be closed")
}
