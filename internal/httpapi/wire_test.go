package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

func TestLoginCookieDelivery(t *testing.T) {
	h := newHarness(t)
	a := h.call(h.client, "POST", "/auth/login", `{"username":"alice","password":"alice"}`)
	r := a.tokens()
	if r.RefreshToken != "" {
		t.Error("the refresh token is in the body although it travels in the cookie")
	}
	if r.User == nil || r.User.Username != "alice" {
		t.Errorf("user %+v", r.User)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("tokens can be cached")
	}
	byName := map[string]*http.Cookie{}
	for _, c := range a.Cookies() {
		byName[c.Name] = c
	}
	ref, csrf := byName["tacet_refresh"], byName["tacet_csrf"]
	if ref == nil || !ref.HttpOnly || ref.SameSite != http.SameSiteLaxMode || ref.Secure || ref.Path != "/" || ref.Domain != "" || ref.MaxAge < 1209500 {
		t.Errorf("refresh cookie %+v", ref)
	}
	if csrf == nil || csrf.HttpOnly || csrf.Path != "/" || !strings.HasPrefix(csrf.Value, "1.") {
		t.Errorf("CSRF cookie %+v", csrf)
	}
	if !strings.HasPrefix(ref.Value, rotation.Prefix) {
		t.Error("the refresh token has not the prefix that secret scanners look for")
	}
}

