package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

func TestAuthorizationCode(t *testing.T) {
	h := newOAuthHarness(t)
	page := h.authorize(request()).want(200)
	if !strings.Contains(string(page.body), "<b>The Shop</b>") {
		t.Errorf("the page does not say who asks: %s", page.body)
	}
	g := h.signIn()
	if g.RefreshToken == "" || g.IDToken == "" || g.Scope != "openid profile email" {
		t.Errorf("answer %+v", g)
	}
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(g.AccessToken)...).want(200)
	var claims wire.AccessClaims
	h.claims(g.AccessToken, &claims)
	if claims.ClientID != "spa" || claims.Scope != "openid profile email" || claims.Roles != nil {
		t.Errorf("claims %+v", claims)
	}
	h.renew(g.RefreshToken, "client_id", "spa").granted()
	h.signInWeb()
	if plain := h.exchange(h.code(request("scope", ""))).granted(); plain.IDToken != "" || plain.Scope != "orders:read" {
		t.Errorf("nothing was asked for: scope %q, ID token %q", plain.Scope, plain.IDToken)
	}
	// RFC 6749 §3.3: the server may ignore the scope in part, and says so.
	if g := h.exchange(h.code(request("scope", "openid admin:everything"))).granted(); g.Scope != "openid" {
		t.Errorf("scope %q", g.Scope)
	}
	// OpenID Connect Core §3.1.2.1: requests may be posted too.
	a := h.call(h.browser, "POST", wire.PathAuthorize, request().Encode(), "Content-Type", "application/x-www-form-urlencoded", "Origin", "https://app.example")
	if to := a.want(303).Header.Get("Location"); !strings.HasPrefix(to, wire.PathAuthorize+"?") {
		t.Errorf("a posted request leads to %s", to)
	}
}

func (h *oauthHarness) claims(token string, into any) {
	h.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		h.Fatalf("not a JWT: %d parts", len(parts))
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		h.Fatal(err)
	}
}

func TestRFC6749_4_1_2_1_ErrorsOfTheAuthorizationEndpoint(t *testing.T) {
	h := newOAuthHarness(t)
	for name, c := range map[string]struct {
		p    url.Values
		code string
	}{
		"missing response_type":                        {request("response_type", ""), "invalid_request"},
		"unsupported response type":                    {request("response_type", "token"), "unsupported_response_type"},
		"unsupported response mode":                    {request("response_mode", "fragment"), "invalid_request"},
		"RFC 7636 §4.4.1: code challenge required":     {request("code_challenge", ""), "invalid_request"},
		"RFC 7636 §4.4.1: transform not supported":     {request("code_challenge_method", "plain"), "invalid_request"},
		"RFC 7636 §4.3: the default transform is not":  {request("code_challenge_method", ""), "invalid_request"},
		"a challenge that is no SHA-256":               {request("code_challenge", "short"), "invalid_request"},
		"OpenID Connect Core §3.1.2.6: login_required": {request("prompt", "none"), "login_required"},
		"OpenID Connect Core §3.1.2.1: none alone":     {request("prompt", "login none"), "invalid_request"},
		"OpenID Connect Core §3.1.2.1: max_age":        {request("max_age", "soon"), "invalid_request"},
		"OpenID Connect Core §3.1.2.1: redirect_uri":   {request("redirect_uri", ""), "invalid_request"},
		"an id_token_hint of nobody":                   {request("id_token_hint", "x.y.z"), "invalid_request"},
		"request objects":                              {request("request", "x.y."), "request_not_supported"},
		"request objects by reference":                 {request("request_uri", "https://app.example/r"), "request_uri_not_supported"},
	} {
		q := h.authorize(c.p).redirected(callback)
		// RFC 9207 §2: iss also in error responses
		if q.Get("error") != c.code || q.Get("state") != "st&te=1" || q.Get("iss") != h.URL || !quotable.MatchString(q.Get("error_description")) || q.Get("code") != "" {
			t.Errorf("%s: %v", name, q)
		}
	}
	// "the authorization server MUST NOT automatically redirect the user-agent to
	// the invalid redirection URI"
	for name, p := range map[string]url.Values{
		"missing client":               request("client_id", ""),
		"unknown client":               request("client_id", "nobody"),
		"a client without redirection": request("client_id", "tv"),
		"foreign redirection":          request("redirect_uri", "https://evil.example/cb"),
		"longer path":                  request("redirect_uri", callback+"/more"),
		"more parameters":              request("redirect_uri", callback+"?x=1"),
		"user information":             request("redirect_uri", "https://app.example@evil.example/cb"),
		"other case":                   request("redirect_uri", "https://APP.example/cb"),
		"missing, and there are two":   request("client_id", "web", "redirect_uri", ""),
	} {
		a := h.authorize(p).want(400)
		if a.Header.Get("Location") != "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(string(a.body), "invalid_request") {
			t.Errorf("%s: %v %s", name, a.Header, a.body)
		}
	}
	h.call(h.browser, "GET", wire.PathAuthorize+"?"+request().Encode()+"&client_id=web", "").want(400)
	q := h.submit(h.authorize(request()), "action", "deny").redirected(callback)
	if q.Get("error") != "access_denied" || q.Get("state") == "" || q.Get("iss") != h.URL {
		t.Errorf("cancelled: %v", q)
	}
}

