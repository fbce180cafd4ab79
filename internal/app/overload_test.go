package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/storetest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// hanging is a store that, while it hangs, answers nothing until the caller
// gives up.
type hanging struct {
	storetest.Stores
	stuck atomic.Bool
	calls atomic.Int64 // under way
	peak  atomic.Int64
}

func (h *hanging) Sessions() session.Store     { return hangingSessions{h.Stores.Sessions, h} }
func (h *hanging) Documents() documents.Store  { return h.Stores.Documents }
func (h *hanging) Events() events.Log          { return h.Stores.Events }
func (h *hanging) Check(context.Context) error { return nil }
func (h *hanging) Size() (int64, error)        { return 0, nil }
func (h *hanging) Close() error                { return nil }

func (h *hanging) wait(ctx context.Context) error {
	n := h.calls.Add(1)
	defer h.calls.Add(-1)
	for p := h.peak.Load(); n > p && !h.peak.CompareAndSwap(p, n); p = h.peak.Load() {
	}
	if !h.stuck.Load() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

type hangingSessions struct {
	session.Store
	h *hanging
}

func (s hangingSessions) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	if err := s.h.wait(ctx); err != nil {
		return session.Session{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s hangingSessions) Move(ctx context.Context, m session.Move) (session.Session, error) {
	if err := s.h.wait(ctx); err != nil {
		return session.Session{}, err
	}
	return s.Store.Move(ctx, m)
}

// slowPeople takes its time to check a password; the id of a user is the name
// and the password.
type slowPeople struct {
	took          time.Duration
	judging, peak atomic.Int64
}

func (p *slowPeople) Authenticate(ctx context.Context, name, password string, _ session.Contact) (session.Identity, error) {
	n := p.judging.Add(1)
	defer p.judging.Add(-1)
	for m := p.peak.Load(); n > m && !p.peak.CompareAndSwap(m, n); m = p.peak.Load() {
	}
	time.Sleep(p.took)
	if name != password {
		return session.Identity{}, session.ErrInvalidCredentials
	}
	return session.Identity{UserID: name}, nil
}

func (p *slowPeople) User(_ context.Context, id string) (session.User, error) {
	return session.User{User: wire.User{ID: id, Username: id}, GrantsVersion: 1}, nil
}

func (p *slowPeople) Grants(ctx context.Context, id string) (session.User, error) {
	return p.User(ctx, id)
}

// overloaded is an App in a bubble, whose store can be made to hang.
type overloaded struct {
	*testing.T
	app    *App
	store  *hanging
	people *slowPeople
}

func openOverloaded(t *testing.T) *overloaded {
	o := &overloaded{T: t, store: &hanging{Stores: storetest.Memory()}, people: &slowPeople{}}
	var err error
	o.app, err = Open(t.Context(), Config{PublicURL: "http://localhost", MasterKey: strings.Repeat("0123456789abcdef", 4),
		Profiles: profiles.Settings{Names: []string{"envelope", "soybean"}}, TrustedProxies: []string{"192.0.2.0/24"}, Directory: o.people, Authenticator: o.people, Logger: slog.New(slog.DiscardHandler),
		OpenStore: func(Hooks) (Store, error) { return o.store, nil }})
	must(t, err)
	return o
}

func (o *overloaded) sessions(n int) []session.Grant {
	list := make([]session.Grant, n)
	for i := range list {
		g, err := o.app.Sessions.Start(o.Context(), session.SignIn{UserID: fmt.Sprint("user ", i), Client: session.Client{ID: "tacet-web"}})
		must(o.T, err)
		list[i] = g
	}
	return list
}

// answer is what a request came to, and after how long.
type answer struct {
	*httptest.ResponseRecorder
	took time.Duration
}

func (o *overloaded) call(method, path, body string, headers ...string) answer {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	began, w := time.Now(), httptest.NewRecorder()
	o.app.Handler.ServeHTTP(w, r)
	return answer{w, time.Since(began)}
}

func (o *overloaded) renew(token string) answer {
	return o.call("POST", "/auth/refresh", `{"refresh_token":"`+token+`"}`)
}

// later asserts that an answer means "come back later" and touches nothing.
func (a answer) later(t *testing.T, what string) {
	t.Helper()
	seconds, _ := strconv.Atoi(a.Header().Get("Retry-After"))
	if a.Code != http.StatusServiceUnavailable || seconds < 1 || seconds > 3 || a.Header().Get("Set-Cookie") != "" {
		t.Errorf("%s: %d, Retry-After %q, Set-Cookie %q, %s", what, a.Code, a.Header().Get("Retry-After"), a.Header().Get("Set-Cookie"), a.Body)
	}
}

// The store hangs under thousands of renewals: every answer comes within a fixed
// time and means "later", no more calls than allowed are under way, checking
// access tokens goes on without any wait, and when the store is back everybody
// renews, without a restart.
func TestAHangingStoreBoundsTimeAndMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOverloaded(t)
		crowd := renewalLimits.Working + renewalLimits.Waiting + 500
		all := o.sessions(crowd)
		o.store.stuck.Store(true)

		slowest := make([]time.Duration, 3) // of three waves
		var atOnce atomic.Int64
		retryAfter := map[string]int{}
		for wave := range slowest {
			answers := make([]answer, crowd)
			var running sync.WaitGroup
			for i, g := range all {
				running.Go(func() { answers[i] = o.renew(g.RefreshToken) })
			}
			time.Sleep(500 * time.Millisecond) // all are at work, waiting, or gone
			o.goesOn(all[0].AccessToken)
			running.Wait()
			for _, a := range answers {
				a.later(t, "a renewal")
				slowest[wave] = max(slowest[wave], a.took)
				retryAfter[a.Header().Get("Retry-After")]++
				if a.took == 0 {
					atOnce.Add(1)
				}
			}
		}
		// A decision has between 5 and 6 seconds, a turn comes within one.
		for wave, d := range slowest {
			if limit := 7 * time.Second; d > limit {
				t.Errorf("wave %d: an answer took %s, more than %s", wave, d, limit)
			}
		}
		if peak := int(o.store.peak.Load()); peak > renewalLimits.Working {
			t.Errorf("%d calls to the store were under way at once", peak)
		}
		if n := int(atOnce.Load()); n < 3*500 {
			t.Errorf("%d were turned away at once, too few", n)
		}
		if len(retryAfter) != 3 {
			t.Errorf("those who were turned away all come back together: %v", retryAfter)
		}

		o.store.stuck.Store(false)
		for i, g := range all {
			if a := o.renew(g.RefreshToken); a.Code != http.StatusOK {
				t.Fatalf("session %d was lost: %d %s", i, a.Code, a.Body)
			}
		}
		if s := o.app.gates.renewals.Stats(); s.Working != 0 || s.Waiting != 0 || s.Full == 0 || s.Slow == 0 {
			t.Errorf("the gate afterwards: %+v", s)
		}
	})
}