func TestCookiesUnderTLS(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.PublicURL = "https://app.example.com"; c.SameSite = "strict" })
	a := h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"alice"}`)
	for _, c := range a.Cookies() {
		if !c.Secure || c.SameSite != http.SameSiteStrictMode {
			t.Errorf("cookie %s is not Secure and Strict", c.Name)
		}
	}
	// What a browser asks of this prefix: Secure, the path /, no domain.
	for i, name := range []string{"__Host-tacet_refresh", "__Host-tacet_csrf"} {
		if c := a.Cookies()[i]; c.Name != name || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %s has path %q and domain %q; want %s for this host", c.Name, c.Path, c.Domain, name)
		}
	}
}

func TestAccessTokenClaims(t *testing.T) {
	h := newHarness(t)
	r := h.loginBody("alice")
	parts := strings.Split(r.AccessToken, ".")
	var head map[string]string
	var claims map[string]any
	decode(t, parts[0], &head)
	decode(t, parts[1], &claims)
	if head["typ"] != "at+jwt" || head["alg"] != "EdDSA" || head["kid"] == "" {
		t.Errorf("header %v", head)
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "roles", "scope", "grants_version"} {
		if _, ok := claims[name]; !ok {
			t.Errorf("claim %s is missing (RFC 9068 §2.2)", name)
		}
	}
	if claims["sid"] != r.Session.ID || claims["sub"] != "alice" || claims["iss"] != h.URL || claims["scope"] != "orders:read" {
		t.Errorf("claims %v", claims)
	}
	if life := claims["exp"].(float64) - claims["iat"].(float64); life != float64(r.ExpiresIn) || life > 900 || life < 855 {
		t.Errorf("lifetime %v s in the token, %v s in the answer; want equal, 15 min less up to 5 %%", life, r.ExpiresIn)
	}
}

func decode(t *testing.T, part string, v any) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWrongCredentialsAre400AndAllTheSame(t *testing.T) {
	h := newHarness(t)
	wrong := h.call(h.client, "POST", "/auth/login", `{"username":"alice","password":"nope"}`)
	wrong.problem(400, "invalid_credentials")
	unknown := h.call(h.client, "POST", "/auth/login", `{"username":"mallory","password":"nope"}`)
	unknown.problem(400, "invalid_credentials")
	if string(wrong.body) != string(unknown.body) {
		t.Error("the answer tells whether the name exists")
	}
	wrong.noCookies()
}

func TestFailedSignInsAreThrottledAndOthersAreNot(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.0/8", "::1"} })
	var last answer
	for range 30 {
		last = h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"nope"}`, "X-Forwarded-For", "198.51.100.7")
		if last.StatusCode == 429 {
			break
		}
	}
	last.problem(429, "too_many_requests")
	if last.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"alice"}`, "X-Forwarded-For", "198.51.100.8").tokens()
}

func TestRefreshByCookie(t *testing.T) {
	h := newHarness(t)
	first := h.login(h.client, "alice")
	before := h.cookie(h.client, "tacet_refresh")
	csrf := h.cookie(h.client, "tacet_csrf")
	r := h.refresh(h.client).tokens()
	if r.User != nil || r.RefreshToken != "" || r.Session.ID != first.Session.ID || r.AccessToken == first.AccessToken {
		t.Errorf("refresh answered %+v", r)
	}
	if h.cookie(h.client, "tacet_refresh") == before {
		t.Error("the refresh cookie was not rotated")
	}
	if now := h.cookie(h.client, "tacet_csrf"); now == csrf || !strings.HasPrefix(now, "2.") {
		t.Error("the CSRF cookie does not carry the new generation")
	}
}

func TestCSRF(t *testing.T) {
	h := newHarness(t)
	h.login(h.client, "alice")
	other := apptest.NewBrowser()
	h.login(other, "bob")
	before, _ := h.App.DB.Sessions().List(t.Context(), "alice", rotation.SessionID{}, 10)
	good := h.cookie(h.client, "tacet_csrf")
	for name, headers := range map[string][]string{
		"missing":              nil,
		"of another app":       {"X-XSRF-TOKEN", "eyJpdiI6Im1ZMFhXb3c9PSIsInZhbHVlIjoiIn0="},
		"garbage":              {"X-XSRF-TOKEN", "1.garbage"},
		"of another session":   {"X-XSRF-TOKEN", h.cookie(other, "tacet_csrf")},
		"altered generation":   {"X-XSRF-TOKEN", "9" + good},
		"foreign origin":       {"X-XSRF-TOKEN", good, "Origin", "https://evil.example"},
		"cross-site by header": {"X-XSRF-TOKEN", good, "Sec-Fetch-Site", "cross-site"},
	} {
		for _, path := range []string{"/auth/refresh", "/auth/confirm", "/auth/logout"} {
			t.Run(name+path, func(t *testing.T) {
				a := h.call(h.client, "POST", path, "{}", headers...)
				a.t = t
				a.problem(403, "csrf")
				a.noCookies()
			})
		}
	}
	after, _ := h.App.DB.Sessions().List(t.Context(), "alice", rotation.SessionID{}, 10)
	if len(after) != 1 || before[0] != after[0] {
		t.Error("a refused call changed the session")
	}
	h.refresh(h.client, "Origin", h.URL, "Sec-Fetch-Site", "same-origin").tokens()
}

func TestLoginFromAForeignPageIsRefused(t *testing.T) {
	h := newHarness(t)
	h.call(h.client, "POST", "/auth/login", `{"username":"alice","password":"alice"}`, "Origin", "https://evil.example").problem(403, "csrf")
}

func TestRefreshInBody(t *testing.T) {
	h := newHarness(t)
	r := h.loginBody("alice")
	if r.RefreshToken == "" {
		t.Fatal("no refresh token in the body")
	}
	a := h.refreshBody(r.RefreshToken)
	n := a.noCookies().tokens()
	if n.RefreshToken == "" || n.RefreshToken == r.RefreshToken {
		t.Error("the token was not rotated")
	}
	h.refreshBody("tacet_rt_forged").noCookies().problem(400, "invalid_grant")
	h.call(http.DefaultClient, "POST", "/auth/refresh", "{}").noCookies().problem(400, "invalid_grant")
}

// The rows of PROTOCOL.md, "Presenting a token", as a client sees them.
func TestTheTableOverHTTP(t *testing.T) {
	h := newHarness(t)
	r1 := h.loginBody("alice").RefreshToken
	a := h.refreshBody(r1).tokens().RefreshToken // r1 becomes the head
	b := h.refreshBody(r1).tokens().RefreshToken // the head again: a retry
	if a == b {
		t.Fatal("two answers to one token must differ, else copies could not be told apart")
	}
	a2 := h.refreshBody(a).tokens().RefreshToken // the child becomes the head
	for name, late := range map[string]string{"the head's parent": r1, "the head's sibling": b} {
		r := h.refreshBody(late).noCookies().tokens()
		if r.RefreshToken != "" {
			t.Errorf("%s within the overlap got a refresh token", name)
		}
	}
	h.Clock.Advance(11 * time.Second)
	h.refreshBody(b, "User-Agent", "thief").problem(400, "invalid_grant")
	h.refreshBody(a2).problem(400, "invalid_grant")

	events, err := h.App.DB.Events().Since(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var reuse wire.ReuseDetected
	for _, e := range events {
		if e.Kind == wire.EventReuseDetected {
			_ = json.Unmarshal(e.Data, &reuse)
		}
	}
	if reuse.Presented.UserAgent != "thief" || reuse.Head.UserAgent == "" || reuse.Head.Address == "" || reuse.Presented.Address == "" {
		t.Errorf("the event does not say who: %+v", reuse)
	}
}

func TestAnswerLostAndAnHourLater(t *testing.T) {
	h := newHarness(t)
	r := h.loginBody("alice").RefreshToken
	h.refreshBody(r).tokens() // the answer never arrives
	h.Clock.Advance(time.Hour)
	h.refreshBody(r).tokens()
}

func TestConfirmMakesTheChildTheHead(t *testing.T) {
	h := newHarness(t)
	r := h.loginBody("alice").RefreshToken
	child := h.refreshBody(r).tokens().RefreshToken
	h.call(http.DefaultClient, "POST", "/auth/confirm", `{"refresh_token":"`+child+`"}`).want(204)
	h.call(http.DefaultClient, "POST", "/auth/confirm", `{"refresh_token":"`+child+`"}`).want(204)
	h.Clock.Advance(time.Minute)
	h.refreshBody(r).problem(400, "invalid_grant") // the stolen parent is dead

	h.login(h.client, "bob")
	h.call(h.client, "POST", "/auth/confirm", "", "X-XSRF-TOKEN", h.cookie(h.client, "tacet_csrf")).want(204)
}

func TestLifetimes(t *testing.T) {
	h := newHarness(t)
	idle := h.loginBody("alice").RefreshToken
	h.Clock.Advance(app.DefaultIdleTTL)
	h.refreshBody(idle).problem(400, "invalid_grant")

	r := h.loginBody("bob").RefreshToken
	for range 9 { // renewed every 10 days, it lasts 90
		h.Clock.Advance(10*24*time.Hour - time.Minute)
		r = h.refreshBody(r).tokens().RefreshToken
	}
	h.Clock.Advance(time.Hour)
	h.refreshBody(r).problem(400, "invalid_grant")
}

func TestStoreGoneSignsNobodyOut(t *testing.T) {
	h := newHarness(t)
	h.login(h.client, "alice")
	access := h.loginBody("alice").AccessToken
	if err := h.App.DB.Close(); err != nil {
		t.Fatal(err)
	}
	for _, a := range []answer{
		h.refresh(h.client),
		h.call(h.client, "POST", "/auth/logout", "{}", "X-XSRF-TOKEN", h.cookie(h.client, "tacet_csrf")),
		h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"alice"}`),
		h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(access)...),
		h.call(http.DefaultClient, "GET", "/readyz", ""),
	} {
		a.problem(503, "temporarily_unavailable")
		a.noCookies()
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", a.Request.URL.Path)
		}
	}
	h.call(http.DefaultClient, "GET", "/livez", "").want(200)
}

