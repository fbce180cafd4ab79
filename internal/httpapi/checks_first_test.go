package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

// stored is the living sessions as the store has them, in words.
func (h *harness) stored() string {
	h.Helper()
	list, err := h.App.DB.Sessions().List(h.Context(), "", [16]byte{}, 100)
	if err != nil {
		h.Fatal(err)
	}
	b, err := json.Marshal(list)
	if err != nil {
		h.Fatal(err)
	}
	return string(b)
}

// PROTOCOL.md §5, "checks first": an old refresh token, which would end an
// ordinary session, and the newest one change nothing without what the session
// asks for, wherever they are presented.
func TestAFailedCheckChangesNothing(t *testing.T) {
	h := newOAuthHarness(t, func(c *app.Config) { c.Profiles.Names = []string{"pure", "vben", "yudao"} })
	key := newKey(t)
	renewWeb := func(token string) oauth.Answer {
		return h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", token), h.asWeb()...).granted()
	}
	for name, c := range map[string]struct {
		first oauth.Answer
		renew func(token string) oauth.Answer
	}{
		"of a client with a secret": {h.signInWeb(), renewWeb},
		"of a session with a key": {h.exchangeWith(key, h.code(request())).bound(),
			func(token string) oauth.Answer { return h.renewWith(key, token).bound() }},
	} {
		t.Run(name, func(t *testing.T) {
			newest := c.first
			for range 3 {
				newest = c.renew(newest.RefreshToken)
				h.Clock.Advance(time.Minute)
			}
			before := h.stored()
			for what, token := range map[string]string{"old": c.first.RefreshToken, "newest": newest.RefreshToken} {
				for call, present := range map[string]func() answer{
					"refresh": func() answer { return h.refreshBody(token) },
					"confirm": func() answer {
						return h.call(http.DefaultClient, "POST", "/auth/confirm", `{"refresh_token":"`+token+`"}`)
					},
					"with a proof of another key": func() answer {
						return h.refreshBody(token, dpop.Header, h.proof(newKey(t), "POST", "/auth/refresh"))
					},
					"with a proof that is none": func() answer { return h.refreshBody(token, dpop.Header, "x") },
					"pure": func() answer {
						return h.call(http.DefaultClient, "POST", "/refresh-token", `{"refreshToken":"`+token+`"}`)
					},
					"yudao": func() answer {
						return h.call(http.DefaultClient, "POST", "/admin-api/system/auth/refresh-token?refreshToken="+token, "")
					},
					"vben": func() answer {
						return h.call(http.DefaultClient, "POST", "/api/auth/refresh", "", "Cookie", "jwt="+token)
					},
					"OAuth":                 func() answer { return h.renew(token) },
					"OAuth, another client": func() answer { return h.renew(token, "client_id", "native") },
					"OAuth, a wrong secret": func() answer { return h.renew(token, "client_id", "web", "client_secret", "x") },
					"OAuth, revocation by another client": func() answer {
						return h.form(wire.PathRevoke, values("token", token, "client_id", "native"))
					},
				} {
					if a := present(); a.StatusCode < 400 && !refusedInside(a) {
						t.Errorf("%s, %s: %d %s", what, call, a.StatusCode, a.body)
					}
					if after := h.stored(); after != before {
						t.Fatalf("%s, %s has changed\n%s\nto\n%s", what, call, before, after)
					}
				}
			}
			c.renew(newest.RefreshToken) // the owner goes on
		})
	}
}

// refusedInside reports whether a dialect has said no in the body.
func refusedInside(a answer) bool {
	var envelope struct{ Code any }
	return json.Unmarshal(a.body, &envelope) == nil && envelope.Code != nil && envelope.Code != 0.0 && envelope.Code != "00000"
}

// What a foreign page makes a browser send changes nothing, also with an old
// cookie.
func TestAForeignPageChangesNothing(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Profiles.Names = []string{"vben"} })
	first := h.loginBody("alice")
	next := first
	for range 3 {
		next = h.refreshBody(next.RefreshToken).tokens()
		h.Clock.Advance(time.Minute)
	}
	before := h.stored()
	for _, token := range []string{first.RefreshToken, next.RefreshToken} {
		native := []string{"Cookie", "tacet_refresh=" + token, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}
		for _, path := range []string{"/auth/refresh", "/auth/confirm", "/auth/logout"} {
			h.call(http.DefaultClient, "POST", path, `{"everywhere":true}`, native...).want(403)
			h.call(http.DefaultClient, "POST", path, `{}`, "Cookie", "tacet_refresh="+token).want(403) // no CSRF token
		}
		for _, path := range []string{"/api/auth/refresh", "/api/auth/logout"} {
			h.call(http.DefaultClient, "POST", path, "", "Cookie", "jwt="+token, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site").want(403)
		}
	}
	if after := h.stored(); after != before {
		t.Errorf("changed\n%s\nto\n%s", before, after)
	}
}

