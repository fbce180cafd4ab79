package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

const orders = "https://orders.example"

// scoped is a harness with an administrator alice and the client shop, which may ask
// for identity and for orders, at two APIs.
func scoped(t *testing.T) *oauthHarness {
	h := newOAuthHarness(t)
	h.People.Change(func(u map[string]sessionUser) {
		a := u["alice"]
		a.Roles, a.Permissions, a.Scope = []string{"boss"}, []string{"admin:*", "orders:*"}, "admin:* orders:*"
		a.Email, a.DisplayName = "alice@example.com", "Alice"
		u["alice"] = a
	})
	h.register(oauth.Client{ID: "shop", RedirectURIs: []string{callback}, Device: true,
		Scopes: strings.Fields("openid profile roles orders:read"), Audiences: []string{orders, "https://stock.example/api"}}, false)
	return h
}

// as signs alice in by the client shop with these parameters of both requests.
func (h *oauthHarness) as(pairs ...string) oauth.Answer {
	h.Helper()
	p := append([]string{"client_id", "shop"}, pairs...)
	return h.exchange(h.code(request(p...)), "client_id", "shop").granted()
}

// Issue 11, security 3: a client that asks for openid gets no administrator's token.
func TestTokensOfClientsAreNoAdministrators(t *testing.T) {
	h := scoped(t)
	calls := func(token string, want int) {
		t.Helper()
		for _, path := range []string{"/auth/me", "/auth/sessions", "/auth/admin/sessions", "/auth/admin/keys"} {
			h.call(http.DefaultClient, "GET", path, "", bearer(token)...).want(want)
		}
		h.call(http.DefaultClient, "POST", "/auth/admin/keys/rotate", "", bearer(token)...).want(want)
	}
	g := h.as("scope", "openid admin:* orders:*")
	calls(g.AccessToken, 401)
	calls(h.renew(g.RefreshToken, "client_id", "shop").granted().AccessToken, 401)
	// The native call renews it no differently.
	native := h.refreshBody(h.as("scope", "openid").RefreshToken).tokens()
	calls(native.AccessToken, 401)

	// With Tacet's own audience, given on purpose, the scope is the limit.
	h.register(oauth.Client{ID: "console", RedirectURIs: []string{callback}, Scopes: []string{"orders:read", "admin:users:read"}, Audiences: []string{h.URL}}, false)
	c := h.exchange(h.code(request("client_id", "console", "scope", "")), "client_id", "console").granted()
	if c.Scope != "orders:read admin:users:read" {
		t.Errorf("scope %q", c.Scope)
	}
	var me wire.Me
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(c.AccessToken)...).json(&me)
	if !slices.Equal(me.Permissions, []string{"admin:users:read", "orders:read"}) {
		t.Errorf("permissions of the token: %q", me.Permissions)
	}
	h.call(http.DefaultClient, "POST", "/auth/admin/keys/rotate", "", bearer(c.AccessToken)...).problem(403, "insufficient_scope")
}

func TestScopeIsWhatWasAskedForAndTheClientAndTheUserHave(t *testing.T) {
	h := scoped(t)
	for asked, want := range map[string]string{
		"openid": "openid", "openid email orders:* admin:*": "openid orders:read", "orders:read": "orders:read", "": "orders:read", "roles openid": "roles openid",
	} {
		g := h.as("scope", asked)
		var c wire.AccessClaims
		h.claims(g.AccessToken, &c)
		if g.Scope != want || c.Scope != want || c.Audience != orders || slices.Contains(c.Roles, "boss") != strings.Contains(want, "roles") {
			t.Errorf("%q: the response says %q, the token %+v", asked, g.Scope, c)
		}
	}
	q := h.authorize(request("client_id", "shop", "scope", "admin:* email")).redirected(callback)
	if q.Get("error") != "invalid_scope" {
		t.Errorf("nothing of the scope may be had: %v", q)
	}
	h.form(wire.PathDeviceAuthorization, values("client_id", "shop", "scope", "email")).oauthError(400, "invalid_scope")
	h.People.Change(func(u map[string]sessionUser) {
		b := u["bob"]
		b.Permissions, b.Scope = []string{"reports:read"}, "reports:read"
		u["bob"] = b
	})
	p := request("client_id", "shop", "scope", "openid orders:read")
	code := h.submit(h.authorize(p).want(200), "username", "bob", "password", "bob").redirected(callback).Get("code")
	g := h.exchange(code, "client_id", "shop").granted()
	if g.Scope != "openid" {
		t.Errorf("bob has no orders: %q", g.Scope)
	}
	// RFC 6749 §6: never more than at the grant, whatever the user is granted later.
	h.People.Change(func(u map[string]sessionUser) {
		b := u["bob"]
		b.Permissions, b.Scope, b.GrantsVersion = []string{"orders:read"}, "orders:read", 2
		u["bob"] = b
	})
	if g = h.renew(g.RefreshToken, "client_id", "shop").granted(); g.Scope != "openid" {
		t.Errorf("after a renewal: %q", g.Scope)
	}
}

