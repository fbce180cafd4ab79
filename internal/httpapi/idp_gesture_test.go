package httpapi_test

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
)

// A foreign page can send a browser to a provider, where somebody may be signed in
// already, and so exchange the user of this browser without a click. Where a session
// lives, that takes a click on a page of ours.
func TestAForeignPageDoesNotReplaceASession(t *testing.T) {
	h := newIDPHarness(t)
	foreign := [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "cross-site", "Referer", h.URL + "/"}, // by way of another site
		{"Referer", "https://evil.example/"},
		{"Referer", h.URL + ".evil.example/"},
		{"Referer", "no address"},
	}
	for _, headers := range foreign {
		c := h.tab()
		// Where nobody is signed in, any page may lead here.
		h.call(c, "GET", start, "", headers...).want(http.StatusSeeOther)
		_, tokens := h.signIn(c)
		a := h.call(c, "GET", start+"?return_to=/orders", "", headers...).want(http.StatusForbidden)
		if strings.Contains(a.Header.Get("Location")+strings.Join(a.Header.Values("Set-Cookie"), ""), "tacet_oidc_") {
			t.Errorf("%v: the sign-in has begun", headers)
		}
		if next := h.refresh(c).tokens(); next.Session.ID != tokens.Session.ID {
			t.Errorf("%v: the session was replaced", headers)
		}

		// The page leads on, in this browser and in no other.
		link := html.UnescapeString(regexp.MustCompile(`href="([^"]*/start\?then=[^"]*)"`).FindStringSubmatch(string(a.body))[1])
		h.call(h.tab(), "GET", link, "", headers...).want(http.StatusForbidden)
		if to := h.arrive(c, link).want(http.StatusSeeOther).Header.Get("Location"); to != h.URL+"/orders" {
			t.Errorf("on to %q", to)
		}
		if next := h.refresh(c).tokens(); next.Session.ID == tokens.Session.ID {
			t.Errorf("%v: the user asked for a new session and has the old one", headers)
		}
	}
}

func TestASignInFromHereReplacesASession(t *testing.T) {
	const app1 = "https://app.example.com"
	h := newIDPHarness(t, func(c *app.Config) { c.CORSOrigins = []string{app1} })
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Referer", h.URL + "/page"}, {"Referer", app1 + "/"}, nil,
	} {
		c := h.tab()
		h.signIn(c)
		h.call(c, "GET", start, "", headers...).want(http.StatusSeeOther)
	}
}

// Cookies that are SameSite=Strict do not come with a visit from another site, so
// that nobody can tell whether a session lives.
func TestWithStrictCookiesEveryForeignPageIsAsked(t *testing.T) {
	h := newIDPHarness(t, func(c *app.Config) { c.SameSite = "strict" })
	for site, want := range map[string]int{"cross-site": 403, "same-site": 303, "same-origin": 303, "none": 303} {
		h.call(h.tab(), "GET", start, "", "Sec-Fetch-Site", site).want(want)
	}
}

// A session that is over keeps nobody from signing in.
func TestADeadSessionIsNotReplaced(t *testing.T) {
	h := newIDPHarness(t)
	c := h.tab()
	h.signIn(c)
	jar, _ := cookiejar.New(nil)
	u, _ := url.Parse(h.URL)
	jar.SetCookies(u, c.Jar.Cookies(u))
	h.call(c, "POST", "/auth/logout", "{}", "X-CSRF-Token", h.cookie(c, "tacet_csrf")).want(204)
	c.Jar = jar
	h.call(c, "GET", start, "", "Sec-Fetch-Site", "cross-site").want(http.StatusSeeOther)
}

func TestASignInAtAProviderReplacesTheSessionOfTheBrowser(t *testing.T) {
	for _, sameSite := range []string{"lax", "strict"} {
		h := newIDPHarness(t, func(c *app.Config) { c.SameSite = sameSite })
		c := h.tab()
		_, before := h.signIn(c)
		there := h.call(c, "GET", start, "", "Sec-Fetch-Site", "same-origin").want(http.StatusSeeOther).Header.Get("Location")
		back := h.visit(c, there).Header.Get("Location")
		if sameSite == "strict" { // what the browser has of Strict cookies does not come along from there
			jar, _ := cookiejar.New(nil)
			u, _ := url.Parse(h.URL)
			for _, k := range c.Jar.Cookies(u) {
				if strings.HasPrefix(k.Name, "tacet_oidc_") {
					jar.SetCookies(u, []*http.Cookie{k})
				}
			}
			c.Jar = jar
		}
		h.visit(c, back).want(http.StatusSeeOther)
		h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(before.AccessToken)...).problem(401, "invalid_token")
		if after := h.refresh(c).tokens(); after.Session.ID == before.Session.ID {
			t.Errorf("%s: the old session goes on", sameSite)
		}
	}
}