// Signing out by a refresh token ends the session of the token alone. Only the
// newest token of a living session, with all that a renewal needs, ends the
// user's other sessions as well.
func TestWhoMaySignOutEverywhere(t *testing.T) {
	h := newOAuthHarness(t)
	everywhere := func(token string, headers ...string) answer {
		return h.call(http.DefaultClient, "POST", "/auth/logout", `{"everywhere":true,"refresh_token":"`+token+`"}`, headers...)
	}
	living := func() (n int) {
		t.Helper()
		list, err := h.App.Sessions.List(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	key := newKey(t)
	for name, attempt := range map[string]func(){
		"an old token": func() {
			old := h.loginBody("alice").RefreshToken
			h.refreshBody(h.refreshBody(old).tokens().RefreshToken).tokens()
			everywhere(old).want(204)
		},
		"of a bound session, without a proof": func() {
			everywhere(h.exchangeWith(key, h.code(request())).bound().RefreshToken).want(204)
		},
		"of a client with a secret": func() { everywhere(h.signInWeb().RefreshToken).want(204) },
		"an old one of a bound session, with a proof": func() {
			old := h.exchangeWith(key, h.code(request())).bound().RefreshToken
			h.renewWith(key, h.renewWith(key, old).bound().RefreshToken).bound()
			everywhere(old, dpop.Header, h.proof(key, "POST", "/auth/logout")).want(204)
		},
	} {
		other := h.loginBody("alice")
		before := living()
		attempt()
		if n := living(); n != before {
			t.Errorf("%s: %d sessions live, want %d: the one of the token is over, the others are not", name, n, before)
		}
		h.refreshBody(other.RefreshToken).tokens()
	}
	g := h.exchangeWith(key, h.code(request())).bound()
	before := living()
	everywhere(g.RefreshToken, dpop.Header, h.proof(key, "POST", "/auth/refresh")).problem(400, wire.CodeInvalidRequest)
	if n := living(); n != before {
		t.Errorf("a proof for another call: %d sessions live, want %d", n, before)
	}
	everywhere(g.RefreshToken, dpop.Header, h.proof(key, "POST", "/auth/logout")).want(204)
	if n := living(); n != 0 {
		t.Errorf("with a proof: %d sessions live", n)
	}
}

// Sessions that are bound to a key are renewed by the native calls, too.
func TestNativeRenewalsWithAProof(t *testing.T) {
	h := newOAuthHarness(t)
	key := newKey(t)
	token := h.exchangeWith(key, h.code(request())).bound().RefreshToken
	for range 3 {
		h.call(http.DefaultClient, "POST", "/auth/confirm", `{"refresh_token":"`+token+`"}`, dpop.Header, h.proof(key, "POST", "/auth/confirm")).want(204)
		var g wire.TokenResponse
		h.refreshBody(token, dpop.Header, h.proof(key, "POST", "/auth/refresh")).want(200).json(&g)
		if g.TokenType != "DPoP" {
			t.Errorf("%+v", g)
		}
		h.userInfoWith(key, g.AccessToken).want(200)
		token = g.RefreshToken
	}
}

// However many tokens of a session somebody has, one overlap gives one access
// token (PROTOCOL.md §9).
func TestOneAccessTokenPerOverlap(t *testing.T) {
	h := newHarness(t)
	first := h.loginBody("alice").RefreshToken
	var siblings []string
	for range 50 {
		siblings = append(siblings, h.refreshBody(first).tokens().RefreshToken)
	}
	h.refreshBody(siblings[0]).tokens()
	got := map[string]bool{}
	for range 5 {
		h.Clock.Advance(time.Second)
		for _, token := range append(siblings[1:], first) {
			g := h.refreshBody(token).tokens()
			if g.RefreshToken != "" {
				t.Fatal("a refresh token for a slow duplicate")
			}
			got[g.AccessToken] = true
			h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(g.AccessToken)...).want(200)
		}
	}
	if len(got) != 1 {
		t.Errorf("%d access tokens in one overlap", len(got))
	}
}
