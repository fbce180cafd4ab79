package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// apiKey makes an API key for life (zero: for ever).
func (o *office) apiKey(name string, life time.Duration, permissions ...string) string {
	o.Helper()
	key, err := o.App.Doors.AddKey(o.Context(), name, permissions, life)
	if err != nil {
		o.Fatal(err)
	}
	return key
}

// newDoors is an office with the back-end of an application, which signs users in.
func newDoors(t *testing.T, change ...func(*app.Config)) (o *office, backend func(method, path string, body ...string) answer) {
	t.Helper()
	o = newOffice(t, change...)
	return o, o.by(o.apiKey("app", 0, wire.PermissionSessionsBegin))
}

func (a answer) ticket() string {
	a.t.Helper()
	got := read[wire.Ticket](a.want(http.StatusCreated))
	if !strings.HasPrefix(got.Ticket, "tacet_st_") || got.ExpiresIn != 60 {
		a.t.Fatalf("the response is %s", a.body)
	}
	return got.Ticket
}

func (o *office) redeem(c *http.Client, ticket string, headers ...string) answer {
	o.Helper()
	return o.call(c, "POST", "/auth/login", `{"ticket":"`+ticket+`"}`, headers...)
}

func claimsOf(t *testing.T, access string) (c wire.AccessClaims) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A ticket signs its user in, and how the user was identified stays in the tokens.
// The session that the browser had ends.
func TestTicketSignsIn(t *testing.T) {
	o, backend := newDoors(t)
	browser := apptest.NewBrowser()
	before := o.call(browser, "POST", "/auth/login", `{"username":"desk","password":"desk-password"}`).tokens()
	at := o.Clock.Now().Add(-time.Minute).Unix()
	ticket := backend("POST", "/sessions", fmt.Sprintf(`{"username":"Carol","amr":["sms","otp"],"acr":"urn:example:silver","auth_time":%d}`, at)).ticket()
	in := o.redeem(browser, ticket).tokens()
	if in.User == nil || in.User.ID != o.ids["carol"] || in.RefreshToken != "" {
		t.Errorf("the response to a ticket: %+v", in)
	}
	o.Clock.Advance(time.Hour)
	for _, access := range []string{in.AccessToken, o.refresh(browser).tokens().AccessToken} {
		c := claimsOf(t, access)
		if c.ACR != "urn:example:silver" || fmt.Sprint(c.AMR) != "[sms otp]" || c.AuthTime != at || c.ClientID != "tacet-web" || c.Scope != "orders:read" {
			t.Errorf("claims %+v", c)
		}
	}
	o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(before.AccessToken)...).problem(401, wire.CodeInvalidToken)
	if strings.Contains(o.Logged.String(), ticket) {
		t.Error("the log has a ticket")
	}
}

// Whatever is wrong with a ticket, the refusal is the same, and nothing changes.
func TestTicketsAreRefusedAlike(t *testing.T) {
	o, backend := newDoors(t)
	root := o.by(o.signIn("root").AccessToken)
	carol := o.ids["carol"]
	issue := func() string { return backend("POST", "/sessions", `{"user_id":"`+carol+`"}`).ticket() }
	var refusal []byte
	refused := func(why, ticket string) {
		t.Helper()
		for _, delivery := range []string{"cookie", "body"} {
			a := o.call(apptest.NewBrowser(), "POST", "/auth/login", `{"ticket":"`+ticket+`","delivery":"`+delivery+`"}`).noCookies()
			a.problem(400, wire.CodeInvalidTicket)
			if refusal == nil {
				refusal = a.body
			}
			if !bytes.Equal(a.body, refusal) {
				t.Errorf("%s: %s, want %s", why, a.body, refusal)
			}
		}
	}
	refused("unknown", "tacet_st_AAAAAAAAAAAAAAAAAAAAAAAAAA")
	refused("something else", "a ticket")
	refused("an API key", o.apiKey("other", 0, "admin:*"))

	used := issue()
	o.redeem(apptest.NewBrowser(), used).tokens()
	refused("used", used)

	late := issue()
	o.Clock.Advance(time.Minute)
	refused("late", late)
	inTime := issue()
	o.Clock.Advance(time.Minute - time.Millisecond)
	o.redeem(apptest.NewBrowser(), inTime).tokens()

	_, elsewhere := newDoors(t)
	refused("of another server", elsewhere("POST", "/sessions", `{"username":"carol"}`).ticket())

	old := issue()
	root("PUT", "/users/"+carol+"/password", `{"password":"another-password"}`).want(204)
	refused("before a new password", old)

	old = issue()
	root("DELETE", "/users/"+carol+"/sessions").want(204)
	refused("before a sign-out everywhere", old)

	old = issue()
	root("PATCH", "/users/"+carol, `{"disabled":true}`).want(200)
	refused("of a disabled user", old)
	root("PATCH", "/users/"+carol, `{"disabled":false}`).want(200)
	refused("of a user who was disabled", old)
	root("PATCH", "/users/"+carol, `{"disabled":true}`).want(200)
	for _, who := range []string{`"user_id":"` + carol + `"`, `"username":"carol"`, `"user_id":"usr_nobody"`, `"username":"nobody"`, `"username":"no body"`} {
		backend("POST", "/sessions", "{"+who+"}").problem(404, wire.CodeNotFound)
		backend("POST", "/sessions", "{"+who+`,"delivery":"body"}`).problem(404, wire.CodeNotFound)
	}
}

