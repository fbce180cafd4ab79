package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// jar is what a browser sends: cookies of one name may come more than once, as
// another host of the domain can set one.
type jar struct{ refresh, csrf string }

func (h *harness) jarOf(c *http.Client) jar {
	return jar{h.cookie(c, "tacet_refresh"), h.cookie(c, "tacet_csrf")}
}

// post sends a browser's call with a line of cookies.
func (h *harness) post(path, body, cookies, csrf string) answer {
	h.Helper()
	return h.call(http.DefaultClient, "POST", "/auth"+path, body, "Cookie", cookies, "X-CSRF-Token", csrf)
}

// Laravel, Angular and Spring call a cookie XSRF-TOKEN, and axios sends its value
// back in a header of that name, beside what is ours.
func TestAnotherApplicationsCSRFCookieIsHarmless(t *testing.T) {
	const laravel = "eyJpdiI6Im1ZMFhXb3c9PSIsInZhbHVlIjoiIn0%3D"
	h := newHarness(t)
	h.login(h.client, "alice")
	for _, path := range []string{"/refresh", "/confirm", "/logout"} {
		own := h.jarOf(h.client)
		a := h.call(h.client, "POST", "/auth"+path, "{}", "Cookie", "XSRF-TOKEN="+laravel, "X-XSRF-TOKEN", laravel, "X-CSRF-Token", own.csrf)
		if a.StatusCode >= 300 {
			t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
		}
		for _, c := range a.Cookies() {
			if c.Name == "XSRF-TOKEN" {
				t.Errorf("%s sets the other application's cookie", path)
			}
		}
	}
	// axios configured for our cookie: the name of the header is its own.
	h.login(h.client, "alice")
	h.call(h.client, "POST", "/auth/refresh", "{}", "X-XSRF-TOKEN", h.cookie(h.client, "tacet_csrf")).tokens()
	h.call(h.client, "POST", "/auth/refresh", "{}", "X-CSRF-Token", "of another application", "X-XSRF-TOKEN", h.cookie(h.client, "tacet_csrf")).tokens()
	h.call(h.client, "POST", "/auth/refresh", "{}", "X-XSRF-TOKEN", laravel).problem(403, "csrf")
}

// A host of the same domain sets a refresh cookie of its own choice: whatever it
// is, and wherever in the line it stands, the page's session goes on, and no other.
func TestTossedRefreshCookies(t *testing.T) {
	h := newHarness(t)
	mallory := apptest.NewBrowser()
	h.login(mallory, "bob")
	ended := h.loginBody("bob")
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"`+ended.RefreshToken+`"}`).want(204)
	tossed := map[string]string{
		"another user's":    h.jarOf(mallory).refresh,
		"of a dead session": ended.RefreshToken,
		"garbage":           "garbage",
		"forged":            ended.RefreshToken[:len(ended.RefreshToken)-4] + "AAAA",
		"empty":             "",
	}
	for name, value := range tossed {
		foreign := "tacet_refresh=" + value
		for _, line := range []string{foreign + "; OWN", "OWN; " + foreign, foreign + "; OWN; " + foreign} {
			h.login(h.client, "alice")
			own := h.jarOf(h.client)
			cookies := strings.Replace(line, "OWN", "tacet_refresh="+own.refresh, 1)
			a := h.post("/refresh", "{}", cookies, own.csrf)
			if a.StatusCode != 200 {
				t.Fatalf("%s, %s: %d %s", name, line, a.StatusCode, a.body)
			}
			me := read[wire.Me](h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(a.tokens().AccessToken)...).want(200))
			if me.User.ID != "alice" {
				t.Fatalf("%s: the page of alice got tokens of %s", name, me.User.ID)
			}
			next := a.Cookies()[0].Value
			cookies = strings.Replace(line, "OWN", "tacet_refresh="+next, 1)
			h.post("/confirm", "{}", cookies, own.csrf).want(204)
			h.post("/logout", "{}", cookies, own.csrf).want(204)
			h.refreshBody(next).problem(400, "invalid_grant")
		}
	}
	h.refresh(mallory).tokens() // of which nothing was ended
}

// With a cookie that is not the page's alone, nothing changes either.
func TestAForeignCookieAloneChangesNothing(t *testing.T) {
	h := newHarness(t)
	h.login(h.client, "alice")
	mallory := apptest.NewBrowser()
	h.login(mallory, "bob")
	own, foreign := h.jarOf(h.client), h.jarOf(mallory)
	for _, path := range []string{"/refresh", "/confirm", "/logout"} {
		h.post(path, "{}", "tacet_refresh="+foreign.refresh, own.csrf).noCookies().problem(403, "csrf")
		h.post(path, "{}", "tacet_refresh="+foreign.refresh+"; tacet_refresh="+own.refresh, "").noCookies().problem(403, "csrf")
	}
	h.post("/refresh", "{}", "tacet_refresh=garbage", own.csrf).noCookies().problem(400, "invalid_grant")
	h.refresh(h.client).tokens()
	h.refresh(mallory).tokens()
}

// Of two cookies of one session the newer one counts: the older was left behind by a
// version that set another path, and would pass for a thief's.
func TestTheNewerCookieOfASessionCounts(t *testing.T) {
	h := newHarness(t)
	h.login(h.client, "alice")
	old := h.jarOf(h.client)
	h.refresh(h.client).tokens()
	h.refresh(h.client).tokens()
	now := h.jarOf(h.client)
	a := h.post("/refresh", "{}", "tacet_refresh="+old.refresh+"; tacet_refresh="+now.refresh, now.csrf)
	if a.tokens(); len(a.Cookies()) != 2 {
		t.Error("the newer cookie was not renewed")
	}
}

// A page says which session it is in. If the browser has another one by now, the
// page learns so, and nobody's session is touched.
func TestARenewalAnswersForThePagesSession(t *testing.T) {
	h := newHarness(t)
	page := h.login(h.client, "alice")
	h.call(h.client, "POST", "/auth/refresh", `{"session":"`+page.Session.ID+`"}`, "X-CSRF-Token", h.jarOf(h.client).csrf).tokens()
	other := apptest.NewBrowser()
	h.login(other, "bob")
	before, err := h.App.DB.Sessions().List(t.Context(), "bob", rotation.SessionID{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/refresh", "/confirm", "/logout"} {
		a := h.call(other, "POST", "/auth"+path, `{"session":"`+page.Session.ID+`"}`, "X-CSRF-Token", h.jarOf(other).csrf, "Accept-Language", "zh-CN").noCookies()
		if p := a.problem(409, "other_session"); !strings.ContainsRune(p.Detail, '会') {
			t.Errorf("%s: detail %q", path, p.Detail)
		}
	}
	// The check of the CSRF token comes first: who lacks it learns nothing.
	h.call(other, "POST", "/auth/refresh", `{"session":"`+page.Session.ID+`"}`).problem(403, "csrf")
	if after, _ := h.App.DB.Sessions().List(t.Context(), "bob", rotation.SessionID{}, 10); len(after) != 1 || after[0] != before[0] {
		t.Error("the other session was touched")
	}
	h.call(http.DefaultClient, "POST", "/auth/refresh", `{"refresh_token":"`+h.loginBody("bob").RefreshToken+`","session":"x"}`).problem(409, "other_session")
}

// Under TLS a cookie without the prefix is nobody's.
func TestCookiesWithoutThePrefixAreIgnoredUnderTLS(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.PublicURL = "https://app.example.com" })
	a := h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"alice"}`)
	refresh, csrf := a.Cookies()[0].Value, a.Cookies()[1].Value
	h.post("/refresh", "{}", "tacet_refresh="+refresh+"; __Secure-tacet_refresh="+refresh, csrf).problem(400, "invalid_grant")
	h.post("/refresh", "{}", "__Host-tacet_refresh="+refresh, csrf).tokens()
}

