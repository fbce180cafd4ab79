package exampletest

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/verify"
)

// API checks an example: that its adapter refuses as package verify does, lets
// the right people through, and follows the auth server.
func API(t *testing.T, serve func(net.Listener, *verify.Verifier) error) {
	s := New(t)
	url := s.API(serve)
	alice, bob := s.SignIn("alice"), s.SignIn("bob")
	waitFor(t, "the feed", func() bool { return get(t, url+"/me", bearer(t, bob)).StatusCode == http.StatusOK })

	t.Run("refusals", func(t *testing.T) { refusals(t, url, bearer(t, bob)) })
	t.Run("permissions", func(t *testing.T) { permissions(t, s, url, alice, bob) })
	t.Run("strangers", func(t *testing.T) { strangers(t, s, url, bearer(t, bob)) })
	t.Run("crowd", func(t *testing.T) { crowd(t, s, url, bearer(t, alice), bearer(t, bob)) })
	t.Run("unavailable", func(t *testing.T) {
		res := get(t, s.CutOffAPI(serve)+"/me", bearer(t, bob))
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || res.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s, headers %v", res.Status, res.Header)
		}
	})
	t.Run("live", func(t *testing.T) { live(t, s, url, bob) })
}

func bearer(t *testing.T, src *client.Source) string {
	t.Helper()
	tok, err := src.Token(t.Context())
	must(t, err)
	return "Bearer " + tok.AccessToken
}

// do sends a request with the given Authorization headers; the body is closed.
func do(t *testing.T, method, url, body string, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	req.Header = header
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	return res
}

func get(t *testing.T, url string, authorization ...string) *http.Response {
	t.Helper()
	res := do(t, "GET", url, "", http.Header{"Authorization": authorization})
	read(t, res)
	return res
}

// refusals are the same, to the letter, whatever the router: status, challenge
// (RFC 6750 §3) and problem (RFC 9457).
func refusals(t *testing.T, url, bob string) {
	const invalid = `Bearer error="invalid_token", error_description="`
	for _, c := range []struct {
		name, method, path string
		authorization      []string
		language           string
		status             int
		challenge, code    string
	}{
		{"no token", "GET", "/orders", nil, "", 401, "Bearer", "invalid_token"},
		{"no token, no permission asked", "GET", "/me", nil, "", 401, "Bearer", "invalid_token"},
		{"no token in a subtree", "GET", "/admin/orders", nil, "", 401, "Bearer", "invalid_token"},
		{"a front-end without a token", "GET", "/orders", []string{"Bearer null"}, "", 401, "Bearer", "invalid_token"},
		{"another scheme", "GET", "/orders", []string{"Basic Ym9iOmJvYg=="}, "", 401, "Bearer", "invalid_token"},
		{"garbage", "GET", "/orders", []string{"Bearer garbage"}, "", 401, invalid, "invalid_token"},
		{"garbage where none is needed", "GET", "/", []string{"Bearer garbage"}, "", 401, invalid, "invalid_token"},
		{"a forged signature", "GET", "/orders", []string{bob[:len(bob)-8] + "AAAAAAAA"}, "", 401, invalid, "invalid_token"},
		{"two tokens", "GET", "/orders", []string{bob, bob}, "", 400, `Bearer error="invalid_request"`, "invalid_request"},
		{"a missing permission", "POST", "/orders", []string{bob}, "", 403, `Bearer error="insufficient_scope"`, "insufficient_scope"},
		{"a missing permission, in Chinese", "GET", "/admin/orders", []string{bob}, "zh-CN", 403, `Bearer error="insufficient_scope"`, "insufficient_scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{"Authorization": c.authorization}
			if c.language != "" {
				header.Set("Accept-Language", c.language)
			}
			res := do(t, c.method, url+c.path, "", header)
			body := read(t, res)
			challenge := res.Header.Get("WWW-Authenticate")
			if res.StatusCode != c.status || !strings.HasPrefix(challenge, c.challenge) || c.challenge == "Bearer" && challenge != "Bearer" {
				t.Errorf("%s with challenge %q, want %d with %q", res.Status, challenge, c.status, c.challenge)
			}
			if c.status == 403 && !strings.Contains(challenge, `scope="`) {
				t.Errorf("the challenge %q does not name the permission", challenge)
			}
			var problem struct {
				Status int
				Code   string
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Status != c.status || problem.Code != c.code {
				t.Errorf("body %q, want code %q", body, c.code)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Vary": "Accept-Language",
				"Content-Language": map[bool]string{true: "zh-CN", false: "en"}[c.language != ""],
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// permissions: who may, does, and handlers know who it is.
func permissions(t *testing.T, s *Server, url string, alice, bob *client.Source) {
	var me struct {
		Subject     string
		Permissions []string
	}
	decode(t, do(t, "GET", url+"/me", "", http.Header{"Authorization": {bearer(t, bob)}}), 200, &me)
	if me.Subject != s.ID("bob") || len(me.Permissions) != 1 || me.Permissions[0] != "orders:read" {
		t.Errorf("bob is %+v", me)
	}
	type order struct {
		ID       int
		Item, By string
	}
	var placed order
	decode(t, do(t, "POST", url+"/orders", `{"item":"tea"}`, http.Header{"Authorization": {bearer(t, alice)}}), 201, &placed)
	if placed != (order{1, "tea", s.ID("alice")}) {
		t.Errorf("placed %+v", placed)
	}
	for _, c := range []struct {
		who  *client.Source
		path string
		want int
	}{{alice, "/orders", 1}, {bob, "/orders", 0}, {alice, "/admin/orders", 1}} {
		var list []order
		decode(t, do(t, "GET", url+c.path, "", http.Header{"Authorization": {bearer(t, c.who)}}), 200, &list)
		if len(list) != c.want {
			t.Errorf("%s: %d orders, want %d", c.path, len(list), c.want)
		}
	}
}

func decode(t *testing.T, res *http.Response, status int, v any) {
	t.Helper()
	body := read(t, res)
	if res.StatusCode != status {
		t.Fatalf("%s %s: %s\n%s", res.Request.Method, res.Request.URL.Path, res.Status, body)
	}
	must(t, json.Unmarshal([]byte(body), v))
}

// strangers are let in where a token is optional, also on a connection that a
// user has just used.
func strangers(t *testing.T, s *Server, url, bob string) {
	for _, c := range []struct {
		authorization []string
		want          string
	}{{nil, "stranger"}, {[]string{bob}, s.ID("bob")}, {nil, "stranger"}} {
		var hello struct{ Hello string }
		decode(t, do(t, "GET", url+"/", "", http.Header{"Authorization": c.authorization}), 200, &hello)
		if hello.Hello != c.want {
			t.Errorf("hello %q, want %q", hello.Hello, c.want)
		}
	}
}

// crowd: many requests at once, everybody is who they are. An adapter that keeps
// memory of its router's mixes them up.
func crowd(t *testing.T, s *Server, url, alice, bob string) {
	var wg sync.WaitGroup
	for i := range 20 {
		name, token := "alice", alice
		if i%2 == 0 {
			name, token = "bob", bob
		}
		wg.Go(func() {
			for range 10 {
				req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/me", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", token)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				var me struct{ Subject string }
				err = json.NewDecoder(res.Body).Decode(&me)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != 200 || me.Subject != s.ID(name) {
					t.Errorf("%s: %s, subject %q, %v", name, res.Status, me.Subject, err)
				}
			}
		})
	}
	wg.Wait()
}

// live: what changes at the auth server is enforced on tokens that are out, and
// a client renews without anybody noticing.
func live(t *testing.T, s *Server, url string, bob *client.Source) {
	quiet := through(t, bob, url)
	post := func() int {
		res, err := quiet.Post(url+"/orders", "application/json", strings.NewReader(`{"item":"ink"}`))
		must(t, err)
		read(t, res)
		return res.StatusCode
	}
	if got := post(); got != 403 {
		t.Fatalf("bob may write already: %d", got)
	}

	before := bearer(t, bob)
	s.GrantRole("bob", "clerk")
	waitFor(t, "the old token to be refused", func() bool {
		res := get(t, url+"/orders", before)
		if c := res.Header.Get("WWW-Authenticate"); res.StatusCode == 401 && !strings.Contains(c, `error="invalid_token", error_description="grants_changed"`) {
			t.Fatalf("challenge %q", c)
		}
		return res.StatusCode == 401
	})
	if got := post(); got != 201 {
		t.Errorf("after the new role: %d", got)
	}

	before = bearer(t, bob)
	s.RevokeRole("bob", "clerk")
	waitFor(t, "the role to be gone", func() bool { return get(t, url+"/orders", before).StatusCode == 401 })
	if got := post(); got != 403 {
		t.Errorf("after the role was taken away: %d", got)
	}

	// In a session of its own: a client does not follow one refusal after the
	// other without a pause.
	other := s.SignIn("bob")
	before = bearer(t, other)
	s.EndSessions("bob")
	waitFor(t, "the session to be over", func() bool { return get(t, url+"/orders", before).StatusCode == 401 })
	_, err := through(t, other, url).Get(url + "/orders")
	if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
		t.Errorf("after the end of the session: %v", err)
	}
}

// through is an HTTP client that renews silently.
func through(t *testing.T, src *client.Source, origin string) *http.Client {
	t.Helper()
	transport, err := client.NewTransport(src, nil, origin)
	must(t, err)
	return &http.Client{Transport: transport}
}

// waitFor waits for what happens soon; it gives up after half a minute.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 1500 {
		if done() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}