// A foreign page can't redeem a ticket by cookie, nor use it up.
func TestTicketsAreNotRedeemedByForeignPages(t *testing.T) {
	o, backend := newDoors(t)
	ticket := backend("POST", "/sessions", `{"username":"carol"}`).ticket()
	o.redeem(apptest.NewBrowser(), ticket, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site").noCookies().problem(403, wire.CodeCSRF)
	o.call(http.DefaultClient, "POST", "/auth/login", `{"ticket":"`+ticket+`","username":"carol","password":"carol-password"}`).problem(400, wire.CodeInvalidRequest)
	o.call(http.DefaultClient, "POST", "/auth/login", `{"ticket":"`+ticket+`","delivery":"ticket"}`).problem(400, wire.CodeInvalidRequest)
	o.redeem(apptest.NewBrowser(), ticket).tokens()
}

// Of 50 who redeem a ticket at once, one gets a session.
func TestTicketIsRedeemedOnce(t *testing.T) {
	o, backend := newDoors(t)
	ticket := backend("POST", "/sessions", `{"username":"carol"}`).ticket()
	statuses := make([]int, 50)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			resp, err := http.Post(o.URL+"/auth/login", "application/json", strings.NewReader(`{"ticket":"`+ticket+`","delivery":"body"}`))
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			statuses[i] = resp.StatusCode
		})
	}
	all.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	if count[200] != 1 || count[400] != 49 {
		t.Errorf("statuses %v, want one 200 and 49 times 400", count)
	}
	if list, err := o.App.Sessions.List(t.Context(), o.ids["carol"]); err != nil || len(list) != 1 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}

// Keys and tickets outlive a restart; what was redeemed stays so.
func TestTicketsAndKeysOutliveARestart(t *testing.T) {
	var dir string
	o, backend := newDoors(t, func(c *app.Config) { dir = c.DataDir })
	used := backend("POST", "/sessions", `{"username":"carol"}`).ticket()
	o.redeem(apptest.NewBrowser(), used).tokens()
	fresh := backend("POST", "/sessions", `{"username":"carol"}`).ticket()
	key := o.apiKey("other", 0, wire.PermissionSessionsRead)
	if err := o.App.Close(); err != nil {
		t.Fatal(err)
	}
	again := &office{newHarness(t, func(c *app.Config) { c.DataDir, c.Directory, c.Authenticator = dir, nil, nil }), o.ids}
	again.redeem(apptest.NewBrowser(), used).problem(400, wire.CodeInvalidTicket)
	again.redeem(apptest.NewBrowser(), fresh).tokens()
	again.by(key)("GET", "/sessions").want(200)
}

