package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

func TestRFC6749_5_2_ErrorsOfTheTokenEndpoint(t *testing.T) {
	h := newOAuthHarness(t)
	token := h.loginBody("alice").RefreshToken
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		code   string
	}{
		"missing a required parameter: grant_type":    {body: "client_id=spa", code: "invalid_request"},
		"missing a required parameter: refresh_token": {body: "grant_type=refresh_token", code: "invalid_request"},
		"a parameter without a value is omitted":      {body: "grant_type=&refresh_token=" + token, code: "invalid_request"},
		"repeats a parameter":                         {body: "grant_type=refresh_token&grant_type=refresh_token&refresh_token=" + token, code: "invalid_request"},
		"malformed":                                   {body: "grant_type=%zz", code: "invalid_request"},
		"not UTF-8":                                   {body: "grant_type=refresh_token&refresh_token=%ff", code: "invalid_request"},
		"more than one mechanism for authenticating":  {body: "grant_type=refresh_token&client_id=web&client_secret=x", header: h.asWeb(), code: "invalid_request"},
		"two client identifiers":                      {body: "grant_type=refresh_token&client_id=spa", header: h.asWeb(), code: "invalid_request"},
		"JSON":                                        {body: `{"grant_type":"refresh_token"}`, header: []string{"Content-Type", "application/json"}, code: "invalid_request"},
		"unsupported grant type":                      {body: "grant_type=password&username=alice&password=alice", code: "unsupported_grant_type"},
		"unknown client":                              {body: "grant_type=refresh_token&client_id=nobody&refresh_token=" + token, status: 401, code: "invalid_client"},
		"no client authentication included":           {body: "grant_type=refresh_token&client_id=web&refresh_token=" + token, status: 401, code: "invalid_client"},
		"wrong secret":                                {body: "grant_type=refresh_token&client_id=web&client_secret=wrong&refresh_token=" + token, status: 401, code: "invalid_client"},
		"wrong secret in the header":                  {body: "grant_type=refresh_token", header: []string{"Authorization", basic("web:wrong")}, status: 401, code: "invalid_client"},
		"credentials that can't be read":              {body: "grant_type=refresh_token", header: []string{"Authorization", "Basic !"}, status: 401, code: "invalid_client"},
		"a secret for a client that has none":         {body: "grant_type=refresh_token&client_id=spa&client_secret=x", status: 401, code: "invalid_client"},
		"the refresh token is invalid":                {body: "grant_type=refresh_token&refresh_token=x", code: "invalid_grant"},
		"the refresh token was issued to another":     {body: "grant_type=refresh_token&client_id=spa&refresh_token=" + token, code: "invalid_grant"},
		"the authorization code is invalid":           {body: "grant_type=authorization_code&client_id=spa&code=x&code_verifier=" + verifier, code: "invalid_grant"},
		"a code without a client":                     {body: "grant_type=authorization_code&code=x&code_verifier=" + verifier, code: "invalid_request"},
		"the scope exceeds the scope granted":         {body: "grant_type=refresh_token&scope=openid+orders:read&refresh_token=" + h.signIn().RefreshToken, code: "invalid_scope"},
		"a device code that was issued to nobody":     {body: "grant_type=" + url.QueryEscape(oauth.GrantDevice) + "&client_id=spa&device_code=x", code: "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			sub := *h.harness
			sub.Server = sub.For(t)
			header := append([]string{"Content-Type", "application/x-www-form-urlencoded"}, c.header...)
			if c.status == 0 {
				c.status = 400
			}
			a := sub.call(http.DefaultClient, "POST", wire.PathToken, c.body, header...).oauthError(c.status, c.code)
			// "the authorization server MUST respond with an HTTP 401 and include
			// the WWW-Authenticate response header field matching the scheme used"
			if got := a.Header.Get("WWW-Authenticate"); (c.status == 401) != strings.HasPrefix(got, "Basic ") {
				t.Errorf("WWW-Authenticate %q", got)
			}
		})
	}
	h.renew(token).granted() // nothing was consumed
	big := h.call(http.DefaultClient, "POST", wire.PathToken, "a="+strings.Repeat("x", 70<<10), "Content-Type", "application/x-www-form-urlencoded")
	big.oauthError(http.StatusRequestEntityTooLarge, "invalid_request")
	if h.call(http.DefaultClient, "GET", wire.PathToken, "").want(405).Header.Get("Allow") != "POST" {
		t.Error("the token endpoint is for POST (RFC 6749 §3.2)")
	}
	if strings.Contains(h.Logged.String(), token) {
		t.Error("a token is in the log")
	}
}

