package profiles_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

func forEach(t *testing.T, f func(*testing.T, style)) {
	for _, s := range styles {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			f(t, s)
		})
	}
}

// ended says whether the session of a refresh token is over.
func (h *harness) ended(refresh string) bool {
	h.Helper()
	tok, err := h.App.Sessions.Open(h.Context(), refresh)
	if err != nil {
		h.Fatal(err)
	}
	_, err = h.App.Sessions.Living(h.Context(), tok.Session)
	if err == nil {
		return false
	}
	if _, ok := err.(*session.Refusal); !ok {
		h.Fatal(err)
	}
	return true
}

func TestAClientOfEachDialectLivesThroughADay(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		if a := c.who(); !s.ok(a) || !strings.Contains(string(a.raw), "alice") {
			t.Fatalf("who: %d %s", a.StatusCode, a.raw)
		}
		for range 3 {
			h.Clock.Advance(accessTTL)
			if a := c.who(); !s.renews(a) {
				t.Fatalf("the client does not see that its token has expired: %d %s", a.StatusCode, a.raw)
			}
			if a := c.present(c.refresh); !c.renewed(a) {
				t.Fatalf("renewal: %d %s", a.StatusCode, a.raw)
			}
			if a := c.who(); !s.ok(a) {
				t.Fatalf("after the renewal: %d %s", a.StatusCode, a.raw)
			}
		}
		// The answer is lost, and the client comes back much later with what it has.
		before := c.refresh
		lost := c.present(before, "X-Lost", "1")
		if !s.ok(lost) {
			t.Fatal("renewal")
		}
		h.Clock.Advance(time.Hour)
		if a := c.present(before); !c.renewed(a) {
			t.Fatalf("after a lost answer: %d %s", a.StatusCode, a.raw)
		}
		if a := c.who(); !s.ok(a) {
			t.Fatalf("after a lost answer: %d %s", a.StatusCode, a.raw)
		}
		// Signing out with tokens that are dead.
		h.Clock.Advance(time.Hour)
		if a := c.signOut(); !s.ok(a) {
			t.Fatalf("sign-out: %d %s", a.StatusCode, a.raw)
		}
		if !h.ended(before) {
			t.Fatal("the session goes on after the sign-out")
		}
		if a := c.signOut(); !s.ok(a) {
			t.Fatalf("sign-out of a session that is over: %d %s", a.StatusCode, a.raw)
		}
		if s.cookieName != "" && h.Cookie(c.http, s.renew[1], s.cookieName) != "" {
			t.Fatal("the cookie outlives the sign-out")
		}
		c.access = "null"
		if a := c.present(c.refresh); !s.signsOut(a) {
			t.Fatalf("after the sign-out: %d %s", a.StatusCode, a.raw)
		}
		for _, secret := range []string{rotation.Prefix, "eyJ"} {
			if strings.Contains(h.Logged.String(), secret) {
				t.Fatalf("a token is in the log:\n%s", h.Logged)
			}
		}
	})
}

func TestFiveExpiredCallsAtOnce(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		for range 4 {
			h.Clock.Advance(accessTTL)
			answers := make([]answer, 5)
			var work sync.WaitGroup
			for i := range answers {
				work.Go(func() { answers[i] = c.present(c.refresh) })
			}
			work.Wait()
			for _, a := range answers {
				if !s.ok(a) {
					t.Fatalf("%d %s", a.StatusCode, a.raw)
				}
			}
			if !c.renewed(answers[2]) { // whichever was stored last
				t.Fatal("no tokens")
			}
		}
		if h.ended(c.refresh) {
			t.Fatal("the session was lost")
		}
	})
}

