package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
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
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/wire"
)

// people is a directory that costs no password hashing.
type people struct {
	mu    sync.Mutex
	users map[string]session.User // by id; the id is also name and password
	err   error
}

func (p *people) Authenticate(_ context.Context, name, password string, _ session.Contact) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return "", p.err
	}
	if _, ok := p.users[name]; !ok || password != name {
		return "", session.ErrInvalidCredentials
	}
	return name, nil
}

func (p *people) User(_ context.Context, id string) (session.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return session.User{}, p.err
	}
	u, ok := p.users[id]
	if !ok {
		return session.User{}, session.ErrNoUser
	}
	return u, nil
}

func (p *people) Grants(ctx context.Context, id string) (session.User, error) { return p.User(ctx, id) }

func (p *people) change(f func(map[string]session.User)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.users)
}

// clock is a time that only moves when a test says so.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type harness struct {
	*testing.T
	app    *app.App
	url    string
	people *people
	clock  *clock
	log    *bytes.Buffer
	client *http.Client // with a cookie jar
}

func newHarness(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	h := &harness{T: t,
		people: &people{users: map[string]session.User{}},
		clock:  &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)},
		log:    &bytes.Buffer{},
	}
	for _, name := range []string{"alice", "bob"} {
		h.people.users[name] = session.User{User: wire.User{ID: name, Username: name},
			Roles: []string{"viewer"}, Permissions: []string{"orders:read"}, Scope: "orders:read", GrantsVersion: 1}
	}
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	cfg := app.Config{PublicURL: srv.URL, DataDir: sqlitetest.Dir(t), Directory: h.people, Authenticator: h.people,
		Clock: h.clock.Now, Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: h.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if h.app, err = app.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.app.Close() })
	contract, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	if handler = h.app.Handler; cfg.Profiles.Names == nil { // dialects are not in the document
		handler = contract.handler(t, handler)
	}
	h.url = srv.URL
	h.client = h.newClient()
	return h
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (h *harness) newClient() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, Timeout: 30 * time.Second}
}

type answer struct {
	*http.Response
	body []byte
	t    *testing.T
}

// call sends a request; headers are name, value pairs.
func (h *harness) call(c *http.Client, method, path, body string, headers ...string) answer {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	return answer{resp, b, h.T}
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%s %s: status %d, want %d; body %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

// problem asserts an error answer and returns it.
func (a answer) problem(status int, code string) wire.Problem {
	a.t.Helper()
	a.want(status)
	var p wire.Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.t.Fatalf("not a problem document: %v in %s", err, a.body)
	}
	if ct := a.Header.Get("Content-Type"); ct != wire.ContentTypeProblem {
		a.t.Fatalf("content type %q", ct)
	}
	if p.Code != code || p.Status != status || p.Title == "" || p.Detail == "" || p.Type == "" {
		a.t.Fatalf("problem %+v, want code %s, status %d and all members", p, code, status)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		a.t.Fatal("an error answer can be cached")
	}
	return p
}

func (a answer) tokens() wire.TokenResponse {
	a.t.Helper()
	a.want(http.StatusOK)
	var r wire.TokenResponse
	if err := json.Unmarshal(a.body, &r); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	if r.AccessToken == "" || r.TokenType != "Bearer" || r.ExpiresIn <= 0 || r.Session.ID == "" {
		a.t.Fatalf("incomplete token response %+v", r)
	}
	return r
}

func (a answer) json(v any) {
	a.t.Helper()
	a.want(http.StatusOK)
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
}

// noCookies asserts that the answer leaves the browser's cookies alone.
func (a answer) noCookies() answer {
	a.t.Helper()
	if c := a.Header.Values("Set-Cookie"); len(c) > 0 {
		a.t.Fatalf("the answer touches cookies: %d of them", len(c))
	}
	return a
}

func (h *harness) login(c *http.Client, name string) wire.TokenResponse {
	h.Helper()
	return h.call(c, "POST", "/auth/login", `{"username":"`+name+`","password":"`+name+`"}`).tokens()
}

func (h *harness) loginBody(name string) wire.TokenResponse {
	h.Helper()
	return h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"`+name+`","password":"`+name+`","delivery":"body"}`).tokens()
}

// cookie is the value of a cookie in a client's jar.
func (h *harness) cookie(c *http.Client, name string) string {
	u, _ := url.Parse(h.url + "/auth/refresh")
	for _, k := range c.Jar.Cookies(u) {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

// refresh renews as a browser page does.
func (h *harness) refresh(c *http.Client, headers ...string) answer {
	h.Helper()
	return h.call(c, "POST", "/auth/refresh", "{}", append([]string{wire.HeaderCSRF, h.cookie(c, wire.CookieCSRF)}, headers...)...)
}

func (h *harness) refreshBody(token string, headers ...string) answer {
	h.Helper()
	return h.call(http.DefaultClient, "POST", "/auth/refresh", `{"refresh_token":"`+token+`"}`, headers...)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }
