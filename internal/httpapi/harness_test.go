package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// harness is a server with two users, and a client with a cookie jar.
type harness struct {
	*apptest.Server
	client *http.Client
}

func newHarness(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	var users []session.User
	for _, name := range []string{"alice", "bob"} {
		users = append(users, session.User{User: wire.User{ID: name, Username: name},
			Roles: []string{"viewer"}, Permissions: []string{"orders:read"}, Scope: "orders:read", GrantsVersion: 1})
	}
	documented := true
	change = append(change, func(c *app.Config) { documented = c.Profiles.Names == nil }) // dialects are not in the document
	h := &harness{apptest.Open(t, apptest.NewPeople(users...), change...), apptest.NewBrowser()}
	contract, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	if documented {
		h.Handler = contract.handler(t, h.Handler)
	}
	return h
}

type answer struct {
	*http.Response
	body []byte
	t    *testing.T
}

// call sends a request; headers are name, value pairs.
func (h *harness) call(c *http.Client, method, path, body string, headers ...string) answer {
	h.Helper()
	resp, b := h.Do(c, method, path, body, headers...)
	return answer{resp, b, h.T}
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%s %s: status %d, want %d; body %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

// problem asserts an error answer and returns it.
func (a answer) problem(status int, code string) wire.Problem {
	a.t.Helper()
	a.want(status)
	var p wire.Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.t.Fatalf("not a problem document: %v in %s", err, a.body)
	}
	if ct := a.Header.Get("Content-Type"); ct != wire.ContentTypeProblem {
		a.t.Fatalf("content type %q", ct)
	}
	if p.Code != code || p.Status != status || p.Title == "" || p.Detail == "" || p.Type == "" {
		a.t.Fatalf("problem %+v, want code %s, status %d and all members", p, code, status)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		a.t.Fatal("an error answer can be cached")
	}
	return p
}

func (a answer) tokens() wire.TokenResponse {
	a.t.Helper()
	a.want(http.StatusOK)
	var r wire.TokenResponse
	if err := json.Unmarshal(a.body, &r); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	if r.AccessToken == "" || r.TokenType != "Bearer" || r.ExpiresIn <= 0 || r.Session.ID == "" {
		a.t.Fatalf("incomplete token response %+v", r)
	}
	return r
}

func (a answer) json(v any) {
	a.t.Helper()
	a.want(http.StatusOK)
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
}

// noCookies asserts that the answer leaves the browser's cookies alone.
func (a answer) noCookies() answer {
	a.t.Helper()
	if c := a.Header.Values("Set-Cookie"); len(c) > 0 {
		a.t.Fatalf("the answer touches cookies: %d of them", len(c))
	}
	return a
}

func (h *harness) login(c *http.Client, name string) wire.TokenResponse {
	h.Helper()
	return h.call(c, "POST", "/auth/login", `{"username":"`+name+`","password":"`+name+`"}`).tokens()
}

func (h *harness) loginBody(name string) wire.TokenResponse {
	h.Helper()
	return h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"`+name+`","password":"`+name+`","delivery":"body"}`).tokens()
}

// cookie is the value of a cookie in a client's jar.
func (h *harness) cookie(c *http.Client, name string) string {
	return h.Cookie(c, "/auth/refresh", name)
}

// refresh renews as a browser page does.
func (h *harness) refresh(c *http.Client, headers ...string) answer {
	h.Helper()
	return h.call(c, "POST", "/auth/refresh", "{}", append([]string{wire.HeaderCSRF, h.cookie(c, wire.CookieCSRF)}, headers...)...)
}

func (h *harness) refreshBody(token string, headers ...string) answer {
	h.Helper()
	return h.call(http.DefaultClient, "POST", "/auth/refresh", `{"refresh_token":"`+token+`"}`, headers...)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }
