package demo

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// fakeAuth is a server in memory that keeps the wire contract as far as the
// demo can see it. The rule is the real one.
type fakeAuth struct {
	mu       sync.Mutex
	key      rotation.Key
	policy   rotation.Policy
	ttl      time.Duration
	states   map[rotation.SessionID]rotation.State
	contacts map[rotation.SessionID]session.Contact
	watch    Decisions
	seq      int
	clear    bool         // refusals clear the cookie
	calls    atomic.Int32 // to refresh
}

func newFakeAuth() *fakeAuth {
	f := &fakeAuth{
		policy:   rotation.Policy{Overlap: 10 * time.Second},
		ttl:      10 * time.Second,
		states:   map[rotation.SessionID]rotation.State{},
		contacts: map[rotation.SessionID]session.Contact{},
		clear:    true,
	}
	_, _ = rand.Read(f.key.Secret[:])
	return f
}

func (f *fakeAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	contact := session.Contact{Address: netip.MustParseAddrPort(r.RemoteAddr).Addr(), UserAgent: r.UserAgent()}
	switch r.URL.Path {
	case "/auth/login":
		var id rotation.SessionID
		_, _ = rand.Read(id[:])
		f.states[id] = rotation.State{Head: rotation.Root(randomTag()), HeadAt: time.Now(), CreatedAt: time.Now()}
		f.contacts[id] = contact
		f.grant(w, id, false)
	case "/auth/refresh":
		f.calls.Add(1)
		f.refresh(w, r, contact)
	case "/auth/logout":
		http.SetCookie(w, &http.Cookie{Name: wire.CookieRefresh, Path: "/auth", MaxAge: -1})
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "fake: "+r.URL.Path, http.StatusTeapot)
	}
}

func (f *fakeAuth) refresh(w http.ResponseWriter, r *http.Request, contact session.Contact) {
	raw, body := refreshCookie(r.Cookies()), false
	if raw == "" {
		var req wire.RefreshRequest
		_ = json.NewDecoder(r.Body).Decode(&req)
		raw, body = req.RefreshToken, true
	}
	t, err := rotation.Open(func(rotation.KeyID) (rotation.Key, bool) { return f.key, true }, raw)
	state, known := f.states[t.Session]
	if err != nil || !known {
		problem(w, http.StatusBadRequest, wire.CodeInvalidGrant, "no")
		return
	}
	d := rotation.Decide(state, t, f.policy, time.Now())
	held := f.contacts[t.Session]
	if d.Outcome.Moves() {
		state.Head, state.HeadAt = d.Head, time.Now()
		f.contacts[t.Session], held = contact, contact
	}
	state.Ended = state.Ended || d.Outcome == rotation.Reused
	f.states[t.Session] = state
	f.watch.Observe(session.Decided{Session: t.Session, Presented: t, Outcome: d.Outcome, Contact: contact, Head: d.Head, HeadFrom: held})
	switch {
	case d.Outcome.Mints():
		f.grant(w, t.Session, body)
	case d.Outcome.Granted():
		_ = json.NewEncoder(w).Encode(wire.TokenResponse{AccessToken: f.access(t.Session)})
	default:
		if f.clear && !body {
			http.SetCookie(w, &http.Cookie{Name: wire.CookieRefresh, Path: "/auth", MaxAge: -1})
		}
		problem(w, http.StatusBadRequest, wire.CodeInvalidGrant, "over")
	}
}

func (f *fakeAuth) grant(w http.ResponseWriter, id rotation.SessionID, body bool) {
	child := rotation.Seal(f.key, rotation.Child(id, f.states[id].Head, randomTag()))
	answer := wire.TokenResponse{AccessToken: f.access(id), TokenType: "Bearer", ExpiresIn: int64(f.ttl.Seconds())}
	answer.Session.ID = fmt.Sprintf("%x", id)
	answer.User = &wire.User{ID: "u1", Username: "alice"}
	if body {
		answer.RefreshToken = child
	} else {
		http.SetCookie(w, &http.Cookie{Name: wire.CookieRefresh, Value: child, Path: "/auth", HttpOnly: true})
		http.SetCookie(w, &http.Cookie{Name: wire.CookieCSRF, Value: fmt.Sprintf("%d.x", f.states[id].Head.Generation+1), Path: "/"})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// access makes a token without a signature; fakeProtect looks at its dates only.
func (f *fakeAuth) access(id rotation.SessionID) string {
	f.seq++
	payload, _ := json.Marshal(wire.AccessClaims{
		ID: fmt.Sprint("jti-", f.seq), Subject: "u1", SessionID: fmt.Sprintf("%x", id), Roles: []string{"viewer"}, Scope: "orders:read",
		ExpiresAt: time.Now().Add(f.ttl).Unix(),
	})
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".e30"
}

func fakeProtect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := claims(bearer(r))
		if !ok || time.Now().Unix() >= c.ExpiresAt {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			problem(w, http.StatusUnauthorized, wire.CodeInvalidToken, "expired")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func randomTag() (t rotation.Tag) {
	_, _ = rand.Read(t[:])
	return t
}

func newDemo(t *testing.T) (*Server, *fakeAuth) {
	t.Helper()
	auth := newFakeAuth()
	s, err := New(Config{
		Auth: auth, Protect: fakeProtect, Decisions: &auth.watch,
		AccessTTL: auth.ttl, Overlap: auth.policy.Overlap, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, auth
}