func TestDirectoryGoneSignsNobodyOut(t *testing.T) {
	h := newHarness(t)
	h.login(h.client, "alice")
	h.People.Fail(http.ErrServerClosed)
	h.refresh(h.client).noCookies().problem(503, "temporarily_unavailable")
	h.People.Fail(nil)
	h.refresh(h.client).tokens()
}

func TestLogout(t *testing.T) {
	h := newHarness(t)
	h.login(h.client, "alice")
	elsewhere := h.loginBody("alice")
	stale := h.cookie(h.client, "tacet_refresh")
	a := h.call(h.client, "POST", "/auth/logout", "", "X-XSRF-TOKEN", h.cookie(h.client, "tacet_csrf")).want(204)
	cleared := 0
	for _, c := range a.Cookies() {
		if c.MaxAge < 0 {
			cleared++
		}
	}
	if cleared != 2 {
		t.Errorf("%d cookies cleared, want 2", cleared)
	}
	h.refreshBody(stale).problem(400, "invalid_grant")
	// Idempotent, with a dead token, with garbage, and with none.
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"`+stale+`"}`).want(204)
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"garbage"}`).want(204)
	h.call(http.DefaultClient, "POST", "/auth/logout", "").want(204)
	h.refreshBody(elsewhere.RefreshToken).tokens() // other devices stay
}