func TestBrowsersAreNotAskedForAPassword(t *testing.T) {
	h := newOAuthHarness(t)
	a := h.form(wire.PathToken, values("client_id", "gone"), "Sec-Fetch-Mode", "cors").oauthError(401, "invalid_client")
	if a.Header.Get("WWW-Authenticate") != "" {
		t.Error("a browser would ask its user for a password")
	}
}

func TestRFC6749_6_RefreshingAnAccessToken(t *testing.T) {
	h := newOAuthHarness(t)
	first := h.loginBody("alice")
	for name, more := range map[string][]string{"without a client": nil, "with the client": {"client_id", app.DefaultClientID},
		"with the scope that clients repeat": {"scope", "openid offline_access"}} {
		g := h.renew(first.RefreshToken, more...).granted()
		if g.RefreshToken == "" || g.RefreshToken == first.RefreshToken {
			t.Errorf("%s: refresh token %q", name, g.RefreshToken)
		}
		first.RefreshToken = g.RefreshToken
		h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(g.AccessToken)...).want(200)
	}
	// Empty Basic credentials, as x/oauth2 sends them for a client without an id.
	h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", first.RefreshToken), "Authorization", "Basic Og==").granted()
}

// A slow duplicate is answered without a refresh token, which RFC 6749 §6 allows
// ("MAY issue a new refresh token").
func TestRFC6749_6_SlowDuplicates(t *testing.T) {
	h := newOAuthHarness(t)
	a := h.loginBody("alice").RefreshToken
	b := h.renew(a).granted().RefreshToken
	h.renew(b).granted() // b is in use now, a is its parent
	if g := h.renew(a).granted(); g.RefreshToken != "" {
		t.Error("a slow duplicate got a refresh token")
	}
	if !strings.Contains(string(h.renew(b).body), `"refresh_token"`) {
		t.Error("the head got none")
	}
}

func TestRFC6749_10_4_BindingBetweenTokenAndClient(t *testing.T) {
	h := newOAuthHarness(t)
	spa, web := h.signIn(), h.signInWeb()
	h.renew(web.RefreshToken, "client_id", "spa").oauthError(400, "invalid_grant")
	h.renew(web.RefreshToken).oauthError(401, "invalid_client")
	h.renew(web.RefreshToken, "client_id", "web", "client_secret", h.secret+"x").oauthError(401, "invalid_client")
	h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", spa.RefreshToken), h.asWeb()...).oauthError(400, "invalid_grant")
	// The native surface asks for no secret, so it takes no token that needs one.
	h.refreshBody(web.RefreshToken).problem(400, "invalid_grant")
	h.refreshBody(spa.RefreshToken).tokens()
	// All that has taken nothing away from the owners.
	h.renew(spa.RefreshToken, "client_id", "spa").granted()
	h.renew(web.RefreshToken, "client_id", "web", "client_secret", h.secret).granted()
	h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", web.RefreshToken), h.asWeb()...).granted()
}

func TestRFC6749_6_RefusalsOfSessionsThatAreOver(t *testing.T) {
	h := newOAuthHarness(t)
	ended, expired, gone := h.signIn(), h.signIn(), h.signIn()
	h.form(wire.PathRevoke, values("token", ended.RefreshToken, "client_id", "spa")).want(200)
	h.renew(ended.RefreshToken).oauthError(400, "invalid_grant")
	h.People.Change(func(u map[string]sessionUser) { delete(u, "alice") })
	h.renew(gone.RefreshToken).oauthError(400, "invalid_grant")
	h.Clock.Advance(15 * 24 * hour)
	h.renew(expired.RefreshToken).oauthError(400, "invalid_grant")
}

func TestStolenTokensAreFoundOutHereToo(t *testing.T) {
	h := newOAuthHarness(t)
	a := h.signIn().RefreshToken
	b := h.renew(a, "client_id", "spa").granted().RefreshToken
	c := h.renew(b, "client_id", "spa").granted().RefreshToken
	h.renew(c, "client_id", "spa").granted()
	h.Clock.Advance(hour)
	h.renew(a, "client_id", "spa").oauthError(400, "invalid_grant")
	h.renew(c, "client_id", "spa").oauthError(400, "invalid_grant")
	if !strings.Contains(h.Logged.String(), wire.EventReuseDetected) {
		t.Error("nobody was told")
	}
}

func TestOAuthOutageChangesNothing(t *testing.T) {
	h := newOAuthHarness(t)
	g := h.signIn()
	h.People.Fail(errors.New("directory is down"))
	if a := h.renew(g.RefreshToken).oauthError(503, "temporarily_unavailable"); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.form(wire.PathIntrospect, values("token", g.AccessToken), h.asWeb()...).oauthError(503, "temporarily_unavailable")
	h.People.Fail(nil)
	h.renew(g.RefreshToken).granted()
}

