package tacet_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// oneUser is a directory of one's own with one person in it.
type oneUser struct {
	mu   sync.Mutex
	user tacet.User
}

func (o *oneUser) Authenticate(_ context.Context, name, password string) (tacet.User, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if name != o.user.Username || password != "secret" {
		return tacet.User{}, tacet.ErrInvalidCredentials
	}
	return o.user, nil
}

func (o *oneUser) User(_ context.Context, id string) (tacet.User, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if id != o.user.ID {
		return tacet.User{}, tacet.ErrNoUser
	}
	return o.user, nil
}

// A change in a directory of one's own is enforced at the next request, and the
// renewed token has the new permissions.
func TestGrantsOfOwnUsersAreLive(t *testing.T) {
	users := &oneUser{user: tacet.User{ID: "7", Username: "ada", Permissions: []string{"orders:read"}, GrantsVersion: 1}}
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	defer web.Close()
	srv, err := tacet.New(t.Context(), tacet.Config{PublicURL: web.URL, DataDir: sqlitetest.Dir(t), Users: users, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	mux.Handle("/auth/", srv)
	mux.Handle("/orders", srv.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := verify.FromContext(r.Context())
		_, _ = w.Write([]byte(token.Subject()))
	})))
	post := func(path, body string) wire.TokenResponse {
		t.Helper()
		r, err := http.Post(web.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var a wire.TokenResponse
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, r.StatusCode, err)
		}
		return a
	}
	orders := func(token string) *http.Response {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), "GET", web.URL+"/orders", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	first := post("/auth/login", `{"username":"ada","password":"secret","delivery":"body"}`)
	if got := orders(first.AccessToken).StatusCode; got != http.StatusOK {
		t.Fatalf("before the change: %d", got)
	}
	users.mu.Lock()
	users.user.Permissions, users.user.GrantsVersion = nil, 2
	users.mu.Unlock()
	if err := srv.GrantsChanged(t.Context(), "7", 2); err != nil {
		t.Fatal(err)
	}
	stale := orders(first.AccessToken)
	if stale.StatusCode != http.StatusUnauthorized || !strings.Contains(stale.Header.Get("WWW-Authenticate"), wire.GrantsChanged) {
		t.Errorf("after it: %d %q, want 401 grants_changed", stale.StatusCode, stale.Header.Get("WWW-Authenticate"))
	}
	next := post("/auth/refresh", `{"refresh_token":"`+first.RefreshToken+`"}`)
	if got := orders(next.AccessToken).StatusCode; got != http.StatusForbidden {
		t.Errorf("with the new token: %d, want 403", got)
	}
	if err := srv.EndSessions(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
	if got := orders(next.AccessToken).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("after the end of all sessions: %d, want 401", got)
	}
}

func ExampleNew() {
	srv, err := tacet.New(context.Background(), tacet.Config{
		PublicURL: "https://app.example.com",
		DataDir:   "data",
	})
	if err != nil {
		slog.Error("start", "error", err)
		return
	}
	defer srv.Close()
	mux := http.NewServeMux()
	mux.Handle("/auth/", srv)
	mux.Handle("/.well-known/", srv)
	mux.Handle("/api/", srv.Protect(http.NotFoundHandler()))
	_ = http.ListenAndServe("127.0.0.1:8080", mux)
}

// TestOverlapMayBeZero: then the parent of the head is a replay at once, also at
// the same instant.
func TestOverlapMayBeZero(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		overlap *time.Duration
		status  int
	}{
		"not set": {nil, http.StatusOK},
		"zero":    {new(time.Duration), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			users := &oneUser{user: tacet.User{ID: "7", Username: "ada", GrantsVersion: 1}}
			srv, err := tacet.New(t.Context(), tacet.Config{PublicURL: "http://localhost", DataDir: sqlitetest.Dir(t), Users: users,
				Overlap: c.overlap, Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			post := func(path string, body any) (int, wire.TokenResponse) {
				t.Helper()
				b, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				r := httptest.NewRequestWithContext(t.Context(), "POST", "http://localhost/auth"+path, strings.NewReader(string(b)))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				srv.ServeHTTP(w, r)
				var tokens wire.TokenResponse
				if err := json.Unmarshal(w.Body.Bytes(), &tokens); err != nil {
					t.Fatal(err)
				}
				return w.Code, tokens
			}
			_, first := post("/login", wire.LoginRequest{Username: "ada", Password: "secret", Delivery: wire.DeliveryBody})
			_, second := post("/refresh", wire.RefreshRequest{RefreshToken: first.RefreshToken})
			if code, _ := post("/refresh", wire.RefreshRequest{RefreshToken: second.RefreshToken}); code != http.StatusOK {
				t.Fatalf("a refresh: %d", code)
			}
			if code, _ := post("/refresh", wire.RefreshRequest{RefreshToken: first.RefreshToken}); code != c.status {
				t.Errorf("the parent of the head: %d, want %d", code, c.status)
			}
		})
	}
}
