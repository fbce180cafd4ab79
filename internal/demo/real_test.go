package demo_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/demo"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

// real is the demo in front of the real server, as `tacet dev` puts it together.
func real(t *testing.T, publicURL string) *demo.Server {
	t.Helper()
	var decisions demo.Decisions
	cfg := app.Config{
		PublicURL: publicURL, DataDir: t.TempDir(), AccessTTL: 10 * time.Second,
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
	for name, role := range map[string]string{"alice": "admin", "bob": "viewer"} {
		if err := a.Directory.AddRole(t.Context(), role); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Directory.Add(t.Context(), directory.NewUser{Name: name, Password: name + "-password", Roles: []string{role}}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := demo.New(demo.Config{
		Auth: a.Handler, Protect: a.Verifier.Middleware, Decisions: &decisions,
		AccessTTL: a.Config.AccessTTL, Overlap: a.Config.Overlap, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestWithTheRealServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: real(t, base)}}
	srv.Start()
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	do := func(method, path, body string) (int, string, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range jar.Cookies(u) {
			if c.Name == wire.CookieCSRF {
				req.Header.Set(wire.HeaderCSRF, c.Value)
			}
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res.StatusCode, string(b), err
	}
	want := func(method, path, body string, status int) string {
		t.Helper()
		got, text, err := do(method, path, body)
		if err != nil || got != status {
			t.Fatalf("%s %s: %d %v, want %d: %s", method, path, got, err, status, text)
		}
		return text
	}
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
