package httpapi_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/idp/idptest"
	"github.com/tacet-dev/tacet/wire"
)

// idpHarness is a server with the embedded directory whose users may come by the
// provider "company".
type idpHarness struct {
	*oauthHarness
	provider *idptest.Provider
}

func newIDPHarness(t *testing.T, change ...func(*app.Config)) *idpHarness {
	t.Helper()
	p := idptest.New(t, map[string]any{"sub": "248289761001", "sid": "sid-1", "name": "Jane Doe", "preferred_username": "j.doe",
		"email": "jane@example.com", "email_verified": true, "groups": []string{"staff", "chess"}})
	configure := func(c *app.Config) {
		c.Directory, c.Authenticator = nil, nil
		c.Providers = []idp.Settings{{ID: "company", Name: "Company", Issuer: p.URL, ClientID: idptest.ClientID, ClientSecret: idptest.ClientSecret,
			RolesClaim: "groups", Roles: []string{"staff=viewer", "boss=admin"}}}
	}
	h := &idpHarness{newOAuthHarness(t, append([]func(*app.Config){configure}, change...)...), p}
	p.Clock = h.Clock.Now
	for _, r := range []string{"viewer", "admin", "local"} {
		if err := h.App.Directory.AddRole(t.Context(), r, r+":all"); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// tab is a browser that follows no redirection by itself.
func (h *idpHarness) tab() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

const start = "/auth/oidc/company/start"

// visit is one step of a browser, of any site.
func (h *idpHarness) visit(c *http.Client, address string) answer {
	h.Helper()
	if at, ok := strings.CutPrefix(address, h.URL); ok {
		return h.call(c, "GET", at, "")
	}
	if strings.HasPrefix(address, "/") {
		return h.call(c, "GET", address, "")
	}
	req, err := http.NewRequestWithContext(h.Context(), "GET", address, nil)
	if err != nil {
		h.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	resp.Body.Close()
	return answer{Response: resp, t: h.T}
}

// arrive goes from an address to the provider and to the callback, whose answer
// it returns.
func (h *idpHarness) arrive(c *http.Client, from string) answer {
	h.Helper()
	there := h.visit(c, from).want(http.StatusSeeOther).Header.Get("Location")
	back := h.visit(c, there).want(http.StatusFound).Header.Get("Location")
	return h.visit(c, back)
}

// signIn signs in and returns the user's name and roles, from GET /auth/me.
func (h *idpHarness) signIn(c *http.Client) (wire.Me, wire.TokenResponse) {
	h.Helper()
	h.arrive(c, start).want(http.StatusSeeOther)
	got := h.refresh(c).tokens()
	var me wire.Me
	h.call(c, "GET", "/auth/me", "", bearer(got.AccessToken)...).json(&me)
	return me, got
}

func (h *idpHarness) person(change func(map[string]any)) {
	h.provider.Change(func(s *idptest.Settings) {
		next := map[string]any{}
		for k, v := range s.Person {
			next[k] = v
		}
		change(next)
		s.Person = next
	})
}

func TestSignInByAProvider(t *testing.T) {
	h := newIDPHarness(t)
	c := h.tab()
	a := h.arrive(c, start+"?return_to=%2Forders%3Fpage%3D2%23top").want(http.StatusSeeOther)
	if to := a.Header.Get("Location"); to != h.URL+"/orders?page=2#top" {
		t.Errorf("on to %q", to)
	}
	tokens := h.refresh(c).tokens()
	var me wire.Me
	h.call(c, "GET", "/auth/me", "", bearer(tokens.AccessToken)...).json(&me)
	want := wire.User{ID: me.User.ID, Username: "j.doe@company", DisplayName: "Jane Doe", Email: "jane@example.com"}
	if me.User != want || !slices.Equal(me.Roles, []string{"viewer"}) || !slices.Equal(me.Permissions, []string{"viewer:all"}) {
		t.Errorf("me %+v", me)
	}
	for _, cookie := range c.Jar.Cookies(mustURL(h.URL)) {
		if strings.Contains(cookie.Name, "oidc") {
			t.Errorf("the cookie %s is left", cookie.Name)
		}
	}
	// Silent renewal is ours: the provider is not asked again.
	calls := h.provider.Called(idptest.PathToken)
	for range 3 {
		h.Clock.Advance(10 * time.Minute)
		h.refresh(c).tokens()
	}
	if h.provider.Called(idptest.PathToken) != calls {
		t.Error("a renewal went to the provider")
	}
	for _, secret := range []string{idptest.ClientSecret, "access-", "code-"} {
		if strings.Contains(h.Logged.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func TestTheNextSignInIsTheSameUserWithTheClaimsOfNow(t *testing.T) {
	h := newIDPHarness(t)
	first, tokens := h.signIn(h.tab())
	if err := h.App.Directory.GrantRole(t.Context(), first.User.ID, "local"); err != nil {
		t.Fatal(err)
	}
	h.person(func(p map[string]any) {
		p["groups"], p["name"], p["preferred_username"] = "boss", "Jane Roe", "boss"
		p["email"], p["email_verified"] = "other@example.com", false
	})
	second, _ := h.signIn(h.tab())
	want := wire.User{ID: first.User.ID, Username: "j.doe@company", DisplayName: "Jane Roe"}
	if second.User != want || !slices.Equal(second.Roles, []string{"admin", "local"}) || second.GrantsVersion <= first.GrantsVersion {
		t.Errorf("second sign-in: %+v", second)
	}
	p := h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(tokens.AccessToken)...).problem(http.StatusUnauthorized, wire.CodeInvalidToken)
	if p.Code == "" {
		t.Error("the token with the roles of before is still good")
	}
	third, _ := h.signIn(h.tab())
	if third.GrantsVersion != second.GrantsVersion {
		t.Error("a sign-in that changes nothing moved the grants")
	}
	// Nobody signs in with a password as this user, not even an empty one.
	for _, password := range []string{"", "x", "j.doe"} {
		if _, err := h.App.Directory.Authenticate(t.Context(), "j.doe@company", password); err != directory.ErrInvalidCredentials {
			t.Errorf("password %q: %v", password, err)
		}
	}
}

// logout posts a logout token as a provider does.
func (h *idpHarness) logout(token string) answer {
	h.Helper()
	return h.call(http.DefaultClient, "POST", "/auth/oidc/company/backchannel-logout", values("logout_token", token, "x", "y").Encode(),
		"Content-Type", "application/x-www-form-urlencoded")
}

func (h *idpHarness) alive(tokens wire.TokenResponse) bool {
	h.Helper()
	a := h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(tokens.AccessToken)...)
	if a.StatusCode != http.StatusOK {
		a.problem(http.StatusUnauthorized, wire.CodeInvalidToken)
	}
	return a.StatusCode == http.StatusOK
}

func TestBackChannelLogoutEndsWhatItNames(t *testing.T) {
	h := newIDPHarness(t)
	_, one := h.signIn(h.tab())
	_, sameSID := h.signIn(h.tab())
	h.person(func(p map[string]any) { p["sid"] = "sid-2" })
	_, two := h.signIn(h.tab())
	h.person(func(p map[string]any) { delete(p, "sid") })
	_, noSID := h.signIn(h.tab())
	h.person(func(p map[string]any) { p["sub"], p["sid"] = "somebody-else", "sid-1x" })
	_, other := h.signIn(h.tab())

	bySID := h.provider.LogoutToken(func(c map[string]any) { c["sid"] = "sid-1" })
	a := h.logout(bySID).want(http.StatusOK)
	if a.Header.Get("Cache-Control") != "no-store" || len(a.body) > 0 {
		t.Errorf("answer %q %v", a.body, a.Header)
	}
	// At once: the next request with a token that is still valid is refused.
	if h.alive(one) || h.alive(sameSID) {
		t.Error("a session of the provider's session lives on")
	}
	if !h.alive(two) || !h.alive(noSID) || !h.alive(other) {
		t.Error("another session was ended")
	}
	h.logout(bySID).oauthProblem(t, 400, "invalid_request")
	// Nobody else's: sub and sid must belong together.
	h.logout(h.provider.LogoutToken(func(c map[string]any) { c["sub"], c["sid"] = "248289761001", "sid-1x" })).want(http.StatusOK)
	if !h.alive(other) {
		t.Error("sid and sub of different people ended a session")
	}
	h.logout(h.provider.LogoutToken(func(c map[string]any) { c["sub"] = "248289761001" })).want(http.StatusOK)
	if h.alive(two) || h.alive(noSID) || !h.alive(other) {
		t.Error("not just all sessions of the subject were ended")
	}
	h.logout(h.provider.LogoutToken(func(c map[string]any) { c["sub"] = "nobody" })).want(http.StatusOK)
	var reasons []string
	ev, err := h.App.DB.Events().Since(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ev {
		if e.Kind == wire.EventSessionEnded {
			reasons = append(reasons, string(e.Data))
		}
	}
	if len(reasons) != 4 || strings.Count(strings.Join(reasons, " "), wire.ReasonProvider) != 4 {
		t.Errorf("events %q", reasons)
	}
}

// oauthProblem is oauthError without the header of RFC 6749 §5.1.
func (a answer) oauthProblem(t *testing.T, status int, code string) {
	t.Helper()
	a.want(status)
	if !strings.Contains(string(a.body), `"error":"`+code+`"`) || !strings.Contains(string(a.body), "error_description") ||
		a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answer %s with %v", a.body, a.Header)
	}
}

func TestWhatTheDocumentPromisesOfProviders(t *testing.T) {
	h := newIDPHarness(t)
	var list wire.Providers
	h.call(http.DefaultClient, "GET", "/auth/oidc", "").json(&list)
	if len(list.Providers) != 1 || list.Providers[0] != (wire.Provider{ID: "company", Name: "Company", Start: start}) {
		t.Errorf("providers %+v", list)
	}
	c := h.tab()
	h.visit(c, "/auth/oidc/nobody/start").want(404)
	h.visit(c, "/auth/oidc/nobody/callback").want(404)
	h.visit(c, start+"?return_to=https://evil.example/").want(400)
	h.visit(c, start+"?then=forged").want(400)
	h.visit(c, "/auth/oidc/company/callback?code=x&state=y").want(400)
	h.call(c, "POST", "/auth/oidc/nobody/backchannel-logout", "logout_token=x", "Content-Type", "application/x-www-form-urlencoded").problem(404, wire.CodeNotFound)
	h.logout("").oauthProblem(t, 400, "invalid_request")
	h.logout("not a token").oauthProblem(t, 400, "invalid_request")
	h.logout(strings.Repeat("x", 65<<10)).want(413)
	h.call(c, "POST", "/auth/oidc/company/backchannel-logout", `{}`).want(400)

	h.provider.Change(func(s *idptest.Settings) { s.Error = "access_denied" })
	a := h.arrive(c, start+"?return_to=/x").want(403)
	if !strings.Contains(string(a.body), `href="`+h.URL+`/x"`) {
		t.Errorf("no way back: %s", a.body)
	}
	h.provider.Change(func(s *idptest.Settings) { s.Error = "" })
	token := h.provider.LogoutToken(func(c map[string]any) { c["sub"] = "x" })
	back := h.visit(c, h.visit(c, start).Header.Get("Location")).Header.Get("Location")
	if err := h.App.Close(); err != nil {
		t.Fatal(err)
	}
	h.visit(c, back).want(503)
	h.logout(token).oauthProblem(t, 503, "temporarily_unavailable")
}

// The provider may be down when the server starts, and come and go later.
func TestAProviderThatIsDown(t *testing.T) {
	h := newIDPHarness(t)
	_, tokens := h.signIn(h.tab())
	c := h.tab()
	back := h.visit(c, h.visit(c, start).Header.Get("Location")).Header.Get("Location")
	h.provider.Change(func(s *idptest.Settings) { s.Down = true })
	a := h.visit(c, back).want(503)
	if a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "Company") {
		t.Errorf("%v %s", a.Header, a.body)
	}
	if !h.alive(tokens) {
		t.Error("the session of somebody who is signed in does not go on")
	}
	h.provider.Change(func(s *idptest.Settings) { s.Down = false })
	h.signIn(c)
}

func TestAProviderThatIsDownAtTheStart(t *testing.T) {
	h := newIDPHarness(t)
	h.provider.Change(func(s *idptest.Settings) { s.Down = true })
	for range 5 {
		h.visit(h.tab(), start).want(503)
	}
	if n := h.provider.Called(idptest.PathMetadata); n != 1 {
		t.Errorf("a provider that is down was called %d times within a moment", n)
	}
	h.logout(h.provider.LogoutToken(func(c map[string]any) { c["sub"] = "x" })).oauthProblem(t, 503, "temporarily_unavailable")
	h.provider.Change(func(s *idptest.Settings) { s.Down = false })
	h.Clock.Advance(3 * time.Second)
	h.signIn(h.tab())
}
