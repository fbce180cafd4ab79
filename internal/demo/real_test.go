package demo_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/demo"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/wire"
)

// real is the demo in front of the real server, as `tacet dev` puts it together.
func real(t *testing.T, publicURL string) *demo.Server {
	t.Helper()
	var decisions demo.Decisions
	cfg := app.Config{
		PublicURL: publicURL, DataDir: sqlitetest.Dir(t), AccessTTL: 10 * time.Second,
		Observe: decisions.Observe, Logger: slog.New(slog.DiscardHandler),
	}
	a, err := app.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(a.Directory.AddRole(t.Context(), "admin", "admin:*", "orders:*"), a.Directory.AddRole(t.Context(), "viewer", "orders:read")); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]string{"alice": "admin", "bob": "viewer"} {
		if _, err := a.Directory.Add(t.Context(), directory.NewUser{Name: name, Password: name + "-password", Roles: []string{role}}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := demo.New(demo.Config{
		Auth: a.Handler, Protect: a.Verifier.Middleware, Decisions: &decisions,
		AccessTTL: a.Config.AccessTTL, Overlap: *a.Config.Overlap, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// visitor is a browser with a cookie jar of its own.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
	access string
}

// serve starts the demo in front of the real server; it returns the URL.
func serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: real(t, base)}}
	srv.Start()
	t.Cleanup(srv.Close)
	return base
}

func visit(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: base, client: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (v *visitor) do(method, path, body string) (int, string, error) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if v.access != "" {
		req.Header.Set("Authorization", "Bearer "+v.access)
	}
	for _, c := range v.client.Jar.Cookies(req.URL) {
		if c.Name == wire.CookieCSRF {
			req.Header.Set(wire.HeaderCSRF, c.Value)
		}
	}
	res, err := v.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func (v *visitor) want(method, path, body string, status int) string {
	v.t.Helper()
	got, text, err := v.do(method, path, body)
	if err != nil || got != status {
		v.t.Fatalf("%s %s: %d %v, want %d: %s", method, path, got, err, status, text)
	}
	return text
}

// token signs in or renews, and uses the access token from then on.
func (v *visitor) token(path, body string) wire.TokenResponse {
	v.t.Helper()
	v.access = ""
	var r wire.TokenResponse
	if err := json.Unmarshal([]byte(v.want("POST", path, body, http.StatusOK)), &r); err != nil {
		v.t.Fatal(err)
	}
	v.access = r.AccessToken
	return r
}

// What the card "Access" shows: a role that an administrator takes is gone from
// the demo API at once, and back as soon as it is given back.
func TestARoleIsTakenAndGivenBack(t *testing.T) {
	base := serve(t)
	alice, bob := visit(t, base), visit(t, base)
	alice.token("/auth/login", `{"username":"alice","password":"alice-password"}`)
	role := "/auth/admin/users/" + bob.token("/auth/login", `{"username":"bob","password":"bob-password"}`).User.ID + "/roles/viewer"
	const orders = "/api/demo/orders?n=1"

	alice.want("GET", orders, "", http.StatusOK)
	alice.want("GET", "/api/demo/admin", "", http.StatusOK)
	bob.want("GET", orders, "", http.StatusOK)
	bob.want("GET", "/api/demo/admin", "", http.StatusForbidden)
	bob.want("DELETE", role, "", http.StatusForbidden)

	alice.want("DELETE", role, "", http.StatusNoContent)
	bob.want("GET", orders, "", http.StatusUnauthorized) // the token tells of a role that is gone
	bob.token("/auth/refresh", "{}")
	bob.want("GET", orders, "", http.StatusForbidden)

	alice.want("PUT", role, "", http.StatusNoContent)
	bob.want("GET", orders, "", http.StatusUnauthorized)
	bob.token("/auth/refresh", "{}")
	bob.want("GET", orders, "", http.StatusOK)
}

func TestWithTheRealServer(t *testing.T) {
	base := serve(t)
	v := visit(t, base)
	do, want, client := v.do, v.want, v.client
	want("GET", "/", "", http.StatusOK)
	want("GET", wire.PathJWKS, "", http.StatusOK)
	want("GET", "/api/demo/orders", "", http.StatusUnauthorized)
	want("POST", "/auth/login", `{"username":"alice","password":"alice-password"}`, http.StatusOK)
	want("POST", "/demo/faults", `{"lose":1}`, http.StatusNoContent)
	if status, _, err := do("POST", "/auth/refresh", "{}"); err == nil {
		t.Fatalf("the lost answer arrived: %d", status)
	}
	want("POST", "/auth/refresh", "{}", http.StatusOK) // the lost answer costs nothing
	want("POST", "/auth/demo/steal", "", http.StatusNoContent)
	want("POST", "/demo/thief/renew", "", http.StatusNoContent)
	want("POST", "/demo/thief/read", "", http.StatusNoContent)
	want("POST", "/demo/thief/renew", "", http.StatusNoContent)
	want("POST", "/auth/refresh", "{}", http.StatusOK) // within the overlap: an access token
	want("POST", "/demo/thief/renew", "", http.StatusNoContent)
	want("POST", "/auth/refresh", "{}", http.StatusBadRequest)
	// The log ends with both sides of the fork.
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/demo/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	log := ""
	for buf := make([]byte, 4096); !strings.Contains(log, `"status":400`); {
		n, err := res.Body.Read(buf)
		if err != nil {
			t.Fatalf("the stream ended with %v after:\n%s", err, log)
		}
		log += string(buf[:n])
	}
	for _, part := range []string{`"outcome":"advanced"`, `"fate":"lost"`, `"outcome":"retried"`, `"kind":"read","who":"thief","status":200`, `"outcome":"reuse_detected"`,
		`"by":{"address":"127.0.0.1","user_agent":"Go-http-client/1.1"},"held_by":{"address":"203.0.113.66","user_agent":"Thief/1.0"}`} {
		if !strings.Contains(log, part) {
			t.Errorf("the log does not tell %s:\n%s", part, log)
		}
	}
}