func TestRFC7009_2_1_Revocation(t *testing.T) {
	h := newOAuthHarness(t)
	over := func(g oauth.Answer, what string) {
		t.Helper()
		a := h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(g.AccessToken)...)
		if a.StatusCode != 401 {
			t.Errorf("%s: the access token still works: %d", what, a.StatusCode)
		}
	}
	// "verifies whether the token was issued to the client making the request"
	spa, web := h.signIn(), h.signInWeb()
	h.form(wire.PathRevoke, values("token", spa.RefreshToken), h.asWeb()...).oauthError(400, "invalid_grant")
	h.form(wire.PathRevoke, values("token", web.RefreshToken, "client_id", "spa")).oauthError(400, "invalid_grant")
	h.form(wire.PathRevoke, values("token", web.RefreshToken)).oauthError(401, "invalid_client")
	h.form(wire.PathRevoke, values("token", web.RefreshToken, "client_id", "web")).oauthError(401, "invalid_client")
	h.form(wire.PathRevoke, values("client_id", "spa")).oauthError(400, "invalid_request")

	h.form(wire.PathRevoke, values("token", spa.RefreshToken, "client_id", "spa", "token_type_hint", "refresh_token")).want(200)
	over(spa, "public client, refresh token")
	h.form(wire.PathRevoke, values("token", web.RefreshToken), h.asWeb()...).want(200)
	over(web, "confidential client, refresh token")
	// "If the particular token is an access token and the server supports the
	// revocation of access tokens"; a wrong hint must not hinder (§2.1).
	again := h.signIn()
	h.form(wire.PathRevoke, values("token", again.AccessToken, "client_id", "spa", "token_type_hint", "refresh_token")).want(200)
	over(again, "access token")
	native := h.loginBody("bob")
	h.form(wire.PathRevoke, values("token", native.RefreshToken)).want(200)
	h.refreshBody(native.RefreshToken).problem(400, "invalid_grant")
}

func TestRFC7009_2_2_InvalidTokensDoNotCauseAnError(t *testing.T) {
	h := newOAuthHarness(t)
	g := h.signIn()
	for range 2 {
		h.form(wire.PathRevoke, values("token", g.RefreshToken, "client_id", "spa")).want(200)
	}
	for _, token := range []string{"x", g.AccessToken, strings.Repeat("é", 500), g.RefreshToken + "x", "a.b.c"} {
		h.form(wire.PathRevoke, values("token", token, "client_id", "spa")).want(200)
	}
}

func TestRFC7662_Introspection(t *testing.T) {
	h := newOAuthHarness(t)
	spa, web := h.signIn(), h.signInWeb()
	ask := func(token string, headers ...string) answer {
		t.Helper()
		return h.form(wire.PathIntrospect, values("token", token, "token_type_hint", "access_token"), headers...)
	}
	// §2.1: "the endpoint MUST also require some form of authorization"
	ask(spa.AccessToken).oauthError(401, "invalid_client")
	h.form(wire.PathIntrospect, values("token", spa.AccessToken, "client_id", "spa")).oauthError(401, "invalid_client")
	h.form(wire.PathIntrospect, values(), h.asWeb()...).oauthError(400, "invalid_request")

	var s oauth.State
	ask(spa.AccessToken, h.asWeb()...).json(&s)
	if !s.Active || s.Scope != "openid profile email" || s.ClientID != "spa" || s.Username != "alice" || s.Subject != "alice" || s.TokenType != "Bearer" ||
		s.Issuer != h.URL || s.Audience != h.URL || s.ExpiresAt <= s.IssuedAt || s.ID == "" || s.SessionID == "" {
		t.Errorf("state of an access token: %+v", s)
	}
	s = oauth.State{}
	ask(web.RefreshToken, h.asWeb()...).json(&s)
	if !s.Active || s.ClientID != "web" || s.Subject != "alice" || s.SessionID == "" || s.TokenType != "" {
		t.Errorf("state of a refresh token: %+v", s)
	}
	h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", web.RefreshToken), h.asWeb()...).granted() // asking consumes nothing

	// §2.2: "SHOULD NOT include any additional information about an inactive token"
	h.form(wire.PathRevoke, values("token", spa.RefreshToken, "client_id", "spa")).want(200)
	other := h.signIn()
	for name, token := range map[string]string{"garbage": "x", "ended": spa.AccessToken, "ended, refresh token": spa.RefreshToken,
		"another client's refresh token": other.RefreshToken, "an ID token": other.IDToken} {
		if got := strings.TrimSpace(string(ask(token, h.asWeb()...).want(200).body)); got != `{"active":false}` {
			t.Errorf("%s: %s", name, got)
		}
	}
	h.Clock.Advance(hour)
	if got := string(ask(other.AccessToken, h.asWeb()...).want(200).body); got != `{"active":false}` {
		t.Errorf("expired: %s", got)
	}
}

