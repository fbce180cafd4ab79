package httpapi_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/wire"
)

var linkOnPage = regexp.MustCompile(`<a class="button" href="([^"]+)">([^<]*)</a>`)

// link is the address of a link on a page, by its text.
func (a answer) link(text string) string {
	a.t.Helper()
	for _, m := range linkOnPage.FindAllStringSubmatch(string(a.body), -1) {
		if html.UnescapeString(m[2]) == text {
			return html.UnescapeString(m[1])
		}
	}
	a.t.Fatalf("no link %q on %s", text, a.body)
	return ""
}

// An OAuth client signs a user in by way of the provider, on the page that there is.
func TestAnOAuthClientSignsInByAProvider(t *testing.T) {
	h := newIDPHarness(t)
	c := h.tab()
	page := h.call(c, "GET", wire.PathAuthorize+"?"+request().Encode(), "").want(200)
	done := h.arrive(c, page.link("Sign in with Company")).want(http.StatusSeeOther)
	to := mustURL(done.Header.Get("Location"))
	if to.Host != "app.example" || to.Query().Get("state") != request().Get("state") || to.Query().Get("iss") != h.URL {
		t.Fatalf("on to %s", to)
	}
	g := h.form(wire.PathToken, values("grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", callback,
		"client_id", "spa", "code_verifier", verifier)).granted()
	if !h.alive(wire.TokenResponse{AccessToken: g.AccessToken}) {
		t.Fatal("the token is not good")
	}
	// Its session is one that the provider can end.
	h.logout(h.provider.LogoutToken(func(c map[string]any) { c["sid"] = "sid-1" })).want(200)
	if h.alive(wire.TokenResponse{AccessToken: g.AccessToken}) {
		t.Error("the session of the OAuth client lives on")
	}
	h.renew(g.RefreshToken, "client_id", "spa").oauthError(400, "invalid_grant")
}

// A device is connected by a user of the provider, who has confirmed the code in
// this very browser.
func TestADeviceSignsInByAProvider(t *testing.T) {
	h := newIDPHarness(t)
	device, c := h.startDevice(), h.tab()
	entered := h.call(c, "GET", wire.PathDevice, "").want(200)
	confirm := h.call(c, "POST", wire.PathDevice, values("csrf", csrfOf(entered), "user_code", device.UserCode).Encode(),
		"Content-Type", "application/x-www-form-urlencoded").want(200)
	way := confirm.link("Sign in with Company and allow")

	// Sent to somebody else, the link leads nowhere.
	victim := h.tab()
	h.visit(victim, way).want(403)
	h.call(victim, "GET", wire.PathDevice, "").want(200) // has a cookie of its own now
	h.visit(victim, way).want(403)

	h.arrive(c, way).want(200)
	h.Clock.Advance(6e9)
	g := h.form(wire.PathToken, values("grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", device.DeviceCode, "client_id", "tv")).granted()
	h.logout(h.provider.LogoutToken(func(c map[string]any) { c["sub"] = "248289761001" })).want(200)
	if h.alive(wire.TokenResponse{AccessToken: g.AccessToken}) {
		t.Error("the session of the device lives on")
	}
	// The link is good once: the device waits no more.
	h.arrive(c, way).want(400)
	h.Clock.Advance(hour)
	h.visit(c, way).want(400)
}

func csrfOf(page answer) string {
	page.t.Helper()
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindSubmatch(page.body)
	if m == nil {
		page.t.Fatalf("no form on %s", page.body)
	}
	return string(m[1])
}

// Where the request of the application is too long to be kept in a cookie, the
// user is told, and signs in with a password.
func TestARequestTooLongForTheProvider(t *testing.T) {
	h := newIDPHarness(t)
	c := h.tab()
	long := request()
	long.Set("state", strings.Repeat("s", 4000))
	page := h.call(c, "GET", wire.PathAuthorize+"?"+long.Encode(), "").want(200)
	h.visit(c, page.link("Sign in with Company")).want(400)
}

// Several tabs are signed in at once, in any order.
func TestTabsAtTheProviderAtOnce(t *testing.T) {
	h := newIDPHarness(t)
	c := h.tab()
	var backs []string
	for range 3 {
		there := h.visit(c, start).want(http.StatusSeeOther).Header.Get("Location")
		backs = append(backs, h.visit(c, there).Header.Get("Location"))
	}
	for _, i := range []int{1, 0, 2} {
		h.visit(c, backs[i]).want(http.StatusSeeOther)
	}
	h.refresh(c).tokens()
	h.visit(c, backs[0]).want(400) // once
	// Who never comes back does not fill the browser up.
	for range 20 {
		h.visit(c, start).want(http.StatusSeeOther)
	}
	n := 0
	for _, cookie := range c.Jar.Cookies(&url.URL{Scheme: "http", Host: mustURL(h.URL).Host, Path: "/"}) {
		if strings.HasPrefix(cookie.Name, "tacet_oidc_") {
			n++
		}
	}
	if n > 4 {
		t.Errorf("%d sign-ins under way are kept", n)
	}
}
