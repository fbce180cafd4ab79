// Package apptest runs the whole server for tests: on a loopback port, on an empty
// store, with users that cost no password hashing, a clock that tests set and a log
// that they can read.
package apptest

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
)

// Clock is a time that moves only when a test says so.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock begins at noon of 21 November 2026, UTC.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Log collects what is logged, to look for secrets in it.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write is io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Logger writes everything down, also what is for debugging.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Server is a server under test.
type Server struct {
	*testing.T
	App     *app.App
	URL     string
	Handler http.Handler // App's; it may be replaced before the first request
	People  *People
	Clock   *Clock
	Logged  *Log
}

// Open starts a server on a loopback port, with these users, until the test ends.
func Open(t *testing.T, people *People, change ...func(*app.Config)) *Server {
	t.Helper()
	var s *Server
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	s = New(t, srv.URL, people, change...)
	return s
}

// New is a server at that URL, which listens nowhere: for tests in a bubble of
// synctest.
func New(t *testing.T, url string, people *People, change ...func(*app.Config)) *Server {
	t.Helper()
	s := &Server{T: t, URL: url, People: people, Clock: NewClock(), Logged: &Log{}}
	cfg := app.Config{PublicURL: url, DataDir: sqlitetest.Dir(t), Directory: people, Authenticator: people,
		Clock: s.Clock.Now, Logger: s.Logged.Logger()}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if s.App, err = app.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.App.Close() })
	s.Handler = s.App.Handler
	return s
}

// For is the same server for a subtest.
func (s *Server) For(t *testing.T) *Server {
	sub := *s
	sub.T = t
	return &sub
}

// NewBrowser is a client that keeps cookies.
func NewBrowser() *http.Client {
	jar, _ := cookiejar.New(nil) // never fails
	return &http.Client{Jar: jar, Timeout: 30 * time.Second}
}

// Cookie is the value of a cookie that the client would send to a path; empty: none.
func (s *Server) Cookie(c *http.Client, path, name string) string {
	u, err := url.Parse(s.URL + path)
	if err != nil {
		s.Fatal(err)
	}
	for _, k := range c.Jar.Cookies(u) {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

// Do sends a request to a path and reads the response. Headers are name, value
// pairs. A body is JSON unless they have another Content-Type; an empty one is left
// out.
func (s *Server) Do(c *http.Client, method, path, body string, headers ...string) (*http.Response, []byte) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Del("Content-Type")
	}
	resp, err := c.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp, b
}
