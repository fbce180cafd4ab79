package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/tacet-dev/tacet"
	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/wire"
)

// run serves the site at an address until stop is called.
func run(t *testing.T, addr, dir string) (url string, stop func()) {
	ln, err := net.Listen("tcp", addr)
	must(t, err)
	users, err := newPeople(bcrypt.MinCost)
	must(t, err)
	url = "http://" + ln.Addr().String()
	auth, err := tacet.New(context.Background(), tacet.Config{PublicURL: url, DataDir: dir, Users: users, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = resource.Serve(ln, (&site{auth, users}).routes()) // until the listener is closed
	}()
	return url, func() {
		_ = ln.Close()
		<-ended
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		must(t, auth.Close())
	}
}

// browser is somebody at the site.
type browser struct {
	t      *testing.T
	url    string
	source *client.Source
	http   *http.Client
}

func signIn(t *testing.T, url, name string) browser {
	t.Helper()
	src, err := client.New(client.Config{URL: url + wire.DefaultBasePath})
	must(t, err)
	t.Cleanup(src.Close)
	_, err = src.SignIn(t.Context(), name, name+"-password")
	must(t, err)
	transport, err := client.NewTransport(src, nil, url)
	must(t, err)
	return browser{t, url, src, &http.Client{Transport: transport}}
}

func (b browser) do(method, path, body string, want int) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	must(b.t, err)
	res, err := b.http.Do(req)
	must(b.t, err)
	_ = res.Body.Close()
	if res.StatusCode != want {
		b.t.Errorf("%s %s: %s, want %d; %s", method, path, res.Status, want, res.Header.Get("WWW-Authenticate"))
	}
	return res
}

func TestUsersOfItsOwn(t *testing.T) {
	url, stop := run(t, "127.0.0.1:0", t.TempDir())
	defer stop()
	for _, wrong := range [][2]string{{"alice", "bob-password"}, {"carol", "carol-password"}, {"", "nobody-password"}} {
		src, err := client.New(client.Config{URL: url + wire.DefaultBasePath})
		must(t, err)
		_, err = src.SignIn(t.Context(), wrong[0], wrong[1])
		if p, ok := errors.AsType[*client.ProblemError](err); !ok || p.Code != wire.CodeInvalidCredentials && wrong[0] != "" {
			t.Errorf("%q: %v", wrong[0], err)
		}
		src.Close()
	}

	alice, bob := signIn(t, url, "alice"), signIn(t, url, "bob")
	bob.do("GET", "/api/orders", "", 200)
	bob.do("POST", "/api/orders", `{"item":"tea"}`, 403)
	bob.do("DELETE", "/api/people/1", "", 403)

	// A new permission counts at once, without a new sign-in.
	old, err := bob.source.Token(t.Context())
	must(t, err)
	alice.do("PUT", "/api/people/2/permissions", `["orders:*"]`, 204)
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/me", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+old.AccessToken)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	_ = res.Body.Close()
	if c := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || !strings.Contains(c, wire.GrantsChanged) {
		t.Errorf("the old token: %s %q", res.Status, c)
	}
	bob.do("POST", "/api/orders", `{"item":"tea"}`, 201)

	// Who is dismissed is out with the next request, on every device.
	other := signIn(t, url, "bob")
	alice.do("DELETE", "/api/people/2", "", 204)
	_, err = other.http.Get(url + "/api/orders")
	if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
		t.Errorf("after the dismissal: %v", err)
	}
	alice.do("PUT", "/api/people/2/permissions", `[]`, 404)
	alice.do("GET", "/api/me", "", 200)
}

func TestSessionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	url, stop := run(t, "127.0.0.1:0", dir)
	alice := signIn(t, url, "alice")
	stop()
	_, stop = run(t, strings.TrimPrefix(url, "http://"), dir)
	defer stop()
	alice.do("GET", "/api/me", "", 200)
	old, err := alice.source.Token(t.Context())
	must(t, err)
	renewed, err := alice.source.Renew(t.Context(), old)
	if err != nil || renewed.Session != old.Session || renewed == old {
		t.Errorf("after the restart: %v, %v", renewed, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