func TestRFC8414_Metadata(t *testing.T) {
	h := newOAuthHarness(t, func(c *app.Config) { c.CORSOrigins = []string{"https://shop.example"} })
	var first wire.OAuthMetadata
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		a := h.call(http.DefaultClient, "GET", path, "", "Origin", "https://shop.example")
		var m wire.OAuthMetadata
		a.json(&m)
		// §3.3: "The issuer value returned MUST be identical to the authorization
		// server's issuer identifier value"
		if m.Issuer != h.URL || a.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
			t.Errorf("%s: issuer %q, header %v", path, m.Issuer, a.Header)
		}
		for _, u := range []string{m.AuthorizationEndpoint, m.TokenEndpoint, m.UserInfoEndpoint, m.RevocationEndpoint, m.IntrospectionEndpoint, m.DeviceAuthorizationEndpoint, m.EndSessionEndpoint, m.JWKSURI} {
			path, ok := strings.CutPrefix(u, h.URL)
			if !ok || h.call(http.DefaultClient, "HEAD", path, "").StatusCode == 404 {
				t.Errorf("endpoint %q is not there", u)
			}
		}
		if !m.AuthorizationResponseIssuer || !slices.Contains(m.CodeChallengeMethods, "S256") || slices.Contains(m.CodeChallengeMethods, "plain") {
			t.Errorf("%s: %+v", path, m)
		}
		if first.Issuer != "" && !equalJSON(m, first) {
			t.Error("the two documents differ")
		}
		first = m
	}
}

func TestStockClientsInBrowsersMayCall(t *testing.T) {
	h := newOAuthHarness(t, func(c *app.Config) { c.CORSOrigins = []string{"https://shop.example"} })
	for path, header := range map[string]string{wire.PathToken: "content-type", wire.PathRevoke: "authorization,content-type", wire.PathUserInfo: "authorization"} {
		a := h.call(http.DefaultClient, "OPTIONS", path, "", "Origin", "https://shop.example",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", header)
		if a.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" || a.Header.Get("Access-Control-Allow-Headers") == "" {
			t.Errorf("preflight for %s: %d %v", path, a.StatusCode, a.Header)
		}
		a = h.call(http.DefaultClient, "OPTIONS", path, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
		// What needs no cookie of the browser is for clients of every origin.
		want := map[bool]string{true: "*"}[path != wire.PathRevoke]
		if a.Header.Get("Access-Control-Allow-Origin") != want || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s for a foreign origin: %v", path, a.Header)
		}
	}
}

func TestEveryOriginMayDiscoverAndRedeem(t *testing.T) {
	h := newOAuthHarness(t)
	g := h.signIn()
	for _, path := range []string{wire.PathOpenIDMetadata, wire.PathOAuthMetadata, wire.PathJWKS, wire.PathUserInfo} {
		a := h.call(http.DefaultClient, "GET", path, "", "Origin", "https://anywhere.example", "Authorization", "Bearer "+g.AccessToken).want(200)
		if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
	a := h.renew(g.RefreshToken, "client_id", "spa")
	if a = h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", a.granted().RefreshToken), "Origin", "https://anywhere.example"); a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("token: %v", a.Header)
	}
	if a := h.call(http.DefaultClient, "GET", "/auth/me", "", "Origin", "https://anywhere.example"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("native calls are open to every origin")
	}
}

func TestRemovedClientsAreOut(t *testing.T) {
	h := newOAuthHarness(t)
	spa, web := h.signIn(), h.signInWeb()
	code := h.code(request())
	if err := h.App.OAuth.RemoveClient(t.Context(), "spa"); err != nil {
		t.Fatal(err)
	}
	if err := h.App.OAuth.RemoveClient(t.Context(), "spa"); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	h.exchange(code).oauthError(401, "invalid_client")
	h.renew(spa.RefreshToken).oauthError(400, "invalid_grant")
	h.refreshBody(spa.RefreshToken).problem(400, "invalid_grant")
	h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", web.RefreshToken), h.asWeb()...).granted()
}

// Decided by the same calls as everything else: an OAuth session is one session.
func TestOAuthSessionsAreSessions(t *testing.T) {
	h := newOAuthHarness(t)
	g := h.signIn()
	var list wire.Sessions
	h.call(http.DefaultClient, "GET", "/auth/sessions", "", bearer(g.AccessToken)...).json(&list)
	if len(list.Sessions) != 1 || !list.Sessions[0].Current {
		t.Fatalf("sessions %+v", list)
	}
	id, err := rotation.ParseSessionID(list.Sessions[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := h.App.Sessions.Living(t.Context(), id)
	if err != nil || sess.ClientID != "spa" || sess.UserID != "alice" {
		t.Errorf("session %+v, %v", sess, err)
	}
}

func equalJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
