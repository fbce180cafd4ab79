package remoteusers_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/remoteusers"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/wire"
)

const secret = "a-secret-of-two-systems"

// system is another system that keeps users. Misbehave, if set, handles a request
// in its place.
type system struct {
	*httptest.Server
	mu        sync.Mutex
	users     map[string]remoteusers.User // by id; the password is the name
	asked     []remoteusers.Credentials
	misbehave http.HandlerFunc
}

func newSystem(t *testing.T) *system {
	s := &system{users: map[string]remoteusers.User{
		"7": {User: wire.User{ID: "7", Username: "ada", DisplayName: "Ada L.", Email: "ada@example.com"},
			Roles: []string{"editor"}, Permissions: []string{"orders:read"}, GrantsVersion: 3, Settings: map[string]any{"theme": "dark"}},
		"a/b?c%20d 李": {User: wire.User{ID: "a/b?c%20d 李", Username: "odd"}},
	}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.misbehave != nil {
		s.misbehave(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+secret {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == "GET" {
		id := strings.TrimPrefix(r.URL.Path, "/users/")
		if u, ok := s.users[id]; ok {
			_ = json.NewEncoder(w).Encode(u)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var req remoteusers.Credentials
	if r.URL.Path != "/authenticate" || json.NewDecoder(r.Body).Decode(&req) != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	s.asked = append(s.asked, req)
	for _, u := range s.users {
		if u.Username == req.Username && req.Username == req.Password {
			_ = json.NewEncoder(w).Encode(u)
			return
		}
	}
	w.WriteHeader(http.StatusForbidden)
}

// does sets what the system does from now on.
func (s *system) does(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misbehave = f
}

func (s *system) change(id string, f func(*remoteusers.User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id]
	f(&u)
	s.users[id] = u
}

// harness is Tacet with the users of a system.
type harness struct {
	*testing.T
	*system
	app *app.App
	url string
	log *bytes.Buffer
}

func newHarness(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	h := &harness{T: t, system: newSystem(t), log: &bytes.Buffer{}}
	var handler http.Handler
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(web.Close)
	h.url = web.URL
	cfg := app.Config{PublicURL: web.URL, DataDir: sqlitetest.Dir(t), RemoteUsers: remoteusers.Settings{UsersURL: h.system.URL + "/", UsersSecretFile: write(t, secret+"\n")},
		Logger: slog.New(slog.NewTextHandler(h.log, nil))}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if h.app, err = app.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	h.app.Start()
	t.Cleanup(func() { _ = h.app.Close() })
	handler = h.app.Handler
	return h
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// call sends a request and returns the status and the body, which is decoded into
// v if that is not nil.
func (h *harness) call(method, path, token, body string, v any) (*http.Response, string) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("User-Agent", "a browser")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	if v != nil && res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(data, v); err != nil {
			h.Fatalf("%v in %s", err, data)
		}
	}
	return res, string(data)
}

func (h *harness) want(status int, method, path, token, body string) string {
	h.Helper()
	res, text := h.call(method, path, token, body, nil)
	if res.StatusCode != status {
		h.Fatalf("%s %s: %d, want %d; %s", method, path, res.StatusCode, status, text)
	}
	return text
}

func (h *harness) signIn(name string) wire.TokenResponse {
	h.Helper()
	var tokens wire.TokenResponse
	if res, text := h.call("POST", "/auth/login", "", `{"username":"`+name+`","password":"`+name+`","delivery":"body"}`, &tokens); res.StatusCode != 200 {
		h.Fatalf("sign-in of %s: %d %s", name, res.StatusCode, text)
	}
	return tokens
}

func (h *harness) refresh(t wire.TokenResponse) (int, wire.TokenResponse) {
	h.Helper()
	var tokens wire.TokenResponse
	res, _ := h.call("POST", "/auth/refresh", "", `{"refresh_token":"`+t.RefreshToken+`"}`, &tokens)
	return res.StatusCode, tokens
}
