package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
)

const eventually = 20 * time.Second // no measure of anything

// withBounds is a server on a loopback port with these limits.
func withBounds(t *testing.T, l connLimits, h http.Handler) (addr string, ln *limited) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), Config{PublicURL: "http://" + inner.Addr().String(), DataDir: sqlitetest.Dir(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	if h == nil {
		h = a.Handler
	}
	if l.exempt == nil {
		l.exempt = func(netip.Addr) bool { return false }
	}
	ln = limit(inner, l, a.Config.Logger).(*limited)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.serve(ctx, ln, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return inner.Addr().String(), ln
}

func (l *limited) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(eventually); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain until " + what)
		}
	}
}

func dial(t *testing.T, addr, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(eventually))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestConnectionsThatNeverReadAreCut(t *testing.T) {
	addr, ln := withBounds(t, connLimits{all: 1000, ofAddress: 1000, stall: 100 * time.Millisecond}, nil)
	const n = 30
	for range n {
		c := dial(t, addr, "127.0.0.1")
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		// Many responses fill what lies between. They may be cut while this is sent.
		_, _ = io.WriteString(c, strings.Repeat("GET /auth/openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n", 300))
	}
	until(t, "all are cut", func() bool { return ln.count() == 0 })
}

// A reader that is there is not cut, however long the response goes on and
// whatever came before on its connection.
func TestSlowResponsesAreNotCut(t *testing.T) {
	const stall = 200 * time.Millisecond
	mux := http.NewServeMux()
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for i := range 8 {
			time.Sleep(stall / 2)
			fmt.Fprintln(w, i)
			if err := rc.Flush(); err != nil {
				t.Error(err)
			}
		}
		_ = rc.SetWriteDeadline(time.Now().Add(stall / 4)) // as streams do for their end
	})
	mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(3 * stall)
		fmt.Fprintln(w, "late")
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second))
		fmt.Fprintln(w, "never")
	})
	addr, _ := withBounds(t, connLimits{all: 10, ofAddress: 10, stall: stall}, mux)
	c := dial(t, addr, "127.0.0.1")
	in := bufio.NewReader(c)
	for _, path := range []string{"/stream", "/late", "/stream"} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) == 0 {
			t.Fatalf("%s: %q, %v", path, body, err)
		}
		time.Sleep(stall) // longer than the deadline that the stream has set
	}
	fmt.Fprintf(c, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, err := http.ReadResponse(in, nil); err == nil {
		t.Errorf("a deadline of the handler does not count: %s", resp.Status)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	addr, ln := withBounds(t, connLimits{all: 5, ofAddress: 3, stall: time.Second, exempt: func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.9") }}, nil)
	served := func(c net.Conn) bool {
		_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil && resp.StatusCode == http.StatusOK
	}
	want := func(from string, ok bool) net.Conn {
		t.Helper()
		c := dial(t, addr, from)
		if served(c) != ok {
			t.Errorf("with %d open connections, one from %s: served %v", ln.count(), from, !ok)
		}
		return c
	}
	first := want("127.0.0.1", true)
	want("127.0.0.1", true)
	want("127.0.0.1", true)
	want("127.0.0.1", false)
	want("127.0.0.2", true)
	_ = first.Close()
	until(t, "the place is free", func() bool { return ln.count() == 3 })
	want("127.0.0.9", true)
	want("127.0.0.9", true)
	want("127.0.0.9", false)
	want("127.0.0.3", false)
}
