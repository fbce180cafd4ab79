// Package fakeauth is an auth server and an API for tests of package client: the
// native surface with tokens in bodies (wire.md §1), deciding with the real
// package rotation on state in memory. What it counts and breaks is in a layer
// of its own ([Watch]), which works around any other server's handler too.
package fakeauth

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// The one user.
const (
	Username = "alice"
	Password = "alice-password"
)

// Server is the auth server. Set the exported fields before it is used.
type Server struct {
	Access time.Duration // lifetime of access tokens, whole seconds
	Policy rotation.Policy

	mu       sync.Mutex
	key      rotation.Key
	sessions map[rotation.SessionID]*rotation.State
	access   map[string]access
	grants   int
	outcomes map[rotation.Outcome]int
}

type access struct {
	session rotation.SessionID
	expires time.Time
	grants  int
}

// New returns a server with the default lifetimes of wire.md.
func New() *Server {
	s := &Server{
		Access:   15 * time.Minute,
		Policy:   rotation.Policy{Overlap: 10 * time.Second, Idle: 14 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour},
		sessions: map[rotation.SessionID]*rotation.State{},
		access:   map[string]access{},
		outcomes: map[rotation.Outcome]int{},
	}
	s.key.ID = 1
	fill(s.key.Secret[:])
	return s
}

func fill(b []byte) { _, _ = rand.Read(b) } // never fails (crypto/rand)

func tag() (t rotation.Tag) {
	fill(t[:])
	return t
}

// ServeHTTP serves login, refresh, confirm and logout below /auth.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		wire.LoginRequest
		RefreshToken string `json:"refresh_token"`
		Everywhere   bool   `json:"everywhere"`
	}
	if r.Method != http.MethodPost {
		problem(w, http.StatusMethodNotAllowed, wire.CodeMethodNotAllowed)
		return
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		problem(w, http.StatusBadRequest, wire.CodeInvalidRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.URL.Path {
	case wire.DefaultBasePath + wire.PathLogin:
		s.login(w, body.LoginRequest)
	case wire.DefaultBasePath + wire.PathRefresh:
		s.refresh(w, body.RefreshToken)
	case wire.DefaultBasePath + wire.PathConfirm:
		s.confirm(w, body.RefreshToken)
	case wire.DefaultBasePath + wire.PathLogout:
		s.logout(w, body.RefreshToken, body.Everywhere)
	default:
		problem(w, http.StatusNotFound, wire.CodeNotFound)
	}
}

func (s *Server) login(w http.ResponseWriter, l wire.LoginRequest) {
	if l.Username != Username || l.Password != Password {
		problem(w, http.StatusBadRequest, wire.CodeInvalidCredentials)
		return
	}
	var id rotation.SessionID
	fill(id[:])
	now := time.Now()
	st := &rotation.State{Head: rotation.Root(tag()), HeadAt: now, CreatedAt: now}
	s.sessions[id] = st
	s.answer(w, id, rotation.Seal(s.key, rotation.Child(id, st.Head, tag())), &wire.User{ID: "u1", Username: Username})
}

// decide presents a token: RFC 6749 §6 with the protocol's table.
func (s *Server) decide(presented string) (rotation.Token, rotation.Decision, bool) {
	t, err := rotation.Open(func(id rotation.KeyID) (rotation.Key, bool) { return s.key, id == s.key.ID }, presented)
	if err != nil {
		return t, rotation.Decision{}, false
	}
	st, ok := s.sessions[t.Session]
	if !ok {
		return t, rotation.Decision{}, false
	}
	now := time.Now()
	d := rotation.Decide(*st, t, s.Policy, now)
	s.outcomes[d.Outcome]++
	switch {
	case d.Outcome.Moves():
		st.Head, st.HeadAt = d.Head, now
	case d.Outcome == rotation.Reused:
		s.end(t.Session)
	}
	return t, d, d.Outcome.Granted()
}

func (s *Server) refresh(w http.ResponseWriter, presented string) {
	t, d, ok := s.decide(presented)
	if !ok {
		problem(w, http.StatusBadRequest, wire.CodeInvalidGrant)
		return
	}
	child := ""
	if d.Outcome.Mints() {
		child = rotation.Seal(s.key, rotation.Child(t.Session, d.Head, tag()))
	}
	s.answer(w, t.Session, child, nil)
}

func (s *Server) confirm(w http.ResponseWriter, presented string) {
	if _, _, ok := s.decide(presented); !ok {
		problem(w, http.StatusBadRequest, wire.CodeInvalidGrant)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) logout(w http.ResponseWriter, presented string, everywhere bool) {
	t, err := rotation.Open(func(id rotation.KeyID) (rotation.Key, bool) { return s.key, id == s.key.ID }, presented)
	if err == nil {
		s.end(t.Session)
		for id := range s.sessions {
			if everywhere {
				s.end(id)
			}
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) end(id rotation.SessionID) {
	if st, ok := s.sessions[id]; ok {
		st.Ended = true
	}
}

func (s *Server) answer(w http.ResponseWriter, id rotation.SessionID, refresh string, u *wire.User) {
	token := "at." + rand.Text()
	s.access[token] = access{session: id, expires: time.Now().Add(s.Access), grants: s.grants}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(wire.TokenResponse{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: int64(s.Access / time.Second), RefreshToken: refresh,
		Session: wire.TokenSession{ID: id.String(), ExpiresAt: s.Policy.ExpiresAt(*s.sessions[id]).UTC().Format(time.RFC3339)},
		User:    u,
	})
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", wire.ContentTypeProblem)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(wire.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code})
}

// Check says how an API responds to an Authorization header: "" if it is good,
// else the challenge of a 401.
func (s *Server) Check(authorization string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	const bearer = "Bearer "
	if len(authorization) <= len(bearer) {
		return "Bearer"
	}
	a, ok := s.access[authorization[len(bearer):]]
	switch {
	case !ok || !time.Now().Before(a.expires) || s.sessions[a.session].Ended:
		return `Bearer realm="test, API", error="` + wire.CodeInvalidToken + `"`
	case a.grants < s.grants:
		return `Bearer error="` + wire.CodeInvalidToken + `", error_description="` + wire.GrantsChanged + `"`
	}
	return ""
}

// ForgetAccess makes every access token that is out invalid.
func (s *Server) ForgetAccess() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
}

// ChangeGrants makes every access token that is out stale.
func (s *Server) ChangeGrants() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants++
}

// EndAll ends every session.
func (s *Server) EndAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.sessions {
		s.end(id)
	}
}

// Living is how many sessions have not ended.
func (s *Server) Living() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, st := range s.sessions {
		if !st.Ended {
			n++
		}
	}
	return n
}

// Outcomes is how many presentations ended like o.
func (s *Server) Outcomes(o rotation.Outcome) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outcomes[o]
}

// Refused is how many presentations were refused for good.
func (s *Server) Refused() int {
	return s.Outcomes(rotation.Reused) + s.Outcomes(rotation.Ended) + s.Outcomes(rotation.Expired)
}

// API is a resource server: 401 as wire.md says, else it echoes the body. The
// path /forbidden responds with 403, /always401 never accepts a token.
func (s *Server) API() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		challenge := s.Check(r.Header.Get("Authorization"))
		if r.URL.Path == "/always401" {
			challenge = `Bearer error="` + wire.CodeInvalidToken + `"`
		}
		if challenge != "" {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/forbidden" {
			w.Header().Set("WWW-Authenticate", `Bearer error="`+wire.CodeInsufficientScope+`"`)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b)
	})
}