func TestRFC6749_6_TheScopeOfARenewal(t *testing.T) {
	h := scoped(t)
	g := h.as("scope", "openid orders:read")
	for _, beyond := range []string{"openid profile", "orders:*", "admin:users:read", "email"} {
		h.renew(g.RefreshToken, "client_id", "shop", "scope", beyond).oauthError(400, "invalid_scope")
		h.renew(g.RefreshToken, "scope", beyond).oauthError(400, "invalid_scope")
	}
	for _, c := range []struct{ asked, want string }{{"orders:read", "orders:read"}, {"openid", "openid"}, {"", "openid orders:read"}, {"orders:read openid", "orders:read openid"}} {
		g = h.renew(g.RefreshToken, "client_id", "shop", "scope", c.asked).granted()
		if g.Scope != c.want || g.IDToken == "" {
			t.Errorf("%q renews with the scope %q, ID token %q", c.asked, g.Scope, g.IDToken)
		}
	}
	h.Clock.Advance(hour)
	h.People.Change(func(u map[string]sessionUser) {
		a := u["alice"]
		a.Permissions, a.Scope, a.GrantsVersion = nil, "", 2
		u["alice"] = a
	})
	if g = h.renew(g.RefreshToken, "client_id", "shop").granted(); g.Scope != "openid" {
		t.Errorf("what the user lost is still there: %q", g.Scope)
	}
}

func TestRFC8707_2_Resources(t *testing.T) {
	h := scoped(t)
	audience := func(g oauth.Answer) string {
		t.Helper()
		var c wire.AccessClaims
		h.claims(g.AccessToken, &c)
		return c.Audience
	}
	const stock = "https://stock.example/api"
	g := h.as("resource", stock)
	if a := audience(g); a != stock {
		t.Errorf("aud %q", a)
	}
	if a := audience(h.as("resource", orders+"/")); a != orders { // as URL of browsers writes an origin
		t.Errorf("aud %q", a)
	}
	g = h.renew(g.RefreshToken, "client_id", "shop", "resource", stock).granted()
	if a := audience(g); a != stock {
		t.Errorf("aud %q after a renewal", a)
	}
	h.renew(g.RefreshToken, "client_id", "shop", "resource", orders).oauthError(400, "invalid_target")
	h.renew(g.RefreshToken, "client_id", "shop", "resource", h.URL).oauthError(400, "invalid_target")
	h.renew(g.RefreshToken, "client_id", "shop").granted()
	for _, r := range []string{"https://other.example", h.URL, stock + "/x"} {
		if q := h.authorize(request("client_id", "shop", "resource", r)).redirected(callback); q.Get("error") != "invalid_target" {
			t.Errorf("resource %s: %v", r, q)
		}
		h.exchange(h.code(request("client_id", "shop")), "client_id", "shop", "resource", r).oauthError(400, "invalid_target")
		h.form(wire.PathDeviceAuthorization, values("client_id", "shop", "resource", r)).oauthError(400, "invalid_target")
	}
	two := request("client_id", "shop", "resource", stock)
	two.Add("resource", orders)
	if q := h.authorize(two).redirected(callback); q.Get("error") != "invalid_target" {
		t.Errorf("two resources: %v", q)
	}
	code := h.code(request("client_id", "shop", "resource", stock))
	h.exchange(code, "client_id", "shop", "resource", orders).oauthError(400, "invalid_target")
	if a := audience(h.exchange(code, "client_id", "shop", "resource", stock).granted()); a != stock {
		t.Errorf("aud %q", a)
	}
	// A resource server takes what is for it, and nothing else.
	for aud, want := range map[string]bool{stock: true, orders: false, h.URL: false} {
		v, err := verify.New(verify.Config{Issuer: h.URL, Audience: aud, Clock: h.Clock.Now, Keys: must(verify.NewKeySet(verify.KeySetConfig{URL: h.URL + wire.PathJWKS}))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), h.as("resource", stock).AccessToken); (err == nil) != want {
			t.Errorf("audience %s: %v", aud, err)
		}
	}
}