func TestLogoutEverywhere(t *testing.T) {
	h := newHarness(t)
	one, two, bob := h.loginBody("alice"), h.loginBody("alice"), h.loginBody("bob")
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"`+one.RefreshToken+`"}`).want(204)
	// A dead token may not speak for the others.
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"everywhere":true,"refresh_token":"`+one.RefreshToken+`"}`).want(204)
	next := h.refreshBody(two.RefreshToken).tokens()
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"everywhere":true,"refresh_token":"`+next.RefreshToken+`"}`).want(204)
	h.refreshBody(next.RefreshToken).problem(400, "invalid_grant")
	h.refreshBody(bob.RefreshToken).tokens()
}

func TestMe(t *testing.T) {
	h := newHarness(t)
	r := h.loginBody("alice")
	auth := bearer(r.AccessToken)
	a := h.call(http.DefaultClient, "GET", "/auth/me", "", auth...)
	var me wire.Me
	a.json(&me)
	if me.User.Username != "alice" || len(me.Permissions) != 1 || len(me.Roles) != 1 || me.GrantsVersion != 1 || me.Session.ID != r.Session.ID || me.Settings == nil {
		t.Errorf("me %+v", me)
	}
	etag := a.Header.Get("ETag")
	h.call(http.DefaultClient, "GET", "/auth/me", "", append(auth, "If-None-Match", etag)...).want(304)
	h.call(http.DefaultClient, "GET", "/auth/me", "", append(auth, "If-None-Match", `"other", `+etag)...).want(304)
	h.call(http.DefaultClient, "GET", "/auth/me", "", append(auth, "If-None-Match", `"other"`)...).want(200)

	none := h.call(http.DefaultClient, "GET", "/auth/me", "")
	none.want(401)
	if c := none.Header.Get("WWW-Authenticate"); !strings.HasPrefix(c, "Bearer") || strings.Contains(c, "error") {
		t.Errorf("challenge without a credential: %q (RFC 6750 §3.1)", c)
	}
	bad := h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(r.AccessToken+"x")...)
	bad.problem(401, "invalid_token")
	if !strings.Contains(bad.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Error("challenge lacks the error")
	}

	h.People.Change(func(u map[string]session.User) {
		alice := u["alice"]
		alice.GrantsVersion, alice.Roles = 2, nil
		u["alice"] = alice
	})
	stale := h.call(http.DefaultClient, "GET", "/auth/me", "", auth...)
	stale.problem(401, "invalid_token")
	if !strings.Contains(stale.Header.Get("WWW-Authenticate"), `error_description="grants_changed"`) {
		t.Error("a token older than the grants is not told from an expired one")
	}
	n := h.refreshBody(r.RefreshToken).tokens()
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(n.AccessToken)...).json(&me)
	if len(me.Roles) != 0 || me.GrantsVersion != 2 {
		t.Errorf("me after the change %+v", me)
	}

	h.Clock.Advance(app.DefaultAccessTTL)
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(n.AccessToken)...).problem(401, "invalid_token")
}

func TestEndedSessionIsRefusedAtOnce(t *testing.T) {
	h := newHarness(t)
	r := h.loginBody("alice")
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"`+r.RefreshToken+`"}`).want(204)
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(r.AccessToken)...).problem(401, "invalid_token")
}

