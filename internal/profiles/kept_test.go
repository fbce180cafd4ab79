package profiles_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// overlapped lets a slow duplicate of an older renewal be answered, and stores
// what the answer has in place of the newer token, as these clients do.
func overlapped(c *tab) (name string) {
	c.Helper()
	first := c.refresh
	c.renewed(c.present(c.refresh))
	c.renewed(c.present(c.refresh))
	a := c.late(first)
	name = a.text(c.renewedRefresh)
	if !c.ok(a) || !strings.HasPrefix(name, "kept-in-cookie.") {
		c.Fatalf("%s: a slow duplicate: %d %s", c.name, a.StatusCode, a.raw)
	}
	c.refresh = name
	return name
}

// A client that overwrites its token with the answer to a slow duplicate goes on
// with the newest one, which its cookie jar has.
func TestASlowDuplicateCostsNoSession(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName != "" {
			t.Skip("the cookie of this dialect is not touched")
		}
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		for range 3 {
			name := overlapped(c)
			h.Clock.Advance(time.Hour)
			if a := c.present(name); !c.renewed(a) || c.refresh == name {
				t.Fatalf("%d %s", a.StatusCode, a.raw)
			}
		}
		if strings.Contains(h.Logged.String(), "reuse.detected") {
			t.Fatal("an honest client was taken for a thief")
		}
	})
}

// The name alone gives nothing: not without the cookie, not with that of another
// session, not to a foreign page, and not for another user.
func TestTheNameOfAKeptTokenIsNoToken(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName != "" {
			t.Skip("no token is kept beside the cookie")
		}
		h := newHarness(t)
		c, other := h.open(s), h.open(s)
		c.signIn("alice")
		other.signIn("bob")
		name := overlapped(c)
		refused := func(what string, a answer) {
			t.Helper()
			if s.ok(a) || len(a.Header.Values("Set-Cookie")) > 0 {
				t.Errorf("%s: %d", what, a.StatusCode)
			}
		}
		other.userID = c.userID
		refused("with the cookie of another session", other.present(name))
		jar := c.http
		c.http = &http.Client{Transport: http.DefaultTransport}
		refused("without the cookie", c.present(name))
		c.http = jar
		refused("from a foreign page", c.present(name, "Origin", "https://evil.example"))
		refused("cross-site", c.present(name, "Sec-Fetch-Site", "cross-site"))
		refused("as a form", c.present(name, "Content-Type", "application/x-www-form-urlencoded"))
		for _, bad := range []string{"kept-in-cookie.", "kept-in-cookie.x", "kept-in-cookie." + strings.Repeat("0", 36)} {
			refused(bad, c.present(bad))
		}
		if s.name == "abp" {
			own := c.userID
			c.userID = "f0000000-0000-0000-0000-000000000000"
			refused("for another user", c.present(name))
			c.userID = own
		}
		if a := c.present(name); !c.renewed(a) {
			t.Fatalf("afterwards: %d %s", a.StatusCode, a.raw)
		}
	})
}

// Only an authentic token counts as one, cookie or not: what is stale is found
// out, what is garbage is refused, and so is nothing.
func TestTheKeptTokenStandsInForNothingElse(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName != "" {
			t.Skip("no token is kept beside the cookie")
		}
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		stolen := c.refresh
		c.renewed(c.present(c.refresh))
		c.renewed(c.present(c.refresh))
		for _, bad := range []string{"", "undefined", "null", "garbage"} {
			if a := c.present(bad); !s.signsOut(a) {
				t.Fatalf("%q: %d %s", bad, a.StatusCode, a.raw)
			}
		}
		h.Clock.Advance(time.Minute)
		if a := c.elsewhere().present(stolen); !s.signsOut(a) || !h.ended(c.refresh) {
			t.Fatalf("a stale token: %d %s", a.StatusCode, a.raw)
		}
	})
}

// Tabs that each hold the token that they were given last, and are used by turns, are
// one browser: it sends its newest token in the cookie beside it.
func TestTabsWithTokensOfTheirOwn(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName != "" {
			t.Skip("all tabs have one cookie")
		}
		h := newHarness(t)
		a := h.open(s)
		a.signIn("alice")
		b := *a
		for i, turn := range []*tab{a, a, &b, a, &b, &b, &b, a} {
			h.Clock.Advance(time.Hour)
			if r := turn.present(turn.refresh); !turn.renewed(r) || r.text(s.renewedRefresh) == "" {
				t.Fatalf("turn %d: %d %s", i, r.StatusCode, r.raw)
			}
		}
		if strings.Contains(h.Logged.String(), "reuse.detected") {
			t.Fatal("two tabs were taken for two holders")
		}
	})
}

// The cookie stands beside the token of its own browser only: who has copied a stale
// token is found out, also if a foreign page makes the browser send the cookie with it.
func TestACopyWithoutTheCookieIsFoundOut(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName != "" {
			t.Skip("the cookie is the token")
		}
		for name, send := range map[string]func(c *tab, stolen string) answer{
			"no cookie": func(c *tab, stolen string) answer { return c.elsewhere().present(stolen) },
			"of another session": func(c *tab, stolen string) answer {
				bob := c.open(s)
				bob.signIn("bob")
				bob.userID = c.userID
				return bob.present(stolen)
			},
			"from a foreign page":  func(c *tab, stolen string) answer { return c.present(stolen, "Origin", "https://evil.example") },
			"as old as the token":  func(c *tab, stolen string) answer { return c.late(stolen) },
			"not an authentic one": func(c *tab, stolen string) answer { return c.elsewhere().present(stolen, "Cookie", "tacet_kept=x") },
		} {
			h := newHarness(t)
			c := h.open(s)
			c.signIn("alice")
			stolen := c.refresh
			for range 2 {
				h.Clock.Advance(time.Minute)
				c.renewed(c.present(c.refresh))
			}
			h.Clock.Advance(time.Minute)
			if a := send(c, stolen); !s.signsOut(a) || !h.ended(c.refresh) {
				t.Errorf("%s: %d %s", name, a.StatusCode, a.raw)
			}
		}
	})
}

// Clients that do not keep cookies get no name, and may keep what they have.
func TestWithoutCookiesNothingIsPutInPlaceOfTheToken(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName != "" {
			t.Skip("needs its cookie")
		}
		h := newHarness(t)
		c := h.open(s)
		c.http = &http.Client{Transport: http.DefaultTransport}
		c.signIn("alice")
		first := c.refresh
		c.renewed(c.present(c.refresh))
		c.renewed(c.present(c.refresh))
		a := c.present(first)
		if !s.ok(a) || a.at(s.renewedRefresh) != nil {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		if !c.renewed(c.present(c.refresh)) {
			t.Fatal("the session was lost")
		}
	})
}

// The cookie has the path /, as proxies may strip a prefix, and dies with the sign-out.
func TestTheKeptCookie(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName != "" {
			t.Skip("has its own cookie")
		}
		h := newHarness(t)
		c := h.open(s)
		path, _, _ := strings.Cut(s.renew[1], "?")
		for _, k := range c.signIn("alice").Cookies() {
			if k.Name != "tacet_kept" || k.Path != "/" || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode {
				t.Errorf("%v", k)
			}
		}
		if h.Cookie(c.http, path, "tacet_kept") == "" {
			t.Fatal("no cookie")
		}
		c.signOut()
		u, _ := url.Parse(h.URL + path)
		if left := c.http.Jar.Cookies(u); len(left) > 0 {
			t.Fatal(fmt.Sprint(len(left), " cookies are left"))
		}
	})
}