// A slow duplicate gets an access token, and no refresh token that could replace
// the newer one.
func TestASlowDuplicate(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		first := c.refresh
		c.renewed(c.present(c.refresh))
		second := c.refresh
		c.renewed(c.present(c.refresh))
		a := c.late(first)
		if !s.ok(a) {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		if s.cookieName != "" && len(a.Header.Values("Set-Cookie")) > 0 || strings.Contains(string(a.raw), rotation.Prefix) {
			t.Fatalf("a slow duplicate was given a refresh token: %s", a.raw)
		}
		if second == first || h.ended(c.refresh) {
			t.Fatal("the session was lost")
		}
	})
}

func TestWhoeverUsesACopyIsFoundOut(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		stolen := c.refresh
		c.renewed(c.present(c.refresh))
		c.renewed(c.present(c.refresh))
		h.Clock.Advance(time.Minute)
		a := c.elsewhere().present(stolen)
		if !s.signsOut(a) || len(a.Header.Values("Set-Cookie")) > 0 {
			t.Fatalf("the thief: %d %s", a.StatusCode, a.raw)
		}
		if a := c.present(c.refresh); !s.signsOut(a) || len(a.Header.Values("Set-Cookie")) > 0 {
			t.Fatalf("the victim: %d %s", a.StatusCode, a.raw)
		}
		if a := c.who(); !s.renews(a) {
			t.Fatalf("the access token outlives the session: %d %s", a.StatusCode, a.raw)
		}
	})
}

// The Authorization header of a renewal is not looked at, whatever is in it.
func TestAuthorizationIsIgnoredOnRenewal(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		for _, header := range []string{"Bearer null", "Bearer undefined", "Bearer ", "Bearer garbage", "no-auth", "Basic YTpi"} {
			if a := c.present(c.refresh, "Authorization", header); !c.renewed(a) {
				t.Fatalf("%q: %d %s", header, a.StatusCode, a.raw)
			}
		}
	})
}

// An outage is nobody's fault: nothing is cleared, and afterwards the session
// goes on with the token at hand.
func TestAnOutageSignsNobodyOut(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		c := h.open(s)
		c.signIn("alice")
		h.People.Fail(errOutage)
		a := c.present(c.refresh)
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || len(a.Header.Values("Set-Cookie")) > 0 || s.ok(a) {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		h.People.Fail(nil)
		if a := c.present(c.refresh); !c.renewed(a) {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
	})
}

// No client asks more than a few times, whatever becomes of its session.
func TestNoClientLoops(t *testing.T) {
	harms := []struct {
		name string
		do   func(*harness, *tab)
	}{
		{"ended", func(_ *harness, c *tab) { c.signOut() }},
		{"garbage", func(_ *harness, c *tab) { c.refresh = "garbage" }},
		{"none", func(_ *harness, c *tab) { c.refresh = "" }},
		{"undefined", func(_ *harness, c *tab) { c.refresh = "undefined" }},
		{"other user", func(_ *harness, c *tab) { c.userID = "f0000000-0000-0000-0000-000000000000" }},
		{"unavailable", func(h *harness, _ *tab) { h.People.Fail(errOutage) }},
		{"expired", func(h *harness, _ *tab) { h.People.Fail(nil); h.Clock.Advance(15 * 24 * time.Hour) }},
	}
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		for _, harm := range harms {
			if harm.name == "other user" && s.name != "abp" {
				continue
			}
			h.People.Fail(nil)
			c := h.open(s)
			c.signIn("alice")
			harm.do(h, c)
			h.Clock.Advance(accessTTL)
			out, requests := false, 0
			for round := 0; round < 3 && !out; round++ { // three calls of a page
				requests++
				if a := c.who(); !s.renews(a) {
					break // shown as an error
				}
				requests++
				a := c.present(c.refresh)
				if s.renews(a) && !s.signsOut(a) {
					t.Fatalf("%s: the answer to a renewal makes the client renew: %d %s", harm.name, a.StatusCode, a.raw)
				}
				out = !c.renewed(a)
			}
			if !out && harm.name != "unavailable" {
				t.Fatalf("%s: after %d requests the client has not signed out", harm.name, requests)
			}
		}
	})
}