// goesOn asserts that what needs no store is answered without any wait.
func (o *overloaded) goesOn(access string) {
	o.Helper()
	bearer := []string{"Authorization", "Bearer " + access}
	for path, headers := range map[string][]string{
		"/auth/verify": bearer, "/.well-known/jwks.json": nil, "/livez": nil, "/.well-known/openid-configuration": nil,
	} {
		if a := o.call("GET", path, "", headers...); a.Code != http.StatusOK || a.took > 0 {
			o.Errorf("%s: %d after %s", path, a.Code, a.took)
		}
	}
	if _, err := o.app.Verifier.Verify(o.Context(), access); err != nil {
		o.Errorf("verification: %v", err)
	}
}

// Whoever is turned away hears it in the form of the dialect, with nothing
// cleared.
func TestShedInEveryDialect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOverloaded(t)
		g := o.sessions(1)[0]
		for range renewalLimits.Working {
			must(t, o.app.gates.renewals.Enter(t.Context()))
		}
		o.renew(g.RefreshToken).later(t, "native")
		a := o.call("POST", "/oauth/token", "grant_type=refresh_token&client_id=tacet-web&refresh_token="+g.RefreshToken, "Content-Type", "application/x-www-form-urlencoded")
		a.later(t, "OAuth")
		if !strings.Contains(a.Body.String(), `"error":"temporarily_unavailable"`) {
			t.Errorf("OAuth: %s", a.Body)
		}
		a = o.call("POST", "/auth/refreshToken", `{"refreshToken":"`+g.RefreshToken+`"}`)
		if body := a.Body.String(); a.Header().Get("Set-Cookie") != "" || strings.Contains(body, "8888") || strings.Contains(body, "0000") {
			t.Errorf("soybean: %d %s", a.Code, body)
		}
		a = o.call("POST", "/api/Auth/RefreshToken", `{}`, "Cookie", "tacet_refresh="+g.RefreshToken)
		if a.Header().Get("Set-Cookie") != "" || a.Code == http.StatusUnauthorized || a.Code == http.StatusForbidden {
			t.Errorf("envelope: %d %s", a.Code, a.Body)
		}
		for range renewalLimits.Working {
			o.app.gates.renewals.Leave()
		}
		if a := o.renew(g.RefreshToken); a.Code != http.StatusOK {
			t.Errorf("afterwards: %d %s", a.Code, a.Body)
		}
	})
}