// Events are read with the cookie alone. Where there are several sessions' cookies,
// only an access token says whose page it is.
func TestEventsByOneOfSeveralCookies(t *testing.T) {
	h := newHarness(t)
	h.login(h.client, "alice")
	own, bob := h.jarOf(h.client).refresh, h.loginBody("bob").RefreshToken
	head := func(cookies string) answer {
		t.Helper()
		return h.call(http.DefaultClient, "HEAD", "/auth/events", "", "Cookie", cookies)
	}
	head("tacet_refresh=garbage; tacet_refresh=" + own).want(200)
	head("tacet_refresh=" + bob + "; tacet_refresh=" + own).want(401)
}

// Who signs in where a session lives leaves it, whoever it was: it ends, so that no
// copy of its tokens is left that nobody would miss.
func TestASignInReplacesTheSessionOfTheBrowser(t *testing.T) {
	h := newHarness(t)
	for _, next := range []string{"alice", "bob"} {
		elsewhere := h.loginBody("alice")
		before := h.login(h.client, "alice")
		old := h.jarOf(h.client)
		// A refused sign-in ends nothing.
		h.call(h.client, "POST", "/auth/login", `{"username":"bob","password":"wrong"}`).problem(400, "invalid_credentials")
		h.refresh(h.client).tokens()
		h.People.Fail(http.ErrServerClosed)
		h.call(h.client, "POST", "/auth/login", `{"username":"bob","password":"bob"}`).problem(503, "temporarily_unavailable")
		h.People.Fail(nil)
		h.refresh(h.client).tokens()
		// Nor does one whose tokens travel in the body: it is not the browser's.
		h.call(h.client, "POST", "/auth/login", `{"username":"bob","password":"bob","delivery":"body"}`).tokens()
		h.refresh(h.client).tokens()

		after := h.login(h.client, next)
		if after.Session.ID == before.Session.ID {
			t.Fatal("the old session goes on under a new sign-in")
		}
		h.refreshBody(old.refresh).problem(400, "invalid_grant")
		h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(before.AccessToken)...).problem(401, "invalid_token")
		id, _ := rotation.ParseSessionID(before.Session.ID)
		if s, err := h.App.DB.Sessions().Get(t.Context(), id); err != nil || s.End.Reason != wire.ReasonReplaced {
			t.Errorf("ended because of %q, %v", s.End.Reason, err)
		}
		h.refresh(h.client).tokens()
		h.refreshBody(elsewhere.RefreshToken).tokens() // another device
	}
}
