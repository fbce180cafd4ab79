package profiles_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tacet-dev/tacet/internal/apptest"
)

// style is how the front-ends of one dialect behave, as far as sessions go: what
// they send, what they look at, and what they do about it.
type style struct {
	name string

	// login, renew and logout are method, path and body; %s stands for the name
	// (twice), and for the refresh token.
	login, renew, logout [3]string
	user                 string

	access, refresh               string // members of the answer to login
	renewedAccess, renewedRefresh string // of the answer to renew; "" for the whole body
	cookieName                    string // name and path instead of a member

	ok func(answer) bool // what the client takes for a success
	// renews is what makes the client renew, and signsOut what makes it show the
	// sign-in page after a renewal.
	renews   func(answer) bool
	signsOut func(answer) bool
}

func status(code int) func(answer) bool { return func(a answer) bool { return a.StatusCode == code } }

// code is a success of HTTP with a code in the body.
func code(v any) func(answer) bool {
	return func(a answer) bool { return a.StatusCode == 200 && fmt.Sprint(a.at("code")) == fmt.Sprint(v) }
}

func inBody(a answer) bool { return a.StatusCode == 200 }

var styles = []style{
	{name: "envelope",
		login:  [3]string{"POST", "/api/Auth/Login", `{"username":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/api/Auth/RefreshToken", `{}`},
		logout: [3]string{"POST", "/api/Auth/Logout", `{}`},
		user:   "/api/Auth/UserInfo",
		access: "data.accessToken", renewedAccess: "data.accessToken",
		cookieName: "tacet_refresh",
		ok:         func(a answer) bool { return a.StatusCode == 200 && a.at("isSuccess") == true },
		renews:     status(401),
		signsOut:   func(a answer) bool { return a.StatusCode != 200 || a.at("isSuccess") != true },
	},
	{name: "abp",
		login:  [3]string{"POST", "/api/app/account/login", `{"name":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/api/app/account/refresh-token", `{"userId":"USER","refreshToken":"%s"}`},
		logout: [3]string{"POST", "/api/app/account/logout", `{}`},
		user:   "/api/abp/application-configuration",
		access: "token", refresh: "refreshToken", renewedAccess: "token", renewedRefresh: "refreshToken",
		ok:       func(a answer) bool { return a.StatusCode == 200 && a.at("success") != false },
		renews:   status(401),
		signsOut: func(a answer) bool { return a.StatusCode == 200 && a.at("success") == false },
	},
	{name: "vben",
		login:  [3]string{"POST", "/api/auth/login", `{"username":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/api/auth/refresh", `{"withCredentials":true}`},
		logout: [3]string{"POST", "/api/auth/logout", `{"withCredentials":true}`},
		user:   "/api/user/info",
		access: "data.accessToken", renewedAccess: "",
		cookieName: "jwt",
		ok:         inBody,
		renews:     status(401),
		signsOut:   status(403),
	},
	{name: "soybean",
		login:  [3]string{"POST", "/auth/login", `{"userName":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/auth/refreshToken", `{"refreshToken":"%s"}`},
		logout: [3]string{"POST", "/auth/logout", `{"refreshToken":"%s"}`},
		user:   "/auth/getUserInfo",
		access: "data.token", refresh: "data.refreshToken", renewedAccess: "data.token", renewedRefresh: "data.refreshToken",
		ok:       code("0000"),
		renews:   func(a answer) bool { return code("9999")(a) || code("9998")(a) || code("3333")(a) },
		signsOut: code("8888"),
	},
	{name: "yudao",
		login:  [3]string{"POST", "/admin-api/system/auth/login", `{"username":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/admin-api/system/auth/refresh-token?refreshToken=%s", ""},
		logout: [3]string{"POST", "/admin-api/system/auth/logout", ""},
		user:   "/admin-api/system/auth/get-permission-info",
		access: "data.accessToken", refresh: "data.refreshToken", renewedAccess: "data.accessToken", renewedRefresh: "data.refreshToken",
		ok:     code(0),
		renews: func(a answer) bool { return code(401)(a) },
		signsOut: func(a answer) bool {
			return code(401)(a) && a.at("data") == nil && (a.at("msg") == "无效的刷新令牌" || a.at("msg") == "刷新令牌已过期")
		},
	},
	{name: "youlai",
		login:  [3]string{"POST", "/api/v1/auth/login", `{"username":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/api/v1/auth/refresh-token?refreshToken=%s", ""},
		logout: [3]string{"DELETE", "/api/v1/auth/logout", ""},
		user:   "/api/v1/users/me",
		access: "data.accessToken", refresh: "data.refreshToken", renewedAccess: "data.accessToken", renewedRefresh: "data.refreshToken",
		ok:       code("00000"),
		renews:   func(a answer) bool { return a.at("code") == "A0230" },
		signsOut: func(a answer) bool { return a.at("code") == "A0231" },
	},
	{name: "pure",
		login:  [3]string{"POST", "/login", `{"username":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/refresh-token", `{"refreshToken":"%s"}`},
		logout: [3]string{"POST", "/logout", `{"refreshToken":"%s"}`},
		user:   "/mine",
		access: "data.accessToken", refresh: "data.refreshToken", renewedAccess: "data.accessToken", renewedRefresh: "data.refreshToken",
		ok:       code(0),
		renews:   status(401), // it goes by the clock; this is what an API would say
		signsOut: func(a answer) bool { return a.StatusCode != 200 },
	},
	{name: "nova",
		login:  [3]string{"POST", "/login", `{"userName":"%s","password":"%s"}`},
		renew:  [3]string{"POST", "/updateToken", `{"refreshToken":"%s"}`},
		logout: [3]string{"POST", "/revokeToken", `{"refreshToken":"%s"}`},
		user:   "/getUserInfo",
		access: "data.accessToken", refresh: "data.refreshToken", renewedAccess: "data.accessToken", renewedRefresh: "data.refreshToken",
		ok:       code(200),
		renews:   func(a answer) bool { return a.StatusCode == 401 || fmt.Sprint(a.at("code")) == "401" },
		signsOut: func(a answer) bool { return a.StatusCode == 200 && a.at("data") == nil },
	},
	{name: "cool-admin",
		login:  [3]string{"POST", "/admin/base/open/login", `{"username":"%s","password":"%s"}`},
		renew:  [3]string{"GET", "/admin/base/open/refreshToken?refreshToken=%s", ""},
		logout: [3]string{"POST", "/admin/base/comm/logout", ""},
		user:   "/admin/base/comm/person",
		access: "data.token", refresh: "data.refreshToken", renewedAccess: "data.token", renewedRefresh: "data.refreshToken",
		ok:       code(1000),
		renews:   status(401), // it goes by the clock; this is what an API says
		signsOut: status(401),
	},
}

// tab is a client written in a style.
type tab struct {
	*harness
	style
	http            *http.Client
	access, refresh string
	userID          string
}

func (h *harness) open(s style) *tab { return &tab{harness: h, style: s, http: apptest.NewBrowser()} }

func (t *tab) signIn(name string) answer {
	t.Helper()
	a := t.call(t.http, t.login[0], t.login[1], fmt.Sprintf(t.login[2], name, name))
	if !t.ok(a) {
		t.Fatalf("%s: sign-in: %d %s", t.name, a.StatusCode, a.raw)
	}
	t.access = a.text(t.style.access)
	if t.refresh = a.text(t.style.refresh); t.cookieName != "" {
		t.refresh = t.Cookie(t.http, t.renew[1], t.cookieName)
	}
	t.userID = a.text("id")
	if t.access == "" || t.refresh == "" {
		t.Fatalf("%s: no tokens in %s", t.name, a.raw)
	}
	return a
}

// elsewhere is a client with the same tokens and no cookies.
func (t *tab) elsewhere() *tab {
	other := *t
	other.http = apptest.NewBrowser()
	return &other
}

// late is a renewal that was sent when the cookie jar held the token that it presents.
func (t *tab) late(token string) answer {
	t.Helper()
	return t.elsewhere().present(token, "Cookie", "tacet_kept="+token)
}

// present sends a renewal with this token, and the expired access token beside it.
func (t *tab) present(token string, headers ...string) answer {
	t.Helper()
	path, body := t.renew[1], strings.ReplaceAll(t.renew[2], "USER", t.userID)
	if strings.Contains(path, "%s") {
		path = fmt.Sprintf(path, url.QueryEscape(token))
	}
	if strings.Contains(body, "%s") {
		body = fmt.Sprintf(body, token)
	}
	c := t.http
	if t.cookieName != "" && token != t.Cookie(t.http, t.renew[1], t.cookieName) { // another jar's
		c = &http.Client{Transport: http.DefaultTransport}
		headers = append(headers, "Cookie", t.cookieName+"="+token)
	}
	return t.call(c, t.renew[0], path, body, append([]string{"Authorization", "Bearer " + t.access}, headers...)...)
}

// renewed stores the tokens of a renewal.
func (t *tab) renewed(a answer) bool {
	if !t.ok(a) {
		return false
	}
	if t.access = string(a.raw); t.renewedAccess != "" {
		t.access = a.text(t.renewedAccess)
	}
	if t.cookieName != "" {
		t.refresh = t.Cookie(t.http, t.renew[1], t.cookieName)
	} else if r := a.text(t.renewedRefresh); r != "" {
		t.refresh = r
	}
	return t.access != ""
}

func (t *tab) who() answer {
	t.Helper()
	return t.call(t.http, "GET", t.user, "", "Authorization", "Bearer "+t.access)
}

func (t *tab) signOut() answer {
	t.Helper()
	body := t.logout[2]
	if strings.Contains(body, "%s") {
		body = fmt.Sprintf(body, t.refresh)
	}
	return t.call(t.http, t.logout[0], t.logout[1], body, "Authorization", "Bearer "+t.access)
}