// With the delivery "body" the back-end gets what POST /auth/login responds.
func TestBackendsBeginSessionsByThemselves(t *testing.T) {
	o, backend := newDoors(t)
	secret, err := o.App.OAuth.AddClient(t.Context(), oauth.Client{ID: "server", Scopes: []string{"openid"}}, true)
	if err == nil {
		_, err = o.App.OAuth.AddClient(t.Context(), oauth.Client{ID: "spa", Scopes: []string{"openid", "orders:read"}, Audiences: []string{"https://api.example.com"}}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	in := backend("POST", "/sessions", `{"username":"carol","client_id":"spa","amr":["otp"],"delivery":"body"}`).noCookies().tokens()
	if in.User == nil || in.User.Username != "carol" {
		t.Errorf("the user is %+v", in.User)
	}
	if c := claimsOf(t, o.refreshBody(in.RefreshToken).tokens().AccessToken); c.ClientID != "spa" || fmt.Sprint(c.AMR) != "[otp]" || c.AuthTime != o.Clock.Now().Unix() {
		t.Errorf("claims %+v", c)
	}
	c := claimsOf(t, o.redeem(apptest.NewBrowser(), backend("POST", "/sessions", `{"username":"carol","client_id":"spa"}`).ticket()).tokens().AccessToken)
	if c.ClientID != "spa" || c.AMR != nil || c.ACR != "" {
		t.Errorf("claims %+v", c)
	}
	// The tokens of a client's session grant no more than the client may ask for.
	if c.Audience != "https://api.example.com" || strings.Contains(c.Scope, "admin") || len(c.Roles) > 0 {
		t.Errorf("the session of a client is not limited: %+v", c)
	}

	// The session of a client with a secret is renewed with the secret alone.
	in = backend("POST", "/sessions", `{"username":"carol","client_id":"server","delivery":"body"}`).tokens()
	o.refreshBody(in.RefreshToken).problem(400, wire.CodeInvalidGrant)
	o.call(http.DefaultClient, "POST", "/oauth/token", "grant_type=refresh_token&refresh_token="+in.RefreshToken, "Content-Type", "application/x-www-form-urlencoded",
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("server:"+secret))).want(200)
	backend("POST", "/sessions", `{"username":"carol","client_id":"server"}`).problem(400, wire.CodeInvalidRequest)

	// Introspection tells resource servers how the user signed in (RFC 9470 §6.2).
	in = backend("POST", "/sessions", `{"username":"carol","amr":["hwk"],"acr":"gold","auth_time":1763726400,"delivery":"body"}`).tokens()
	var state oauth.State
	o.call(http.DefaultClient, "POST", "/oauth/introspect", "token="+in.AccessToken, "Content-Type", "application/x-www-form-urlencoded",
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("server:"+secret))).json(&state)
	if !state.Active || state.ACR != "gold" || fmt.Sprint(state.AMR) != "[hwk]" || state.AuthTime != 1763726400 {
		t.Errorf("introspection says %+v", state)
	}
}

func TestBadRequestsForSessions(t *testing.T) {
	o, backend := newDoors(t)
	for _, body := range []string{
		``, `{}`, `{"username":"carol","user_id":"` + o.ids["carol"] + `"}`, `{"username":"carol","delivery":"cookie"}`, `{"username":"carol","client_id":"nobody"}`,
		`{"username":"carol","amr":["two words"]}`, `{"username":"carol","amr":[""]}`, `{"username":"carol","amr":"otp"}`, `{"username":"carol","acr":"a\"b"}`,
		`{"username":"carol","acr":"` + strings.Repeat("a", 129) + `"}`, `{"username":"carol","amr":["1","2","3","4","5","6","7","8","9","10","11"]}`,
		fmt.Sprintf(`{"username":"carol","auth_time":%d}`, o.Clock.Now().Add(2*time.Minute).Unix()), `{"username":"carol","auth_time":-1}`, `{"`,
	} {
		backend("POST", "/sessions", body).problem(400, wire.CodeInvalidRequest)
	}
	backend("POST", "/sessions", strings.Repeat(" ", 65<<10)).problem(413, wire.CodeTooLarge)
	key := o.apiKey("other", 0, wire.PermissionSessionsBegin)
	o.call(http.DefaultClient, "POST", "/auth/admin/sessions", `{"username":"carol"}`, append(bearer(key), "Content-Type", "text/plain")...).problem(415, wire.CodeUnsupportedMedia)
	o.call(http.DefaultClient, "POST", "/auth/admin/sessions", `{"username":"carol"}`).problem(401, wire.CodeInvalidToken)
	zh := o.call(http.DefaultClient, "POST", "/auth/admin/sessions", `{}`, append(bearer(key), "Accept-Language", "zh-CN")...).problem(400, wire.CodeInvalidRequest)
	if !strings.Contains(zh.Detail, "二者择一") {
		t.Errorf("in Chinese: %s", zh.Detail)
	}
	if err := o.App.DB.Close(); err != nil {
		t.Fatal(err)
	}
	backend("POST", "/sessions", `{"username":"carol"}`).problem(503, wire.CodeUnavailable)
	o.redeem(apptest.NewBrowser(), "tacet_st_AAAAAAAAAAAAAAAAAAAAAAAAAA").problem(503, wire.CodeUnavailable)
}

// Users that are kept elsewhere are known by their ids alone.
func TestSessionsOfUsersElsewhere(t *testing.T) {
	h := newHarness(t)
	o := &office{h, nil}
	backend := o.by(o.apiKey("app", 0, "admin:*"))
	backend("POST", "/sessions", `{"username":"alice"}`).problem(400, wire.CodeInvalidRequest)
	ticket := backend("POST", "/sessions", `{"user_id":"alice"}`).ticket()
	h.People.Change(func(m map[string]session.User) { delete(m, "alice") })
	o.redeem(apptest.NewBrowser(), ticket).problem(400, wire.CodeInvalidTicket)
	backend("POST", "/sessions", `{"user_id":"alice"}`).problem(404, wire.CodeNotFound)
}

