package profiles_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/wire"
)

// people is a directory that costs no password hashing; the id is also name and
// password.
type people struct {
	mu    sync.Mutex
	users map[string]session.User
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
	u, ok := p.users[id]
	switch {
	case p.err != nil:
		return session.User{}, p.err
	case !ok:
		return session.User{}, session.ErrNoUser
	}
	return u, nil
}

// Grants leaves out what renewals need not know, as the embedded directory does.
func (p *people) Grants(ctx context.Context, id string) (session.User, error) {
	u, err := p.User(ctx, id)
	u.Username, u.DisplayName, u.Email, u.Settings = "", "", "", nil
	return u, err
}

func (p *people) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

var errOutage = errors.New("the directory is out")

type harness struct {
	*testing.T
	app    *app.App
	url    string
	people *people
	log    *safeBuffer

	mu  sync.Mutex
	now time.Time
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *harness) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// accessTTL is so short that all tokens live equally long.
const accessTTL = 19 * time.Second

// newHarness is a server that speaks all built-in dialects at once.
func newHarness(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	h := &harness{T: t, people: &people{users: map[string]session.User{}}, log: &safeBuffer{},
		now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	for _, name := range []string{"alice", "bob"} {
		h.people.users[name] = session.User{User: wire.User{ID: name, Username: name, DisplayName: strings.ToUpper(name[:1]) + name[1:], Email: name + "@example.com"},
			Roles: []string{"viewer"}, Permissions: []string{"orders:read", "shop.orders.write"}, Scope: "orders:read shop.orders.write", GrantsVersion: 1}
	}
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	cfg := app.Config{PublicURL: srv.URL, DataDir: sqlitetest.Dir(t), Directory: h.people, Authenticator: h.people,
		Profiles: profiles.Settings{Names: profiles.Names()}, AccessTTL: accessTTL, Clock: h.clock,
		Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if h.app, err = app.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.app.Close() })
	handler = h.app.Handler
	h.url = srv.URL
	return h
}

func newBrowser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, Timeout: 30 * time.Second}
}

// answer is a response that has been read.
type answer struct {
	*http.Response
	raw  []byte
	body any // decoded; nil if it is no JSON
}

// at follows member names, "data.token".
func (a answer) at(path string) any {
	v := a.body
	for name := range strings.SplitSeq(path, ".") {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = o[name]
	}
	return v
}

func (a answer) text(path string) string {
	s, _ := a.at(path).(string)
	return s
}

// call sends a request; headers are name, value pairs, and an empty value takes a
// header away.
func (h *harness) call(c *http.Client, method, path, body string, headers ...string) answer {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{Response: resp}
	if a.raw, err = io.ReadAll(resp.Body); err != nil {
		h.Fatal(err)
	}
	_ = json.Unmarshal(a.raw, &a.body)
	return a
}

func (h *harness) cookie(c *http.Client, path, name string) string {
	u, _ := url.Parse(h.url + path)
	for _, k := range c.Jar.Cookies(u) {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

func newUser(name string, roles ...string) directory.NewUser {
	return directory.NewUser{Name: name, Password: name + "-password", Roles: roles}
}
