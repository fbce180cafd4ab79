package security_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

const shopAPI = "https://api.shop.example"

// openClients is the office with an OAuth client, shop, whose tokens are for an API
// of its own: root, who may do everything, has signed in to it.
func openClients(t *testing.T) *world {
	w := openOffice(t)
	c := oauth.Client{ID: "shop", RedirectURIs: []string{callback}, Scopes: []string{"openid", "profile", "orders:read"}, Audiences: []string{shopAPI}}
	if _, err := w.App.OAuth.AddClient(w.Context(), c, false); err != nil {
		t.Fatal(err)
	}
	g := w.shop("openid profile")
	w.token, w.refresh = g.AccessToken, g.RefreshToken
	return w
}

// shop is what root's sign-in to the client gives for a scope.
func (w *world) shop(scope string) (g oauth.Answer) {
	w.Helper()
	r := w.submit(w.sheet(w.authorize(request("client_id", "shop", "scope", scope)), ""), "username", "root", "password", "root-password")
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		w.Fatalf("%s: no code in %v", r, to)
	}
	w.json(w.form(wire.PathToken, redemption(to.Query().Get("code"), "client_id", "shop")), &g)
	return g
}

// clientAttacks are what a client tries with the token of an administrator who has
// signed in to it.
func clientAttacks() (all []attack) {
	for _, c := range []struct{ name, method, path, body string }{
		{"lists users", "GET", "/auth/admin/users", ""},
		{"reads a user", "GET", "/auth/admin/users/ID:alice", ""},
		{"adds a user", "POST", "/auth/admin/users", `{"username":"evil","password":"evil-password","roles":["root"]}`},
		{"disables a user", "PATCH", "/auth/admin/users/ID:alice", `{"disabled":true}`},
		{"resets a password", "PUT", "/auth/admin/users/ID:alice/password", `{"password":"new-password"}`},
		{"gives a role", "PUT", "/auth/admin/users/ID:alice/roles/root", ""},
		{"takes a role", "DELETE", "/auth/admin/users/ID:alice/roles/clerk", ""},
		{"ends the sessions of a user", "DELETE", "/auth/admin/users/ID:alice/sessions", ""},
		{"lists roles", "GET", "/auth/admin/roles", ""},
		{"adds a role", "POST", "/auth/admin/roles", `{"name":"evil","permissions":["admin:*"]}`},
		{"changes a role", "PUT", "/auth/admin/roles/clerk", `{"permissions":["admin:*"]}`},
		{"removes a role", "DELETE", "/auth/admin/roles/none", ""},
		{"lists sessions", "GET", "/auth/admin/sessions", ""},
		{"begins a session", "POST", "/auth/admin/sessions", `{"username":"alice","delivery":"body"}`},
		{"lists keys", "GET", "/auth/admin/keys", ""},
		{"makes new keys", "POST", "/auth/admin/keys/rotate", `{"now":true}`},
		{"reads the application configuration", "GET", "/auth/me", ""},
		{"lists the user's devices", "GET", "/auth/sessions", ""},
		{"listens to the user's events", "GET", "/auth/events", ""},
		{"asks as a proxy does", "GET", "/auth/verify", ""},
		{"asks as a proxy does, with a requirement", "GET", "/auth/verify?require=orders:read", ""},
		{"calls an API behind the gateway", "GET", "/api/orders", ""},
		{"calls the administration of an API behind the gateway", "GET", "/api/admin/users", ""},
	} {
		all = append(all, attack{name: "a client with an administrator's token " + c.name, want: "401 invalid_token", try: func(w *world) reply {
			var ids []string
			for name, id := range w.ids {
				ids = append(ids, "ID:"+name, id)
			}
			return w.send(c.method, strings.NewReplacer(ids...).Replace(c.path), c.body, bearer(w.token)...)
		}})
	}
	return append(all,
		attack{name: "a client asks for a permission that is not among its scopes", want: "200", moves: true, try: func(w *world) reply {
			g := w.shop("openid admin:* orders:read")
			if g.Scope != "openid" { // root has no orders:read, and the client no admin:*
				w.Errorf("the grant has the scope %q", g.Scope)
			}
			return w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", g.RefreshToken, "client_id", "shop"})
		}, also: func(w *world, r reply) {
			if strings.Contains(string(r.body), "admin") {
				w.Error("the refresh gives a permission of administration")
			}
		}},
		attack{name: "a client refreshes into a wider scope", want: "400 invalid_scope", try: func(w *world) reply {
			return w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", w.refresh, "client_id", "shop", "scope", "openid orders:read"})
		}},
		attack{name: "a client refreshes into a permission of administration", want: "400 invalid_scope", try: func(w *world) reply {
			return w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", w.refresh, "client_id", "shop", "scope", "admin:*"})
		}},
		attack{name: "a client refreshes for this server as its audience", want: "400 invalid_target", try: func(w *world) reply {
			return w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", w.refresh, "client_id", "shop", "resource", origin})
		}},
		attack{name: "a client refreshes for an audience of somebody else", want: "400 invalid_target", try: func(w *world) reply {
			return w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", w.refresh, "client_id", "shop", "resource", "https://api.bank.example"})
		}},
	)
}
