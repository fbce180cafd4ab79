package idp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/idp/idptest"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/storetest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// world is a service with a store in memory and one provider, "company".
type world struct {
	*testing.T
	*idp.Service
	provider *idptest.Provider
	users    *people
	sessions *session.Service
	ring     *keys.Ring
	store    storetest.Stores
	links    *failing // those of store
	log      *bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// people takes everybody in whose subject is not "disabled".
type people struct {
	mu   sync.Mutex
	last directory.Person
}

func (p *people) Receive(_ context.Context, who directory.Person) (directory.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = who
	if who.Subject == "disabled" {
		return directory.User{}, idp.ErrDisabled
	}
	return directory.User{ID: "user of " + who.Subject, Roles: who.Roles}, nil
}

func (p *people) seen() directory.Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *people) User(_ context.Context, id string) (session.User, error) {
	return session.User{User: wire.User{ID: id}}, nil
}
func (p *people) Grants(ctx context.Context, id string) (session.User, error) { return p.User(ctx, id) }

const absolute = 90 * 24 * time.Hour

func newWorld(t *testing.T, change ...func(*idp.Settings)) *world {
	t.Helper()
	w := &world{T: t, users: &people{}, store: storetest.Memory(), now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	w.provider = idptest.New(t, map[string]any{"sub": "248289761001", "sid": "sid-1", "name": "Jane Doe", "preferred_username": "j.doe",
		"email": "jane@example.com", "email_verified": true, "groups": []string{"staff", "chess"}})
	w.provider.Clock = w.clock
	logger := slog.New(slog.NewTextHandler(w.log, nil))
	master, err := keys.LoadMaster(t.Context(), keys.MasterOptions{Dir: t.TempDir(), Store: w.store.Keys})
	must(t, err)
	w.ring, err = keys.Open(t.Context(), keys.Config{Store: w.store.Keys, Master: master, Clock: w.clock, Rand: rand.Reader, Logger: logger,
		Policy: keys.Policy{Algorithm: keys.EdDSA, Access: 15 * time.Minute, Refresh: 14 * 24 * time.Hour}})
	must(t, err)
	w.links = &failing{links: w.store.Links}
	w.sessions = session.New(session.Config{Store: w.store.Sessions, Links: w.links, Keys: w.ring, Directory: w.users,
		Lifetimes: session.Lifetimes{Access: 15 * time.Minute, Policy: rotation.Policy{Overlap: 10 * time.Second, Idle: 14 * 24 * time.Hour, Absolute: absolute}},
		Issuer:    "https://app.example", Audience: "https://app.example", Clock: w.clock, Rand: rand.Reader, Logger: logger})
	s := idp.Settings{ID: "company", Name: "Company", Issuer: w.provider.URL, ClientID: idptest.ClientID, ClientSecret: idptest.ClientSecret,
		RolesClaim: "groups", Roles: []string{"staff=viewer", "boss=admin", "CN=chess,OU=x=player"}}
	for _, f := range change {
		f(&s)
	}
	must(t, s.Check())
	w.Service = idp.New(idp.Config{Providers: []idp.Settings{s}, Callback: func(id string) string { return "https://app.example/auth/oidc/" + id + "/callback" },
		Users: w.users, Sessions: w.sessions, Sealer: w.ring, Clock: w.clock, Rand: rand.Reader, Logger: logger})
	return w
}

// atProvider begins a sign-in and goes to the provider; it returns what the
// browser brings back, and what it holds.
func (w *world) atProvider() (answer map[string]string, sealed string) {
	w.Helper()
	began, err := w.Begin(w.Context(), "company", "then")
	must(w.T, err)
	return w.visit(began.Location), began.Sealed
}

func (w *world) visit(location string) map[string]string {
	w.Helper()
	return w.visitAs(location, "company")
}

func (w *world) visitAs(location, id string) map[string]string {
	w.Helper()
	c := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(location)
	must(w.T, err)
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	must(w.T, err)
	if resp.StatusCode != http.StatusFound || back.Scheme+"://"+back.Host+back.Path != "https://app.example/auth/oidc/"+id+"/callback" {
		w.Fatalf("the provider answered %d to %s", resp.StatusCode, back)
	}
	answer := map[string]string{}
	for name, v := range back.Query() {
		answer[name] = v[0]
	}
	return answer
}

func (w *world) signIn() (idp.Arrival, error) {
	w.Helper()
	answer, sealed := w.atProvider()
	return w.Finish(w.Context(), "company", answer, sealed)
}

// session starts one for whoever signs in now.
func (w *world) session() rotation.SessionID {
	w.Helper()
	a, err := w.signIn()
	must(w.T, err)
	g, err := w.sessions.Start(w.Context(), session.SignIn{UserID: a.UserID, Client: session.Client{ID: "web"}, Origin: a.Origin, Contact: contact})
	must(w.T, err)
	return g.Session.ID
}

func (w *world) alive(id rotation.SessionID) bool {
	w.Helper()
	s, err := w.store.Sessions.Get(w.Context(), id)
	must(w.T, err)
	return !s.State.Ended
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var contact = session.Contact{Address: netip.MustParseAddr("192.0.2.7")}

// nobody is a network on which nobody answers.
type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody answers")
}
