package httpapi_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

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
	if err := json.Unmarshal(b, &header); err != nil || header.Alg != "RS256" || header.Typ != "JWT" || header.Kid == "" {
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

func TestOpenIDConnectCore_15_1_AlgorithmsOfIDTokens(t *testing.T) {
	h := newOAuthHarness(t)
	for alg, hash := range map[string]func(string) []byte{
		"RS256": func(s string) []byte { b := sha256.Sum256([]byte(s)); return b[:16] },
		"ES256": func(s string) []byte { b := sha256.Sum256([]byte(s)); return b[:16] },
		"EdDSA": func(s string) []byte { b := sha512.Sum512([]byte(s)); return b[:32] },
	} {
		h.register(oauth.Client{ID: alg, RedirectURIs: []string{callback}, IDTokenAlg: alg}, false)
		var m wire.OAuthMetadata
		h.call(http.DefaultClient, "GET", wire.PathOpenIDMetadata, "").json(&m)
		if !slices.Contains(m.IDTokenSigningAlgorithms, alg) || !slices.Contains(m.IDTokenSigningAlgorithms, "RS256") {
			t.Errorf("%s is not among %q", alg, m.IDTokenSigningAlgorithms)
		}
		p, err := oidc.NewProvider(t.Context(), h.URL)
		if err != nil {
			t.Fatal(err)
		}
		g := h.exchange(h.code(request("client_id", alg)), "client_id", alg).granted()
		for range 2 { // at the sign-in and at a renewal, as the stock library has it
			id, err := p.Verifier(&oidc.Config{ClientID: alg, Now: h.Clock.Now}).Verify(t.Context(), g.IDToken)
			if err != nil {
				t.Fatalf("%s: %v", alg, err)
			}
			var c oauth.IDClaims
			h.claims(g.IDToken, &c)
			if want := base64.RawURLEncoding.EncodeToString(hash(g.AccessToken)); c.AccessTokenHash != want || c.Party != alg {
				t.Errorf("%s: at_hash %q, want %q", alg, c.AccessTokenHash, want)
			}
			if alg != "EdDSA" { // go-oidc has no rule for it
				if err := id.VerifyAccessToken(g.AccessToken); err != nil {
					t.Errorf("%s: %v", alg, err)
				}
			}
			g = h.renew(g.RefreshToken, "client_id", alg).granted()
		}
	}
}

func TestOpenIDConnectCore_3_1_2_1_IDTokenHint(t *testing.T) {
	h := newOAuthHarness(t)
	g := h.signIn()
	h.Clock.Advance(hour) // an ID token that has expired will do
	p := request("id_token_hint", g.IDToken, "prompt", "login consent", "max_age", "0")
	h.exchange(h.code(p)).granted()
	if q := h.submit(h.authorize(p).want(200), "username", "bob", "password", "bob").redirected(callback); q.Get("error") != "login_required" || q.Get("code") != "" {
		t.Errorf("another user: %v", q)
	}
}

// RFC 9700 §2.1.1: a client with a secret may do without PKCE, and nobody takes the
// challenge of another one away.
func TestConfidentialClientsMayRelyOnTheirSecret(t *testing.T) {
	h := newOAuthHarness(t)
	p := request("client_id", "web", "code_challenge", "", "code_challenge_method", "")
	exchange := func(code, verifier string) answer {
		return h.form(wire.PathToken, values("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier), h.asWeb()...)
	}
	var c oauth.IDClaims
	if h.claims(exchange(h.code(p), "").granted().IDToken, &c); c.Nonce != "n-1" {
		t.Errorf("nonce %q", c.Nonce)
	}
	exchange(h.code(p), verifier).oauthError(400, "invalid_grant")
	h.exchange(h.code(p), "client_id", "").oauthError(400, "invalid_request")
}
