package gotests

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/e2e/proxy"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

const (
	username, password = "alice", "alice-password"
	feedToken          = "a-secret-of-these-tests"

	refreshPath = wire.DefaultBasePath + wire.PathRefresh
	logoutPath  = wire.DefaultBasePath + wire.PathLogout
	feedPath    = wire.DefaultBasePath + wire.PathFeed
)

// clock is the time of day plus an offset that tests add to.
type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// stack is the real server in this process, behind a proxy on a socket.
type stack struct {
	t     *testing.T
	url   string // of the proxy, and the issuer
	proxy *proxy.Proxy
	front *httptest.Server
	clock *clock
	app   *app.App
	user  string // alice's id

	patience time.Duration // client.Config.RenewTimeout; zero: the default

	config app.Config
	served atomic.Pointer[http.Handler]

	mu        sync.Mutex
	decisions []session.Decided
}

// newStack has alice as its only user, in a directory that costs nothing: a real
// password hash takes seconds under the race detector.
func newStack(t *testing.T) *stack { return startStack(t, alice{}) }

// startStack takes a directory, or nil for the embedded one.
func startStack(t *testing.T, users people) *stack {
	s := &stack{t: t, clock: &clock{}, user: username}
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.served.Load()).ServeHTTP(w, r) }))
	s.proxy = proxy.New(back.URL)
	s.front = httptest.NewServer(s.proxy)
	s.url = s.front.URL
	s.config = app.Config{PublicURL: s.url, DataDir: sqlitetest.Dir(t), FeedToken: feedToken, TrustedProxies: []string{"127.0.0.1"},
		Clock: s.clock.Now, Observe: s.observe, Logger: slog.New(slog.DiscardHandler)}
	if users != nil {
		s.config.Directory, s.config.Authenticator = users, users
	}
	s.open()
	t.Cleanup(func() {
		s.front.CloseClientConnections()
		s.front.Close()
		back.CloseClientConnections()
		back.Close()
		must(t, s.app.Close())
	})
	if users == nil {
		must(t, s.app.Directory.AddRole(t.Context(), "viewer", "orders:read"))
		u, err := s.app.Directory.Add(t.Context(), directory.NewUser{Name: username, Password: password, Roles: []string{"viewer"}})
		must(t, err)
		s.user = u.ID
	}
	return s
}

type people interface {
	session.Directory
	session.Authenticator
}

// alice is a directory of one.
type alice struct{}

func (alice) Authenticate(_ context.Context, name, pass string, _ session.Contact) (session.Identity, error) {
	if name != username || pass != password {
		return session.Identity{}, session.ErrInvalidCredentials
	}
	return session.Identity{UserID: username}, nil
}

func (alice) User(_ context.Context, id string) (session.User, error) {
	if id != username {
		return session.User{}, session.ErrNoUser
	}
	return session.User{User: wire.User{ID: id, Username: id}, Permissions: []string{"orders:read"}, Scope: "orders:read"}, nil
}

func (a alice) Grants(ctx context.Context, id string) (session.User, error) { return a.User(ctx, id) }

func (s *stack) open() {
	a, err := app.Open(context.Background(), s.config)
	must(s.t, err)
	a.Start()
	s.app = a
	s.served.Store(&a.Handler)
}

// restart closes the server and opens it again with other settings.
func (s *stack) restart(change func(*app.Config)) {
	must(s.t, s.app.Close())
	change(&s.config)
	s.open()
}

func (s *stack) observe(d session.Decided) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decisions = append(s.decisions, d)
}

// outcomes are those of all renewals so far.
func (s *stack) outcomes() map[rotation.Outcome]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[rotation.Outcome]int{}
	for _, d := range s.decisions {
		if !d.Started {
			n[d.Outcome]++
		}
	}
	return n
}

// advanced is how often the head moved. (Presentations of one token at the same
// time share a decision, which counts for each of them in outcomes.)
func (s *stack) advanced() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	heads := map[rotation.Head]bool{}
	for _, d := range s.decisions {
		if d.Outcome == rotation.Advanced && !d.Started {
			heads[d.Head] = true
		}
	}
	return len(heads)
}

// calls is how many requests for a path came to the proxy.
func (s *stack) calls(path string) (n int) {
	for _, r := range s.proxy.Seen() {
		if r.Path == path {
			n++
		}
	}
	return n
}

// source is one on the session in store; nil is a new store.
func (s *stack) source(store client.TokenStore) *client.Source {
	s.t.Helper()
	src, err := client.New(client.Config{URL: s.url + wire.DefaultBasePath, Store: store, RenewTimeout: s.patience,
		HTTP: &http.Transport{MaxIdleConnsPerHost: 10, IdleConnTimeout: time.Second}})
	must(s.t, err)
	s.t.Cleanup(src.Close)
	return src
}

// signIn is source with a new session.
func (s *stack) signIn(store client.TokenStore) *client.Source {
	s.t.Helper()
	src := s.source(store)
	_, err := src.SignIn(s.t.Context(), username, password)
	must(s.t, err)
	return src
}

// oneSession fails the test unless nobody was refused and n sessions live.
func (s *stack) oneSession() {
	s.t.Helper()
	for o, n := range s.outcomes() {
		if !o.Granted() {
			s.t.Errorf("%d presentations were answered with %v", n, o)
		}
	}
	list, err := s.app.Sessions.List(s.t.Context(), s.user)
	must(s.t, err)
	if len(list) != 1 {
		s.t.Errorf("%d sessions are left, want 1", len(list))
	}
}

// api answers 200 to who may read orders, as a handler behind Protect does in
// the server's own program.
func (s *stack) api() http.Handler {
	return s.app.Verifier.Require("orders:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// keySet is that of another program.
func (s *stack) keySet(now func() time.Time) *verify.KeySet {
	s.t.Helper()
	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: s.url + wire.PathJWKS, Clock: now})
	must(s.t, err)
	return keys
}

// verifier is that of another program, without the feed if live is nil.
func (s *stack) verifier(keys verify.Keys, live verify.Liveness, now func() time.Time) *verify.Verifier {
	s.t.Helper()
	v, err := verify.New(verify.Config{Issuer: s.url, Audience: s.url, Keys: keys, Liveness: live, Clock: now})
	must(s.t, err)
	return v
}

// direct serves requests in this process: ten thousand at once would be too many
// for sockets.
type direct struct {
	handler http.Handler
	calls   atomic.Int64
}

func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	d.calls.Add(1)
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Result(), nil
}
