package tacet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// ada is a server of one user, in a directory that lasts as long as stop is not called.
func ada() (srv *tacet.Server, stop func()) {
	dir, err := os.MkdirTemp("", "tacet-example-")
	if err != nil {
		panic(err)
	}
	srv, err = tacet.New(context.Background(), tacet.Config{PublicURL: "http://localhost", DataDir: dir, Logger: slog.New(slog.DiscardHandler),
		Users: &oneUser{user: tacet.User{ID: "7", Username: "ada", GrantsVersion: 1}}})
	if err != nil {
		panic(err)
	}
	return srv, func() {
		_ = srv.Close()
		_ = os.RemoveAll(dir)
	}
}

// Sign-in by a code that was sent to the user. The browser gets the session in
// cookies.
func ExampleServer_Begin() {
	srv, stop := ada()
	defer stop()
	mux := http.NewServeMux()
	mux.Handle("/auth/", srv)
	mux.HandleFunc("POST /code", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("code") != "482913" { // of the user whom it was sent to
			http.Error(w, "wrong code", http.StatusBadRequest)
			return
		}
		if _, err := srv.Begin(w, r, "7", tacet.BeginOptions{AMR: []string{"sms"}}); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	site := http.NewCrossOriginProtection().Handler(mux) // no foreign page signs anybody in

	r := httptest.NewRequest("POST", "http://localhost/code", strings.NewReader("code=482913"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Location"))
	for _, c := range w.Result().Cookies() {
		fmt.Println(c.Name)
	}
	// Output:
	// 303 /
	// tacet_refresh
	// tacet_csrf
}

// Tokens for a client that is no browser.
func ExampleServer_BeginTokens() {
	srv, stop := ada()
	defer stop()
	tokens, err := srv.BeginTokens(context.Background(), "7", tacet.BeginOptions{AMR: []string{"hwk"}, ACR: "urn:example:passkey"})
	if err != nil {
		panic(err)
	}
	token, err := srv.Verifier().Verify(context.Background(), tokens.AccessToken)
	fmt.Println(token.Subject(), token.AMR(), token.ACR(), tokens.RefreshToken != "", err)
	// Output: 7 [hwk] urn:example:passkey true <nil>
}

// Begin in a browser that has a session: the old one ends. What is needed of a
// sign-in is enforced.
func TestBegin(t *testing.T) {
	var passed atomic.Int64 // nanoseconds since start
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	users := &oneUser{user: tacet.User{ID: "7", Username: "ada", GrantsVersion: 1}}
	srv, err := tacet.New(t.Context(), tacet.Config{PublicURL: "http://localhost", DataDir: sqlitetest.Dir(t), Users: users,
		Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time { return start.Add(time.Duration(passed.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	paid := srv.RequireAuth(verify.StepUp{AMR: []string{"otp"}, MaxAge: 5 * time.Minute})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	pay := func(access string) int {
		r := httptest.NewRequest("POST", "http://localhost/pay", nil)
		r.Header.Set("Authorization", "Bearer "+access)
		w := httptest.NewRecorder()
		paid.ServeHTTP(w, r)
		return w.Code
	}
	begin := func(cookies []*http.Cookie, o tacet.BeginOptions) (wire.TokenResponse, []*http.Cookie) {
		t.Helper()
		r := httptest.NewRequest("POST", "http://localhost/code", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		got, err := srv.Begin(w, r, "7", o)
		if err != nil || got.RefreshToken != "" || got.User == nil || w.Body.Len() > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		return got, w.Result().Cookies()
	}
	first, cookies := begin(nil, tacet.BeginOptions{})
	if got := pay(first.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("without a code: %d", got)
	}
	second, cookies := begin(cookies, tacet.BeginOptions{AMR: []string{"otp"}})
	if got := pay(second.AccessToken); got != http.StatusOK {
		t.Errorf("with a code: %d", got)
	}
	if got := pay(first.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("with the token of the session before: %d", got)
	}

	passed.Store(int64(10 * time.Minute))
	r := httptest.NewRequest("POST", "http://localhost/auth/refresh", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	for _, c := range cookies {
		r.AddCookie(c)
		if c.Name == wire.CookieCSRF {
			r.Header.Set(wire.HeaderCSRF, c.Value)
		}
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, r)
	var renewed wire.TokenResponse
	if err := json.Unmarshal(w.Body.Bytes(), &renewed); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := pay(renewed.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("a renewal has made the sign-in fresh again: %d", got)
	}

	if _, err := srv.BeginTokens(t.Context(), "8", tacet.BeginOptions{}); !errors.Is(err, tacet.ErrNoUser) {
		t.Errorf("an unknown user: %v", err)
	}
	if _, err := srv.BeginTokens(t.Context(), "7", tacet.BeginOptions{AMR: []string{"two words"}}); err == nil {
		t.Error("a method of two words is taken")
	}
}