func TestUserInfoAndIDTokensHoldWhatTheScopeAllows(t *testing.T) {
	h := newOAuthHarness(t)
	h.People.Change(func(u map[string]sessionUser) {
		a := u["alice"]
		a.Email, a.DisplayName = "alice@example.com", "Alice"
		u["alice"] = a
	})
	h.register(oauth.Client{ID: "site", RedirectURIs: []string{callback}, Audiences: []string{}}, false)
	for scope, names := range map[string]string{
		"openid": "", "openid profile": "name preferred_username", "openid email": "email email_verified", "openid roles": "groups roles",
		"openid roles email profile offline_access": "email email_verified groups name preferred_username roles",
	} {
		g := h.exchange(h.code(request("client_id", "site", "scope", scope)), "client_id", "site").granted()
		told := func(c map[string]any) string {
			var list []string
			for _, n := range []string{"email", "email_verified", "groups", "name", "phone_number", "preferred_username", "roles"} {
				if c[n] != nil {
					list = append(list, n)
				}
			}
			return strings.Join(list, " ")
		}
		var id, info map[string]any
		h.claims(g.IDToken, &id)
		h.call(http.DefaultClient, "GET", wire.PathUserInfo, "", bearer(g.AccessToken)...).json(&info)
		if told(id) != names || told(info) != names || info["sub"] != "alice" {
			t.Errorf("%s: the ID token tells %q, UserInfo %q, want %q", scope, told(id), told(info), names)
		}
	}
	g := h.exchange(h.code(request("client_id", "site", "scope", "profile orders:read")), "client_id", "site").granted()
	a := h.call(http.DefaultClient, "GET", wire.PathUserInfo, "", bearer(g.AccessToken)...)
	a.problem(401, "insufficient_scope")
	if w := a.Header.Get("WWW-Authenticate"); !strings.Contains(w, `error="insufficient_scope"`) || g.IDToken != "" {
		t.Errorf("without openid: %q, ID token %q", w, g.IDToken)
	}
	h.call(http.DefaultClient, "GET", wire.PathUserInfo, "", bearer(h.loginBody("alice").AccessToken)...).want(401)
}

func TestClientsAreChanged(t *testing.T) {
	h := scoped(t)
	g := h.as("scope", "openid profile")
	if ended, err := h.App.OAuth.UpdateClient(t.Context(), "shop", func(c *oauth.Client) { c.Scopes = append(c.Scopes, "email") }); err != nil || ended {
		t.Fatal(ended, err)
	}
	g = h.renew(g.RefreshToken, "client_id", "shop").granted()
	if ended, err := h.App.OAuth.UpdateClient(t.Context(), "shop", func(c *oauth.Client) { c.Scopes = []string{"openid"} }); err != nil || !ended {
		t.Fatal(ended, err)
	}
	h.renew(g.RefreshToken, "client_id", "shop").oauthError(400, "invalid_grant")

	// Old and new secret are good for the overlap, then the new one alone.
	old := h.asWeb()
	var err error
	if h.secret, err = h.App.OAuth.RotateSecret(t.Context(), "web", hour); err != nil {
		t.Fatal(err)
	}
	h.form(wire.PathIntrospect, values("token", "x"), old...).want(200)
	h.form(wire.PathIntrospect, values("token", "x"), h.asWeb()...).want(200)
	h.Clock.Advance(hour)
	h.form(wire.PathIntrospect, values("token", "x"), old...).oauthError(401, "invalid_client")
	h.form(wire.PathIntrospect, values("token", "x"), h.asWeb()...).want(200)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