func TestUserGoneEndsTheSession(t *testing.T) {
	h := newHarness(t)
	r := h.loginBody("alice")
	h.People.Change(func(u map[string]session.User) { delete(u, "alice") })
	h.refreshBody(r.RefreshToken).problem(400, "invalid_grant")
	h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(r.AccessToken)...).problem(401, "invalid_token")
}

func TestOwnSessions(t *testing.T) {
	h := newHarness(t)
	one := h.loginBody("alice")
	h.Clock.Advance(time.Second)
	two := h.loginBody("alice")
	bob := h.loginBody("bob")
	var list wire.Sessions
	h.call(http.DefaultClient, "GET", "/auth/sessions", "", bearer(two.AccessToken)...).json(&list)
	if len(list.Sessions) != 2 || list.Sessions[0].ID != two.Session.ID || !list.Sessions[0].Current || list.Sessions[1].Current {
		t.Fatalf("sessions %+v", list)
	}
	if s := list.Sessions[1]; s.Address == "" || s.UserAgent == "" || s.CreatedAt == "" || s.LastSeen == "" {
		t.Errorf("session %+v lacks what people recognise a device by", s)
	}
	del := func(id string) answer {
		return h.call(http.DefaultClient, "DELETE", "/auth/sessions/"+id, "", bearer(two.AccessToken)...)
	}
	del(bob.Session.ID).problem(404, "not_found")
	del("nonsense").problem(404, "not_found")
	del(one.Session.ID).want(204)
	del(one.Session.ID).problem(404, "not_found")
	h.refreshBody(one.RefreshToken).problem(400, "invalid_grant")
	h.refreshBody(bob.RefreshToken).tokens()
}

func TestBadInput(t *testing.T) {
	h := newHarness(t)
	login := func(body string, headers ...string) answer {
		return h.call(http.DefaultClient, "POST", "/auth/login", body, headers...)
	}
	login(`{"username":`).problem(400, "invalid_request")
	login(`[]`).problem(400, "invalid_request")
	login(`{"username":"alice"}`).problem(400, "invalid_request")
	login("").problem(400, "invalid_request")
	login(`{"username":"alice","password":"alice","delivery":"pigeon"}`).problem(400, "invalid_request")
	login(`username=alice&password=alice`, "Content-Type", "application/x-www-form-urlencoded").problem(415, "unsupported_media_type")
	login(`{"username":"alice","password":"alice"}`, "Content-Type", "application/json; charset=latin1").problem(415, "unsupported_media_type")
	login(`{"username":"`+strings.Repeat("x", 1<<17)+`"}`).problem(413, "content_too_large")
	h.refreshBody(strings.Repeat("x", 1<<15)).problem(400, "invalid_grant")
	h.refreshBody(strings.Repeat("x", 1<<17)).problem(413, "content_too_large")
	h.call(http.DefaultClient, "GET", "/auth/login", "").problem(405, "method_not_allowed")
	h.call(http.DefaultClient, "GET", "/auth/nothing/here", "").problem(404, "not_found")
	if got := h.call(http.DefaultClient, "DELETE", "/auth/refresh", "").Header.Get("Allow"); got != "POST" {
		t.Errorf("Allow %q", got)
	}
}

