package profiles_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A host of the same domain can set a cookie of any name without the prefix
// __Host-. What is not authentic is as if it were not there, and of several
// sessions' tokens the one counts whose access token the page has.
func TestTossedCookies(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		if s.cookieName == "" {
			t.Skip("the token does not travel in a cookie")
		}
		h := newHarness(t)
		mallory := h.open(s)
		mallory.signIn("bob")
		for name, value := range map[string]string{"garbage": "garbage", "empty": "", "another user's": mallory.refresh} {
			for _, ours := range []bool{true, false} {
				c := h.open(s)
				c.signIn("alice")
				line := s.cookieName + "=" + value + "; " + s.cookieName + "=" + c.refresh
				if !ours {
					line = s.cookieName + "=" + c.refresh + "; " + s.cookieName + "=" + value
				}
				send := func(call [3]string) answer {
					return h.call(&http.Client{}, call[0], call[1], call[2], "Cookie", line, "Authorization", "Bearer "+c.access)
				}
				a := send(s.renew)
				if !s.ok(a) {
					t.Fatalf("%s: %d %s", name, a.StatusCode, a.raw)
				}
				access := a.text(s.renewedAccess)
				if s.renewedAccess == "" {
					access = string(a.raw)
				}
				if who := h.whoIs(access); who != "alice" {
					t.Fatalf("%s: the page of alice got tokens of %q", name, who)
				}
				send(s.logout)
				if who := h.whoIs(access); who != "" {
					t.Fatalf("%s: alice did not get out", name)
				}
			}
		}
		if !mallory.renewed(mallory.present(mallory.refresh)) {
			t.Error("another session was touched")
		}
	})
}

// whoIs asks the native surface whose an access token is; empty: nobody's.
func (h *harness) whoIs(access string) string {
	h.Helper()
	return h.call(http.DefaultClient, "GET", "/auth/me", "", "Authorization", "Bearer "+access).text("user.id")
}

// Who signs in where a session lives leaves it, also where the token is only kept in
// a cookie beside the body; a page of another host can't make a browser do that.
func TestASignInReplacesTheSessionOfTheBrowser(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		old := c.refresh
		body := fmt.Sprintf(s.login[2], "bob", "bob")
		var cookies []string
		u, _ := url.Parse(h.URL)
		for _, k := range c.http.Jar.Cookies(u) {
			cookies = append(cookies, k.Name+"="+k.Value)
		}
		if len(cookies) == 0 {
			t.Fatal("the browser has no cookies")
		}
		h.call(&http.Client{}, s.login[0], s.login[1], body, "Cookie", strings.Join(cookies, "; "), "Origin", "https://evil.example", "Sec-Fetch-Site", "same-site")
		if h.ended(old) {
			t.Fatal("a foreign page has ended the session")
		}
		c.signIn("bob")
		if !h.ended(old) {
			t.Error("the old session lives on")
		}
		if !c.renewed(c.present(c.refresh)) {
			t.Error("the new session does not")
		}
	})
}