func TestRFC6749_3_1_2_3_TheOnlyRedirectionMayBeLeftOut(t *testing.T) {
	h := newOAuthHarness(t)
	q := h.submit(h.authorize(request("redirect_uri", "", "scope", "orders:read")), "username", "alice", "password", "alice").redirected(callback)
	// §4.1.3: redirect_uri is required "if the redirect_uri parameter was included"
	h.exchange(q.Get("code"), "redirect_uri", callback).oauthError(400, "invalid_grant")
	h.exchange(q.Get("code"), "redirect_uri", "").granted()
}

func TestRFC6749_3_1_2_QueriesOfRedirectionsAreKept(t *testing.T) {
	h := newOAuthHarness(t)
	uri := "https://app.example/cb?tenant=1"
	q := h.submit(h.authorize(request("client_id", "web", "redirect_uri", uri)), "username", "alice", "password", "alice").redirected(uri)
	if q.Get("tenant") != "1" || q.Get("code") == "" {
		t.Errorf("redirected with %v", q)
	}
}

func TestRFC6749_4_1_2_CodesAreUsedOnce(t *testing.T) {
	h := newOAuthHarness(t)
	code := h.code(request())
	g := h.exchange(code).granted()
	// Somebody who only saw the code can end nothing with it.
	h.exchange(code, "code_verifier", strings.Repeat("x", 43)).oauthError(400, "invalid_grant")
	h.renew(g.RefreshToken, "client_id", "spa").granted()
	// "SHOULD revoke all tokens previously issued based on that code"
	h.exchange(code).oauthError(400, "invalid_grant")
	h.renew(g.RefreshToken, "client_id", "spa").oauthError(400, "invalid_grant")
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(g.AccessToken)...).problem(401, "invalid_token")
	if strings.Contains(h.Logged.String(), code) {
		t.Error("a code is in the log")
	}
}

// Of two that redeem a code at the same time at most one gets tokens, and none
// that still work.
func TestRFC6749_4_1_2_CodesAreUsedOnceAlsoAtTheSameTime(t *testing.T) {
	h := newOAuthHarness(t)
	for range 10 {
		code := h.code(request())
		answers := make([]answer, 4)
		var work sync.WaitGroup
		for i := range answers {
			work.Go(func() { answers[i] = h.exchange(code) })
		}
		work.Wait()
		granted := 0
		for _, a := range answers {
			if a.StatusCode == 200 {
				granted++
				h.renew(a.granted().RefreshToken, "client_id", "spa").oauthError(400, "invalid_grant")
			} else {
				a.oauthError(400, "invalid_grant")
			}
		}
		if granted > 1 {
			t.Fatalf("%d redemptions of one code", granted)
		}
	}
	list, err := h.App.Sessions.List(t.Context(), "")
	if err != nil || len(list) != 0 {
		t.Errorf("%d sessions are left, %v", len(list), err)
	}
}

