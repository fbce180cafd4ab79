package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

func TestOpenIDConnectCore_2_IDToken(t *testing.T) {
	h := newOAuthHarness(t)
	h.People.Change(func(u map[string]sessionUser) {
		a := u["alice"]
		a.DisplayName, a.Email = "Alice 爱丽丝", "alice@example.com"
		u["alice"] = a
	})
	code := h.code(request())
	signedIn := h.Clock.Now().Unix()
	h.Clock.Advance(30e9)
	g := h.exchange(code).granted()
	var c oauth.IDClaims
	h.claims(g.IDToken, &c)
	if c.Issuer != h.URL || c.Subject != "alice" || c.Audience != "spa" || c.Party != "spa" || c.Nonce != "n-1" || c.AuthTime != signedIn ||
		c.IssuedAt != h.Clock.Now().Unix() || c.ExpiresAt <= c.IssuedAt || c.SessionID == "" ||
		c.Username != "alice" || c.Name != "Alice 爱丽丝" || c.Email != "alice@example.com" || c.EmailVerified == nil || !*c.EmailVerified || c.Roles != nil {
		t.Errorf("claims %+v", c)
	}
	var header struct{ Alg, Typ, Kid string }
	b, _ := base64.RawURLEncoding.DecodeString(strings.Split(g.IDToken, ".")[0])
	if err := json.Unmarshal(b, &header); err != nil || header.Alg != "EdDSA" || header.Typ != "JWT" || header.Kid == "" {
		t.Errorf("header %s", b)
	}
	// RFC 9068 §4: an ID token is no access token.
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(g.IDToken)...).problem(401, "invalid_token")

	// §12.2: at a renewal iss, sub, aud and azp stay, iat moves, no nonce.
	h.Clock.Advance(60e9)
	renewed := h.renew(g.RefreshToken, "client_id", "spa", "scope", g.Scope).granted()
	var r oauth.IDClaims
	h.claims(renewed.IDToken, &r)
	if r.Issuer != c.Issuer || r.Subject != c.Subject || r.Audience != c.Audience || r.Party != c.Party || r.SessionID != c.SessionID ||
		r.IssuedAt != c.IssuedAt+60 || r.Nonce != "" || r.AuthTime != c.AuthTime || r.Name != c.Name {
		t.Errorf("claims of a renewal %+v", r)
	}
	if plain := h.renew(renewed.RefreshToken, "client_id", "spa").granted(); plain.IDToken == "" {
		t.Error("a session with openid gets an ID token at every renewal")
	}
	only := h.exchange(h.code(request("scope", "openid"))).granted()
	var few oauth.IDClaims
	h.claims(only.IDToken, &few)
	if few.Name != "" || few.Email != "" || few.Username != "" || few.Subject != "alice" {
		t.Errorf("an ID token tells more than was asked for: %+v", few)
	}
}

func TestOpenIDConnectCore_5_3_UserInfo(t *testing.T) {
	h := newOAuthHarness(t)
	g := h.signIn()
	for _, method := range []string{"GET", "POST"} {
		var got map[string]any
		h.call(http.DefaultClient, method, wire.PathUserInfo, "", bearer(g.AccessToken)...).json(&got)
		if got["sub"] != "alice" || got["preferred_username"] != "alice" || got["aud"] != nil {
			t.Errorf("user info %v", got)
		}
	}
	// §5.3.3: errors are those of RFC 6750
	a := h.call(http.DefaultClient, "GET", wire.PathUserInfo, "", bearer(g.AccessToken+"x")...).want(401)
	if !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
	}
	h.form(wire.PathRevoke, values("token", g.RefreshToken, "client_id", "spa")).want(200)
	h.call(http.DefaultClient, "GET", wire.PathUserInfo, "", bearer(g.AccessToken)...).want(401)
}

func TestOpenIDConnectRPInitiatedLogout_2(t *testing.T) {
	h := newOAuthHarness(t)
	logout := func(method string, p url.Values) answer {
		t.Helper()
		if method == "GET" {
			return h.call(h.browser, "GET", wire.PathEndSession+"?"+p.Encode(), "")
		}
		return h.call(h.browser, "POST", wire.PathEndSession, p.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	const bye = "https://app.example/bye"
	for _, method := range []string{"GET", "POST"} {
		g := h.signIn()
		h.Clock.Advance(hour) // "SHOULD accept ID Tokens as hints even if expired"
		q := logout(method, values("id_token_hint", g.IDToken, "post_logout_redirect_uri", bye, "state", "s 1")).redirected(bye)
		if q.Get("state") != "s 1" {
			t.Errorf("state %q", q.Get("state"))
		}
		h.renew(g.RefreshToken, "client_id", "spa").oauthError(400, "invalid_grant")
		logout(method, values("id_token_hint", g.IDToken, "post_logout_redirect_uri", bye)).redirected(bye) // again
	}
	// "MUST NOT perform post-logout redirection if the value does not exactly match"
	g := h.signIn()
	if b := string(logout("GET", values("id_token_hint", g.IDToken, "post_logout_redirect_uri", "https://evil.example/")).want(200).body); !strings.Contains(b, "You are signed out") {
		t.Errorf("signed out, with nowhere to go: %s", b)
	}
	h.renew(g.RefreshToken, "client_id", "spa").oauthError(400, "invalid_grant")

	// What is not an ID token of this client ends nothing.
	g = h.signIn()
	parts := strings.Split(g.IDToken, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	for name, p := range map[string]url.Values{
		"no hint":         values("client_id", "spa"),
		"access token":    values("id_token_hint", g.AccessToken),
		"garbage":         values("id_token_hint", "x"),
		"without a key":   values("id_token_hint", forged),
		"cut":             values("id_token_hint", g.IDToken[:len(g.IDToken)-4]),
		"another client":  values("id_token_hint", g.IDToken, "client_id", "web"),
		"changed payload": values("id_token_hint", parts[0]+"."+parts[1][:len(parts[1])-2]+"AA."+parts[2]),
	} {
		if b := string(logout("GET", p).want(200).body); !strings.Contains(b, "Nothing to sign out of") {
			t.Errorf("%s: %s", name, b)
		}
	}
	logout("GET", values("client_id", "spa", "post_logout_redirect_uri", bye)).redirected(bye)
	h.renew(g.RefreshToken, "client_id", "spa").granted()
}