// An API key is good for calls of administration within its permissions, and for
// nothing else. Nobody reaches above themselves with one.
func TestAPIKeysAreGoodForAdministrationAlone(t *testing.T) {
	o := newOffice(t)
	key := o.apiKey("people", 0, "admin:users:*", "admin:sessions:*")
	by := o.by(key)
	by("GET", "/users").want(200)
	by("GET", "/sessions").want(200)
	for _, call := range [][]string{{"GET", "/roles"}, {"GET", "/keys"}, {"POST", "/keys/rotate"}, {"PUT", "/users/" + o.ids["carol"] + "/roles/clerk"}} {
		by(call[0], call[1]).problem(403, wire.CodeInsufficientScope)
	}
	for _, call := range [][]string{{"GET", "/me"}, {"GET", "/sessions"}, {"GET", "/events"}, {"DELETE", "/sessions/0197a9c4-6f1e-7b52-9d0a-3c5e8f214b67"}} {
		o.call(http.DefaultClient, call[0], "/auth"+call[1], "", bearer(key)...).problem(401, wire.CodeInvalidToken)
	}
	o.refreshBody(key).problem(400, wire.CodeInvalidGrant)
	o.redeem(http.DefaultClient, key).problem(400, wire.CodeInvalidTicket)

	// carol has orders:read, root and desk administrate more than the key does.
	by("PATCH", "/users/"+o.ids["carol"], `{"display_name":"Carol"}`).problem(403, wire.CodeInsufficientScope)
	by("PUT", "/users/"+o.ids["root"]+"/password", `{"password":"another-password"}`).problem(403, wire.CodeInsufficientScope)
	by("DELETE", "/users/"+o.ids["root"]+"/sessions").problem(403, wire.CodeInsufficientScope)
	by("POST", "/sessions", `{"username":"carol"}`).want(201)
	for _, who := range []string{"root", "desk"} {
		if p := by("POST", "/sessions", `{"username":"`+who+`"}`).problem(403, wire.CodeInsufficientScope); !strings.Contains(p.Detail, "admin:roles:") {
			t.Errorf("%s: %s", who, p.Detail)
		}
	}
	o.by(o.apiKey("chief", 0, "admin:permissions:escalate", "admin:sessions:begin"))("POST", "/sessions", `{"username":"root"}`).want(201)

	// A program may take administration away, but for the last administrator.
	all := o.by(o.apiKey("all", 0, "*"))
	all("PATCH", "/users/"+o.ids["desk"], `{"disabled":true}`).want(200)
	all("PATCH", "/users/"+o.ids["root"], `{"disabled":true}`).problem(409, wire.CodeLastAdmin)

	log := o.Logged.String()
	if strings.Contains(log, key) || !strings.Contains(log, "by_program=people") {
		t.Error("the log has the key, or lacks its name")
	}
}

// Unknown, removed and expired keys are refused alike.
func TestAPIKeysAreRefusedAlike(t *testing.T) {
	o := newOffice(t)
	removed, expired := o.apiKey("removed", 0, "admin:*"), o.apiKey("expired", 24*time.Hour, "admin:*")
	for _, key := range []string{removed, expired} {
		o.by(key)("GET", "/users").want(200)
	}
	o.Clock.Advance(24*time.Hour - time.Millisecond)
	o.by(expired)("GET", "/users").want(200)
	o.Clock.Advance(time.Millisecond)
	if err := o.App.Doors.RemoveKey(t.Context(), "removed"); err != nil {
		t.Fatal(err)
	}
	unknown := o.by("tacet_ak_AAAAAAAAAAAAAAAAAAAAAAAAAA")("GET", "/users")
	unknown.problem(401, wire.CodeInvalidToken)
	for _, key := range []string{removed, expired, "tacet_ak_", expired + "A"} {
		a := o.by(key)("GET", "/users")
		a.problem(401, wire.CodeInvalidToken)
		if !bytes.Equal(a.body, unknown.body) || a.Header.Get("WWW-Authenticate") != unknown.Header.Get("WWW-Authenticate") {
			t.Errorf("%s %q, want %s %q", a.body, a.Header.Get("WWW-Authenticate"), unknown.body, unknown.Header.Get("WWW-Authenticate"))
		}
	}
	list, err := o.App.Doors.APIKeys(t.Context())
	if err != nil || len(list) != 1 || list[0].UsedOn != "2026-11-22" {
		t.Errorf("the keys are %+v, %v; want the expired one, last used on the day before it was over", list, err)
	}
}