func TestRFC6749_4_1_3_CodesAreBound(t *testing.T) {
	h := newOAuthHarness(t)
	code := h.code(request())
	h.exchange(code, "client_id", "native").oauthError(400, "invalid_grant")
	h.exchange(code, "redirect_uri", "https://app.example/other").oauthError(400, "invalid_grant")
	h.exchange(code, "redirect_uri", "").oauthError(400, "invalid_grant")
	h.form(wire.PathToken, values("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier), h.asWeb()...).oauthError(400, "invalid_grant")
	h.form(wire.PathToken, values("grant_type", oauth.GrantDevice, "client_id", "spa", "device_code", code)).oauthError(400, "invalid_grant")
	h.exchange(code).granted() // none of that consumed it
}

func TestRFC7636_4_6_TheVerifierMustFit(t *testing.T) {
	h := newOAuthHarness(t)
	code := h.code(request())
	for _, v := range []string{challengeOf(verifier), verifier + "x", strings.Repeat("a", 43), "short", strings.Repeat("a", 129), strings.ToUpper(verifier)} {
		h.exchange(code, "code_verifier", v).oauthError(400, "invalid_grant")
	}
	h.exchange(code, "code_verifier", "").oauthError(400, "invalid_request")
	h.exchange(code).granted()
}

func TestRFC6749_4_1_2_CodesExpireShortly(t *testing.T) {
	h := newOAuthHarness(t)
	code := h.code(request())
	h.Clock.Advance(oauth.CodeLifetime - time.Millisecond)
	h.exchange(code).granted()
	code = h.code(request())
	h.Clock.Advance(oauth.CodeLifetime)
	h.exchange(code).oauthError(400, "invalid_grant")
}

func TestUsersWhoAreGoneGetNoSession(t *testing.T) {
	h := newOAuthHarness(t)
	code := h.code(request())
	h.People.Change(func(u map[string]sessionUser) { delete(u, "alice") })
	h.exchange(code).oauthError(400, "invalid_grant")
}

func TestRFC8252_7_3_LoopbackRedirectionsMayUseAnyPort(t *testing.T) {
	h := newOAuthHarness(t)
	for _, uri := range []string{"http://127.0.0.1:51004/cb", "http://127.0.0.1/cb", "http://[::1]:61023/cb", "com.example.app:/cb"} {
		p := request("client_id", "native", "redirect_uri", uri)
		h.exchange(h.code(p), "client_id", "native", "redirect_uri", uri).granted()
		page := h.authorize(p)
		// Chromium applies form-action to all redirects after the form, also those of the client.
		if csp := page.Header.Get("Content-Security-Policy"); strings.Contains(csp, "form-action") {
			t.Errorf("%s: the browser would not follow the redirect: %s", uri, csp)
		}
	}
	for _, uri := range []string{"http://127.0.0.1:51004/other", "https://127.0.0.1:51004/cb", "http://127.0.0.2:51004/cb", "http://127.0.0.1:51004@evil.example/cb",
		"http://127.0.0.1:x/cb", "http://127.0.0.1:/cb", "http://127.0.0.1.evil.example/cb", "http://[::1]:1:2/cb", "http://127.0.0.1:51004/cb?x=1", "http://127.0.0.1:1\\@evil.example/cb"} {
		h.authorize(request("client_id", "native", "redirect_uri", uri)).want(400)
	}
}

func TestRFC8252_8_3_LocalhostStandsForNoLoopbackAddress(t *testing.T) {
	h := newOAuthHarness(t)
	h.authorize(request("client_id", "native", "redirect_uri", "http://localhost:51004/cb")).want(400)
	h.register(oauth.Client{ID: "dev", RedirectURIs: []string{"http://localhost:3000/cb"}}, false)
	h.authorize(request("client_id", "dev", "redirect_uri", "http://localhost:3000/cb")).want(200)
	h.authorize(request("client_id", "dev", "redirect_uri", "http://localhost:3001/cb")).want(200)
	h.authorize(request("client_id", "dev", "redirect_uri", "http://127.0.0.1:3000/cb")).want(400)
}

func TestRFC9207_2_TheResponseSaysWhoIssuedIt(t *testing.T) {
	h := newOAuthHarness(t)
	for _, answer := range []answer{
		h.submit(h.authorize(request()), "username", "alice", "password", "alice"),
		h.submit(h.authorize(request()), "action", "deny"),
		h.authorize(request("prompt", "none")),
	} {
		// "identical to the issuer of the metadata"
		if q := answer.redirected(callback); q.Get("iss") != h.URL || len(q["iss"]) != 1 {
			t.Errorf("iss %q", q["iss"])
		}
	}
}

func TestSignInPageRefuses(t *testing.T) {
	h := newOAuthHarness(t)
	page := h.authorize(request())
	again := h.submit(page, "username", "alice", "password", "wrong").want(400)
	body := string(again.body)
	if !strings.Contains(body, `role="alert"`) || !strings.Contains(body, `value="alice"`) || strings.Contains(body, "wrong\"") {
		t.Errorf("after a wrong password: %s", body)
	}
	h.submit(again, "username", "alice", "password", "alice").redirected(callback)
	for _, name := range []string{`"><script>alert(1)</script>`, "<b>", "nobody"} {
		if b := string(h.submit(page, "username", name, "password", "x").want(400).body); strings.Contains(b, "<script") || strings.Contains(b, "<b>\"") {
			t.Errorf("the page repeats markup: %s", b)
		}
	}
	h.submit(page, "username", "", "password", "").want(400)
}

func TestSignInPageIsThrottled(t *testing.T) {
	h := newOAuthHarness(t)
	page := h.authorize(request())
	for range 50 {
		if a := h.submit(page, "username", "bob", "password", "wrong"); a.StatusCode == 429 {
			if a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.body), `role="alert"`) {
				t.Errorf("throttled: %v %s", a.Header, a.body)
			}
			// One throttle for all doors.
			h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"bob","password":"wrong"}`).problem(429, "too_many_requests")
			return
		}
	}
	t.Error("50 wrong passwords, and nobody was slowed down")
}

func TestSignInPageIsGuarded(t *testing.T) {
	h := newOAuthHarness(t)
	page := h.authorize(request())
	action, fields := page.pageForm()
	fields.Set("username", "alice")
	fields.Set("password", "alice")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for name, c := range map[string]struct {
		client *http.Client
		csrf   string
		header []string
	}{
		"no cookie":              {http.DefaultClient, fields.Get("csrf"), nil},
		"no token":               {h.browser, "", nil},
		"wrong token":            {h.browser, strings.Repeat("x", 43), nil},
		"foreign origin":         {h.browser, fields.Get("csrf"), []string{"Origin", "https://evil.example"}},
		"opaque origin":          {h.browser, fields.Get("csrf"), []string{"Origin", "null"}},
		"foreign site":           {h.browser, fields.Get("csrf"), []string{"Sec-Fetch-Site", "cross-site"}},
		"another host, one site": {h.browser, fields.Get("csrf"), []string{"Sec-Fetch-Site", "same-site"}},
	} {
		f := url.Values{"username": {"alice"}, "password": {"alice"}, "csrf": {c.csrf}}
		a := h.call(c.client, "POST", action, f.Encode(), append(form, c.header...)...)
		if a.StatusCode != 403 || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v", name, a.StatusCode, a.Header)
		}
	}
	// Two pages may be open at once.
	first, second := h.authorize(request()), h.authorize(request("state", "two"))
	h.submit(second, "username", "alice", "password", "alice").redirected(callback)
	h.submit(first, "username", "alice", "password", "alice").redirected(callback)
}

var styleElement = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

func TestPagesAreClosedToOthers(t *testing.T) {
	h := newOAuthHarness(t, func(c *app.Config) { c.PublicURL = "https://auth.example" })
	for name, a := range map[string]answer{"sign-in": h.authorize(request()), "device": h.call(h.browser, "GET", wire.PathDevice, ""),
		"logout": h.call(h.browser, "GET", wire.PathEndSession, ""), "error": h.authorize(request("client_id", "nobody"))} {
		csp := a.Header.Get("Content-Security-Policy")
		style := styleElement.FindSubmatch(a.body)
		if style == nil {
			t.Fatalf("%s: no style", name)
		}
		sum := sha256.Sum256(style[1])
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'",
			"style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: policy %q lacks %q", name, csp, part)
			}
		}
		// The sign-in page leads to the client and on from there: see page.View.Leaves.
		if strings.Contains(csp, "form-action 'self'") != (name != "sign-in") {
			t.Errorf("%s: policy %q", name, csp)
		}
		if strings.Contains(string(a.body), "<script") || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Frame-Options") != "DENY" || a.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %v", name, a.Header)
		}
		for _, c := range a.Cookies() {
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" {
				t.Errorf("%s: cookie %v", name, c)
			}
		}
	}
}

func TestPagesSpeakTheReadersLanguage(t *testing.T) {
	h := newOAuthHarness(t)
	for name, c := range map[string]struct {
		a    answer
		want string
	}{
		"browser":                {h.authorize(request(), "Accept-Language", "zh-CN,en;q=0.5"), `lang="zh-CN"`},
		"client before browser":  {h.authorize(request("ui_locales", "fr zh-Hans en"), "Accept-Language", "en"), `lang="zh-CN"`},
		"neither":                {h.authorize(request("ui_locales", "x"), "Accept-Language", "fr"), `lang="en"`},
		"an error":               {h.authorize(request("client_id", "nobody"), "Accept-Language", "zh"), "此链接无法使用"},
		"device":                 {h.call(h.browser, "GET", wire.PathDevice, "", "Accept-Language", "zh-CN"), "连接设备"},
		"sign-out":               {h.call(h.browser, "GET", wire.PathEndSession, "", "Accept-Language", "zh-CN"), "没有可退出的会话"},
		"an error of the domain": {h.submit(h.authorize(request("ui_locales", "zh-CN")), "username", "alice", "password", "wrong"), "用户名或密码错误"},
	} {
		if !strings.Contains(string(c.a.body), c.want) {
			t.Errorf("%s: no %s in %s", name, c.want, c.a.body)
		}
	}
}