func TestErrorsSpeakTheCallersLanguage(t *testing.T) {
	h := newHarness(t)
	for accept, want := range map[string]string{
		"":                        "en",
		"de, fr":                  "en",
		"zh-CN,zh;q=0.9,en;q=0.8": "zh-CN",
		"zh":                      "zh-CN",
		"en-GB, zh":               "en",
		"\x01\x02;;;q=":           "en",
	} {
		var headers []string
		if accept != "" && accept[0] >= ' ' {
			headers = []string{"Accept-Language", accept}
		}
		a := h.refreshBody("nope", headers...)
		p := a.problem(400, "invalid_grant")
		if got := a.Header.Get("Content-Language"); got != want {
			t.Errorf("Accept-Language %q: answered in %q, want %q", accept, got, want)
		}
		if chinese := strings.ContainsRune(p.Title, '会'); chinese != (want == "zh-CN") {
			t.Errorf("Accept-Language %q: title %q", accept, p.Title)
		}
	}
}

func TestCORS(t *testing.T) {
	const page = "https://app.example.com"
	h := newHarness(t, func(c *app.Config) { c.CORSOrigins = []string{page} })
	pre := h.call(http.DefaultClient, "OPTIONS", "/auth/refresh", "", "Origin", page,
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-csrf-token,x-xsrf-token")
	if pre.Header.Get("Access-Control-Allow-Origin") != page || pre.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("preflight of a configured origin: %v", pre.Header)
	}
	foreign := h.call(http.DefaultClient, "OPTIONS", "/auth/refresh", "", "Origin", "https://evil.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if foreign.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("preflight of a foreign origin is allowed")
	}
	h.login(h.client, "alice")
	a := h.refresh(h.client, "Origin", page, "Sec-Fetch-Site", "same-site")
	a.tokens()
	if a.Header.Get("Access-Control-Allow-Origin") != page {
		t.Error("the answer can't be read by the page")
	}
}

func TestJWKS(t *testing.T) {
	h := newHarness(t)
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	a := h.call(http.DefaultClient, "GET", "/.well-known/jwks.json", "")
	a.json(&set)
	if len(set.Keys) == 0 || set.Keys[0]["kty"] != "OKP" || set.Keys[0]["d"] != nil {
		t.Errorf("key set %v", set)
	}
	if !strings.Contains(a.Header.Get("Cache-Control"), "max-age") {
		t.Error("the key set can't be cached")
	}
}

// No line of the log may hold a token, a password or anything one can be made
// from.
func TestLogsHoldNoSecrets(t *testing.T) {
	h := newHarness(t)
	r := h.login(h.client, "alice")
	cookie, csrf := h.cookie(h.client, "tacet_refresh"), h.cookie(h.client, "tacet_csrf")
	b := h.loginBody("bob")
	h.refresh(h.client)
	h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"hunter22-secret"}`)
	n := h.refreshBody(b.RefreshToken).tokens()
	h.refreshBody(n.RefreshToken)
	h.Clock.Advance(time.Minute)
	h.refreshBody(b.RefreshToken).problem(400, "invalid_grant")
	_ = h.App.DB.Close()
	h.refreshBody(n.RefreshToken)
	log := h.Logged.String()
	if !strings.Contains(log, "signed in") || !strings.Contains(log, wire.EventReuseDetected) {
		t.Fatalf("the log does not tell what happened:\n%s", log)
	}
	for name, secret := range map[string]string{"access token": r.AccessToken, "refresh token": cookie, "body token": b.RefreshToken,
		"CSRF token": csrf, "password": "hunter22-secret"} {
		if strings.Contains(log, secret) || strings.Contains(log, secret[len(secret)/2:]) {
			t.Errorf("the log holds the %s", name)
		}
	}
}
