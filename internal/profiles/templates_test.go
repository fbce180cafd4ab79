package profiles_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
)

// oneToken is a front-end that renews nothing, written from its request code:
// jeecgboot-vue3 (src/utils/http/axios/index.ts, src/api/sys/user.ts), RuoYi-Vue3
// (src/utils/request.js, src/api/login.js), plus-ui (src/api/login.ts) and art-design-pro
// (src/utils/http/index.ts, src/api/auth.ts).
type oneToken struct {
	name, profile       string
	login               [2]string // path and body; %s is the password
	token               string    // member of the response
	headers             func(token string) []string
	who, user           string // path, and the member with the name
	method, out         string // of the sign-out; "": it makes no call
	ok, signedOut, fail func(answer) bool
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

var oneTokens = []oneToken{
	{"jeecg", "jeecg", [2]string{"/jeecg-boot/sys/login", `{"username":"alice","password":"%s","captcha":"1234","checkKey":1795262400000}`}, "result.token",
		func(token string) []string {
			return []string{"Authorization", token, "X-Access-Token", token, "X-Tenant-Id", "0"}
		},
		"/jeecg-boot/sys/user/getUserInfo?_t=1795262400000", "result.userInfo.username", "GET", "/jeecg-boot/sys/logout", code(200), status(401), code(500)},
	{"RuoYi", "ruoyi", [2]string{"/login", `{"username":"alice","password":"%s","code":"","uuid":""}`}, "token", bearer,
		"/getInfo", "user.userName", "POST", "/logout", code(200), code(401), code(500)},
	{"RuoYi-Plus", "ruoyi", [2]string{"/auth/login", `{"tenantId":"000000","username":"alice","password":"%s","clientId":"e5cd7e4891bf95d1d19206ce24a7b32e","grantType":"password"}`},
		"data.access_token", func(token string) []string {
			return append(bearer(token), "Clientid", "e5cd7e4891bf95d1d19206ce24a7b32e")
		},
		"/system/user/getInfo", "data.user.userName", "", "", code(200), code(401), code(500)},
	{"art-design-pro", "art-design-pro", [2]string{"/api/auth/login", `{"userName":"alice","password":"%s"}`}, "data.token",
		func(token string) []string { return []string{"Authorization", token} },
		"/api/user/info", "data.userName", "POST", "/api/auth/logout", code(200), status(401), code(400)},
}

// Front-ends with one token and no refresh are signed in for as long as the profile
// says, and see a wrong password, the end and a sign-out for what they are.
func TestFrontEndsThatRenewNothing(t *testing.T) {
	for _, s := range oneTokens {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, func(c *app.Config) { c.Profiles.Names, c.Profiles.TTL = []string{s.profile}, 0 })
			page := apptest.NewBrowser()
			signIn := func(password string) answer {
				return h.call(page, "POST", s.login[0], fmt.Sprintf(s.login[1], password))
			}
			if a := signIn("wrong"); !s.fail(a) {
				t.Fatalf("a wrong password: %d %s", a.StatusCode, a.raw)
			}
			h.Clock.Advance(time.Hour)
			token := signIn("alice").text(s.token)
			who := func() answer { return h.call(page, "GET", s.who, "", s.headers(token)...) }
			for range 2 {
				if a := who(); !s.ok(a) || a.text(s.user) != "alice" {
					t.Fatalf("%d %s", a.StatusCode, a.raw)
				}
				h.Clock.Advance(5 * time.Hour)
			}
			h.Clock.Advance(2 * time.Hour)
			if a := who(); !s.signedOut(a) {
				t.Fatalf("after its time: %d %s", a.StatusCode, a.raw)
			}
			if s.out == "" {
				return
			}
			token = signIn("alice").text(s.token)
			if a := h.call(page, s.method, s.out, "", s.headers(token)...); !s.ok(a) {
				t.Fatalf("sign-out: %d %s", a.StatusCode, a.raw)
			}
			if a := who(); !s.signedOut(a) {
				t.Fatalf("after the sign-out: %d %s", a.StatusCode, a.raw)
			}
		})
	}
}

func TestPathsWithATimeInThem(t *testing.T) {
	h := newHarness(t)
	if a := h.call(apptest.NewBrowser(), "GET", "/jeecg-boot/sys/randomImage/1795262400000?_t=1", ""); !code(200)(a) || a.text("result") == "" {
		t.Errorf("%d %s", a.StatusCode, a.raw)
	}
	if a := h.call(apptest.NewBrowser(), "GET", "/jeecg-boot/sys/randomImage/1/2", ""); a.StatusCode != 404 {
		t.Errorf("%d %s", a.StatusCode, a.raw)
	}
}

// ng-alain, written from src/app/core/net/refresh-token.ts: the refresh token travels in
// {"headers":{"refresh_token":…}}, and the call is repeated with the new token in the
// header token beside the old one in Authorization.
func TestNgAlain(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Profiles.Names = []string{"ng-alain"} })
	page := apptest.NewBrowser()
	if a := h.call(page, "POST", "/login/account?_allow_anonymous=true", `{"type":0,"userName":"alice","password":"wrong"}`); a.StatusCode != 200 || a.text("msg") == "ok" {
		t.Fatalf("a wrong password: %d %s", a.StatusCode, a.raw)
	}
	h.Clock.Advance(time.Hour)
	in := h.call(page, "POST", "/login/account?_allow_anonymous=true", `{"type":0,"userName":"alice","password":"alice"}`)
	access, refresh := in.text("user.token"), in.text("user.refresh_token")
	if expired, _ := in.at("user.expired").(float64); in.text("msg") != "ok" || int64(expired) >= h.Clock.Now().Add(accessTTL).UnixMilli() {
		t.Fatalf("%s", in.raw)
	}
	for range 3 {
		h.Clock.Advance(accessTTL)
		if a := h.call(page, "GET", "/user", "", bearer(access)...); a.StatusCode != 401 {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		a := h.call(page, "POST", "/api/auth/refresh", `{"headers":{"refresh_token":"`+refresh+`"}}`, bearer(access)...)
		next := a.text("token")
		if refresh = a.text("refresh_token"); a.StatusCode != 200 || next == "" || refresh == "" {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		if a := h.call(page, "GET", "/user", "", append(bearer(access), "Token", "Bearer "+next)...); a.StatusCode != 200 || a.text("name") != "Alice" {
			t.Fatalf("repeated: %d %s", a.StatusCode, a.raw)
		}
		access = next
	}
	h.Clock.Advance(15 * 24 * time.Hour)
	if a := h.call(page, "POST", "/api/auth/refresh", `{"headers":{"refresh_token":"`+refresh+`"}}`); a.StatusCode != 401 {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
}

// cool-admin counts from now: seconds of the access token's and of the session's life.
func TestRelativeLifetimes(t *testing.T) {
	h := newHarness(t)
	c := h.open(styles[len(styles)-1])
	a := c.signIn("alice")
	if a.at("data.expire") != accessTTL.Seconds() || a.at("data.refreshExpire") != (14*24*time.Hour).Seconds() {
		t.Errorf("%s", a.raw)
	}
}
