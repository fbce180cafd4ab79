package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/wire"
)

// lockFile is held by the server that runs on a data directory. The lock ends
// with the process, however that ends.
const lockFile = "server.lock"

// lockData keeps a second server from the data directory: each would serve from
// what it remembers. Commands beside the server are fine.
func lockData(cfg app.Config) (unlock func(), err error) {
	if cfg.DatabaseURL != "" || cfg.DatabaseURLFile != "" {
		return func() {}, nil // made to be shared
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	l := flock.New(filepath.Join(cfg.DataDir, lockFile), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("a server is running on the data directory %s already: stop it, or give this one another --data. Several servers can share a PostgreSQL database (--database-url)", cfg.DataDir)
	}
	return func() { _ = l.Close() }, nil
}

// openPatiently opens an App, and tries again for as long as its database can't be
// reached: machines start in any order. Meanwhile callers at ln are told to come
// back.
func openPatiently(e *env, cfg app.Config, ln net.Listener) (*app.App, error) {
	const longest = 15 * time.Second
	a, err := app.Open(e.ctx, cfg)
	if err == nil || !app.ComesBack(err) {
		return a, err
	}
	defer putOff(ln)()
	for wait := time.Second; err != nil && app.ComesBack(err); wait = min(2*wait, longest) {
		e.log.Error("the database can't be reached, so the server does not serve yet; it will be tried again", "error", err, "in", wait.String())
		select {
		case <-e.ctx.Done():
			return nil, fmt.Errorf("stopped before the database could be reached: %w", err)
		case <-time.After(wait):
		}
		a, err = app.Open(e.ctx, cfg)
	}
	return a, err
}

// putOff tells everybody who calls at ln to come back, until end is called. ln
// stays open.
func putOff(ln net.Listener) (end func()) {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return func() {}
	}
	body, _ := json.Marshal(wire.Problem{Type: "about:blank", Title: "Temporarily unavailable", Status: http.StatusServiceUnavailable, Code: wire.CodeUnavailable,
		Detail: "The server is starting and waits for its database."})
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/livez" {
			return // to start it again would not help
		}
		w.Header().Set("Content-Type", wire.ContentTypeProblem)
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(body)
	})}
	l := &borrowed{TCPListener: tcp}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l)
	}()
	return func() {
		l.given.Store(true)
		_ = tcp.SetDeadline(time.Now()) // wakes Accept
		<-served
		_ = srv.Close()
		_ = tcp.SetDeadline(time.Time{})
	}
}

// borrowed is a listener that a server gives back open.
type borrowed struct {
	*net.TCPListener
	given atomic.Bool
}

// Accept is net.Listener.
func (b *borrowed) Accept() (net.Conn, error) {
	c, err := b.TCPListener.Accept()
	if err != nil && b.given.Load() {
		err = http.ErrServerClosed
	}
	return c, err
}

// Close is net.Listener, and closes nothing.
func (b *borrowed) Close() error { return nil }