// A storm of sign-ins is bounded for itself: renewals do not notice.
func TestASignInStormDoesNotStarveRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOverloaded(t)
		g := o.sessions(1)[0]
		o.people.took = 2 * time.Second
		const crowd = 2000
		answers := make([]answer, crowd)
		var running sync.WaitGroup
		for i := range answers {
			running.Go(func() {
				name := fmt.Sprint("user ", i)
				answers[i] = o.call("POST", "/auth/login", `{"username":"`+name+`","password":"`+name+`"}`,
					"X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", i/250, i%250)) // else the throttle would be first
			})
		}
		token := g.RefreshToken
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			a := o.renew(token)
			if a.Code != http.StatusOK || a.took > 0 {
				t.Fatalf("a renewal in the storm: %d after %s", a.Code, a.took)
			}
		}
		running.Wait()
		if peak := int(o.people.peak.Load()); peak > ownSignIns.Working {
			t.Errorf("%d passwords were judged at once", peak)
		}
		count := map[int]int{}
		for _, a := range answers {
			count[a.Code]++
			if a.Code != http.StatusOK {
				a.later(t, "a sign-in")
			}
			if limit := ownSignIns.Wait + o.people.took; a.took > limit {
				t.Errorf("a sign-in took %s", a.took)
			}
		}
		if count[http.StatusOK] < ownSignIns.Working || count[http.StatusServiceUnavailable] == 0 {
			t.Errorf("answers by status: %v", count)
		}
	})
}

// The Go client takes it for what it is: it comes back later and nobody is
// signed out.
func TestClientsComeBackLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOverloaded(t)
		var signedOut atomic.Int64
		var sources []*client.Source
		for i := range 50 {
			s, err := client.New(client.Config{URL: "http://localhost/auth", HTTP: o, OnSignedOut: func(*client.SignedOutError) { signedOut.Add(1) }})
			must(t, err)
			defer s.Close()
			name := fmt.Sprint("user ", i)
			_, err = s.SignIn(t.Context(), name, name)
			must(t, err)
			sources = append(sources, s)
		}
		o.store.stuck.Store(true)
		time.Sleep(20 * time.Minute) // every access token has expired
		later := 0
		for _, s := range sources {
			_, err := s.Token(t.Context())
			var temporary *client.TemporaryError
			if !errors.As(err, &temporary) {
				t.Fatalf("while the store hangs: %v", err)
			}
			if temporary.Status == http.StatusServiceUnavailable {
				later++
			}
		}
		if later == 0 {
			t.Error("nobody was told to come back")
		}
		o.store.stuck.Store(false)
		time.Sleep(10 * time.Second) // longer than any Retry-After
		for i, s := range sources {
			if _, err := s.Token(t.Context()); err != nil {
				t.Errorf("client %d afterwards: %v", i, err)
			}
		}
		if n := signedOut.Load(); n > 0 {
			t.Errorf("%d clients were signed out", n)
		}
	})
}

// RoundTrip is http.RoundTripper: it calls the handler.
func (o *overloaded) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1234"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	o.app.Handler.ServeHTTP(w, in)
	resp := w.Result()
	if resp.Body == nil {
		resp.Body = io.NopCloser(strings.NewReader(""))
	}
	return resp, r.Context().Err()
}
