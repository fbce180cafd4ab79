package profiles_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
)

// A cookie is not enough: the call must come from our own page. Whatever a
// foreign page can make a browser send is refused, and nothing is consumed.
func TestForeignPagesGetNothingFromACookie(t *testing.T) {
	const app1 = "https://app.example"
	for _, s := range styles {
		if s.cookieName == "" {
			continue
		}
		h := newHarness(t, func(c *app.Config) { c.CORSOrigins = []string{app1} })
		c := h.open(s)
		c.signIn("alice")
		for name, headers := range map[string][]string{
			"a foreign origin":       {"Origin", "https://evil.example"},
			"a sister domain":        {"Origin", "https://evil.app.example"},
			"an opaque origin":       {"Origin", "null"},
			"cross-site":             {"Sec-Fetch-Site", "cross-site"},
			"same-site":              {"Sec-Fetch-Site", "same-site"},
			"a form":                 {"Content-Type", "application/x-www-form-urlencoded"},
			"a multipart form":       {"Content-Type", "multipart/form-data; boundary=x"},
			"plain text":             {"Content-Type", "text/plain"},
			"JSON in another guise":  {"Content-Type", "text/plain; application/json"},
			"JSON in another script": {"Content-Type", "application/json; charset=utf-7"},
		} {
			for _, route := range [][3]string{s.renew, s.logout, s.login} {
				for _, body := range []string{route[2], ""} {
					if strings.Contains(body, "%s") {
						body = fmt.Sprintf(body, "alice", "alice")
					}
					a := h.call(c.http, route[0], route[1], body, headers...)
					if s.ok(a) || a.StatusCode != 403 && a.StatusCode != 415 || len(a.Header.Values("Set-Cookie")) > 0 {
						t.Errorf("%s: %s, %s: %d %s", s.name, name, route[1], a.StatusCode, a.raw)
					}
				}
			}
		}
		if h.ended(c.refresh) || h.Cookie(c.http, s.renew[1], s.cookieName) != c.refresh {
			t.Errorf("%s: a foreign page changed something", s.name)
		}
		for name, headers := range map[string][]string{
			"the same origin":    {"Origin", h.URL, "Sec-Fetch-Site", "same-origin"},
			"a known origin":     {"Origin", app1, "Sec-Fetch-Site", "cross-site"},
			"no page at all":     {},
			"no body, no type":   {"Content-Type", ""},
			"typed, but no body": {"X-Body", "none"},
		} {
			body := s.renew[2]
			if strings.HasPrefix(name, "no body") || strings.HasPrefix(name, "typed") {
				body = ""
			}
			if a := h.call(c.http, s.renew[0], s.renew[1], body, headers...); !c.renewed(a) {
				t.Errorf("%s: %s: %d %s", s.name, name, a.StatusCode, a.raw)
			}
		}
	}
}

// Pages of configured origins may send the headers of the dialects, and read the
// ones that bring new tokens.
func TestCORSOfTheDialects(t *testing.T) {
	const page = "https://app.example"
	h := newHarness(t, func(c *app.Config) { c.CORSOrigins = []string{page} })
	a := h.call(http.DefaultClient, "OPTIONS", gvaUser, "", "Origin", page, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-token,x-user-id")
	if a.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), "x-token") {
		t.Fatalf("%v", a.Header)
	}
	for _, header := range []string{"__tenant", "tenant-id", "accept-language", "authorization"} {
		a := h.call(http.DefaultClient, "OPTIONS", "/api/app/account/login", "", "Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", header)
		if !strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), header) {
			t.Errorf("%s: %v", header, a.Header)
		}
	}
	g := h.gva("alice")
	h.Clock.Advance(accessTTL * 4 / 5)
	a = h.call(http.DefaultClient, "GET", gvaUser, "", "X-Token", g.token, "Origin", page)
	if exposed := strings.ToLower(a.Header.Get("Access-Control-Expose-Headers")); !strings.Contains(exposed, "new-token") || !strings.Contains(exposed, "new-expires-at") || a.Header.Get("New-Token") == "" {
		t.Fatalf("%v", a.Header)
	}
	a = h.call(http.DefaultClient, "GET", gvaUser, "", "X-Token", g.token, "Origin", "https://evil.example")
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Fatal("an unknown origin may read")
	}
}

// Paths that dialects share with each other and with the native surface are told
// apart by the body, and the native surface is what it was.
func TestSharedPaths(t *testing.T) {
	h := newHarness(t)
	for body, want := range map[string]string{
		`{"username":"alice","password":"alice"}`:                   `"token_type":"Bearer"`,
		`{"username":"alice","password":"alice","delivery":"body"}`: `"refresh_token":"tacet_rt_`,
		`{"userName":"alice","password":"alice"}`:                   `{"code":"0000"`,
		`{"userName":"alice","password":"wrong"}`:                   `{"code":"1000"`,
		`{}`:             `"code":"invalid_request"`,
		`{"userName":""`: `{"code":"1000"`,
		`[]`:             `"code":"invalid_request"`,
	} {
		if a := h.call(apptest.NewBrowser(), "POST", "/auth/login", body); !strings.Contains(string(a.raw), want) {
			t.Errorf("/auth/login with %s: %d %s", body, a.StatusCode, a.raw)
		}
		h.Clock.Advance(time.Minute)
	}
	for body, want := range map[string]string{
		`{"username":"alice","password":"alice"}`: `{"code":0,`,
		`{"userName":"alice","password":"alice"}`: `{"code":200,`,
		`{}`: `"success":false`,
	} {
		if a := h.call(apptest.NewBrowser(), "POST", "/login", body); !strings.Contains(string(a.raw), want) {
			t.Errorf("/login with %s: %d %s", body, a.StatusCode, a.raw)
		}
	}
	// Signing out natively, while soybean has the same path.
	b := apptest.NewBrowser()
	h.call(b, "POST", "/auth/login", `{"username":"alice","password":"alice"}`)
	a := h.call(b, "POST", "/auth/logout", "", "X-XSRF-TOKEN", h.Cookie(b, "/auth", "tacet_csrf"))
	if a.StatusCode != http.StatusNoContent || h.Cookie(b, "/auth/refresh", "tacet_refresh") != "" {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	if a := h.call(b, "POST", "/auth/logout", `{"refresh_token":"x"}`); a.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	if a := h.call(b, "GET", "/auth/login", ""); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
}

// youlai signs in with a form.
func TestSignInWithAForm(t *testing.T) {
	h := newHarness(t)
	form := func(password string, extra int) (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for name, value := range map[string]string{"username": "alice", "password": password, "captchaKey": "undefined", "captchaCode": strings.Repeat("x", extra)} {
			_ = w.WriteField(name, value)
		}
		_ = w.Close()
		return b.String(), w.FormDataContentType()
	}
	for _, c := range []struct {
		body, contentType string
		status            int
		code              string
	}{
		{"username=alice&password=alice", "application/x-www-form-urlencoded", 200, "00000"},
		{"username=alice&password=wrong", "application/x-www-form-urlencoded;charset=utf-8", 400, "A0210"},
		{"username=alice&x=" + strings.Repeat("x", 70_000), "application/x-www-form-urlencoded", 413, "B0001"},
		{"username=alice&password=%zz", "application/x-www-form-urlencoded", 400, "B0001"},
		{"nothing", "multipart/form-data; boundary=x", 400, "B0001"},
		{"nothing", "multipart/form-data", 400, "B0001"},
		{"username=alice", "application/x-www-form-urlencoded", 400, "B0001"},
	} {
		a := h.call(http.DefaultClient, "POST", "/api/v1/auth/login", c.body, "Content-Type", c.contentType)
		if a.StatusCode != c.status || a.at("code") != c.code {
			t.Errorf("%.40s: %d %s", c.body, a.StatusCode, a.raw)
		}
		h.Clock.Advance(time.Minute)
	}
	for extra, want := range map[int]string{1: "00000", 70_000: "B0001"} {
		body, contentType := form("alice", extra)
		if a := h.call(http.DefaultClient, "POST", "/api/v1/auth/login", body, "Content-Type", contentType); a.at("code") != want {
			t.Errorf("%d: %d %s", extra, a.StatusCode, a.raw)
		}
	}
	// Query parameters are not the form's.
	if a := h.call(http.DefaultClient, "POST", "/api/v1/auth/login?username=alice&password=alice", "x=1", "Content-Type", "application/x-www-form-urlencoded"); a.at("code") == "00000" {
		t.Error("credentials were taken from the URL")
	}
}

// A foreign user id is refused and consumes nothing: the owner goes on.
func TestTheUserMustOwnTheToken(t *testing.T) {
	h := newHarness(t)
	alice, bob := h.open(styles[1]), h.open(styles[1])
	alice.signIn("alice")
	bob.signIn("bob")
	own := alice.userID
	for _, id := range []string{bob.userID, "", "null", own + "0", "alice "} {
		alice.userID = id
		if a := alice.present(alice.refresh); a.at("success") != false || a.at("token") != nil || a.at("refreshToken") != nil {
			t.Fatalf("%q: %s", id, a.raw)
		}
	}
	for _, id := range []string{own, profiles.GUID(own), strings.ToUpper(profiles.GUID(own))} {
		alice.userID = id
		if a := alice.present(alice.refresh); !alice.renewed(a) {
			t.Fatalf("%q: %s", id, a.raw)
		}
	}
	for _, body := range []string{`{"userId":1,"refreshToken":"%s"}`, `{"userId":null,"refreshToken":"%s"}`, `{"userId":["` + own + `"],"refreshToken":"%s"}`} {
		if a := h.call(http.DefaultClient, "POST", "/api/app/account/refresh-token", fmt.Sprintf(body, alice.refresh)); a.at("success") != false {
			t.Fatalf("%s: %s", body, a.raw)
		}
	}
}

// Wildcards are spelt out for front-ends that look names up.
func TestGrantedPoliciesOfWildcards(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Directory, c.Authenticator = nil, nil })
	d := h.App.Directory
	for role, permissions := range map[string][]string{"admin": {"orders:*"}, "viewer": {"orders:read", "users:read"}} {
		if err := d.AddRole(t.Context(), role, permissions...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Add(t.Context(), newUser("ann", "admin")); err != nil {
		t.Fatal(err)
	}
	a := h.call(http.DefaultClient, "POST", "/api/app/account/login", `{"name":"ann","password":"ann-password"}`)
	id := a.text("id")
	a = h.call(http.DefaultClient, "GET", "/api/abp/application-configuration", "", "Authorization", "Bearer "+a.text("token"), "__tenant", "", "Accept-Language", "zh-Hans")
	if got := fmt.Sprint(a.at("auth.grantedPolicies")); got != "map[orders:true orders:*:true orders:read:true]" {
		t.Fatal(got)
	}
	if a.at("currentUser.id") != id || a.at("localization.currentCulture.cultureName") != "zh-CN" {
		t.Fatalf("%s", a.raw)
	}
}

// A profile of the user's own, from a file, with full user data at renewal.
func TestAProfileOfYourOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.yaml")
	text := strings.Replace(good, `POST /my/refresh:
    operation: refresh
    data: {token`, `POST /my/refresh:
    operation: refresh
    data: {name: "${user.name}", token`, 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, func(c *app.Config) { c.Profiles.Names = []string{file} })
	a := h.call(http.DefaultClient, "POST", "/my/login", `{"user":"alice","pass":"alice"}`)
	a = h.call(http.DefaultClient, "POST", "/my/refresh", fmt.Sprintf(`{"refreshToken":"%s"}`, a.text("data.refresh")))
	if !code(0)(a) || a.text("data.name") != "Alice" {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	a = h.call(http.DefaultClient, "GET", "/my/me", "", "Authorization", "Bearer "+a.text("data.token"))
	if a.text("name") != "Alice" || a.at("at") != float64(h.Clock.Now().Add(14*24*time.Hour).UnixMilli()) {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	if a := h.call(http.DefaultClient, "POST", "/api/auth/login", `{}`); a.StatusCode != http.StatusNotFound {
		t.Fatalf("a profile that was not asked for: %d %s", a.StatusCode, a.raw)
	}
}

// A profile can't take the place of a native call.
func TestProfilesStandBesideTheNativeSurface(t *testing.T) {
	for want, change := range map[string]func(string) string{
		"GET /auth/me is one of our own calls":  func(s string) string { return strings.Replace(s, "GET /my/me", "GET /auth/me", 1) },
		"the path /auth/refresh is one of ours": func(s string) string { return strings.Replace(s, "GET /my/me", "GET /auth/refresh", 1) },
		"POST /auth/login is one of our own calls": func(s string) string {
			return strings.NewReplacer("POST /my/login", "POST /auth/login", "username: user", "username: username").Replace(s)
		},
		"POST /auth/logout is one of our own calls, an": func(s string) string {
			return strings.NewReplacer("POST /my/logout", "POST /auth/logout", "refreshToken", "refresh_token").Replace(s)
		},
	} {
		file := filepath.Join(t.TempDir(), "mine.yaml")
		if err := os.WriteFile(file, []byte(change(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := app.Open(t.Context(), app.Config{PublicURL: "http://localhost", DataDir: sqlitetest.Dir(t), Profiles: profiles.Settings{Names: []string{file}}, Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			_ = a.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("instead of %q there is %v", want, err)
		}
	}
	if _, err := profiles.Open(profiles.Together()...); err != nil {
		t.Error(err)
	}
}

// An API behind the gateway is refused in the words of the front-end that calls
// it, so that it renews; our own calls are not.
func TestAPIsAreRefusedInTheDialect(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `"from the API"`) }))
	t.Cleanup(api.Close)
	upstreams := func(c *app.Config) {
		c.Gateway.Upstreams = []string{"/orders=" + api.URL, "/admin-api/orders=" + api.URL, "/api/v1/orders=" + api.URL}
		c.Gateway.Require = []string{"/orders/secret=nobody:has"}
	}
	for _, c := range []struct {
		profiles []string
		path     string
		ok       func(answer) bool
	}{
		{[]string{"soybean"}, "/orders", code("9999")},
		{[]string{"abp"}, "/orders", func(a answer) bool { return a.StatusCode == 401 && a.text("error.code") == "invalid_token" }},
		{[]string{"envelope"}, "/orders", func(a answer) bool { return a.StatusCode == 401 && a.at("isSuccess") == false }},
		{[]string{"gva"}, "/orders", func(a answer) bool { return a.StatusCode == 401 && a.at("data.reload") == true }},
		{profiles.Together(), "/orders", func(a answer) bool { return a.StatusCode == 401 && a.text("code") == "invalid_token" }},
		{profiles.Together(), "/admin-api/orders", code(401)},
		{profiles.Together(), "/api/v1/orders", func(a answer) bool { return a.StatusCode == 401 && a.at("code") == "A0230" }},
		{[]string{"soybean"}, "/auth/me", func(a answer) bool { return a.StatusCode == 401 && a.text("code") == "invalid_token" }},
	} {
		h := newHarness(t, upstreams, func(cfg *app.Config) { cfg.Profiles.Names = c.profiles })
		for _, token := range []string{"", "Bearer garbage"} {
			a := h.call(http.DefaultClient, "GET", c.path, "", "Authorization", token)
			if !c.ok(a) || a.Header.Get("WWW-Authenticate") == "" != (a.StatusCode == 200) {
				t.Errorf("%s with %v: %d %s", c.path, c.profiles, a.StatusCode, a.raw)
			}
		}
	}
	mine := filepath.Join(t.TempDir(), "mine.yaml") // the longest prefix counts
	if err := os.WriteFile(mine, []byte(strings.Replace(good, "envelope:", "api: [/admin-api/orders]\nenvelope:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"yudao", mine}, {mine, "yudao"}} {
		h := newHarness(t, upstreams, func(cfg *app.Config) { cfg.Profiles.Names = names })
		if a := h.call(http.DefaultClient, "GET", "/admin-api/orders/1", ""); a.StatusCode != 401 || a.at("data") != nil || a.at("msg") == "账号未登录" {
			t.Errorf("%v: %d %s", names, a.StatusCode, a.raw)
		}
	}
	h := newHarness(t, upstreams, func(cfg *app.Config) { cfg.Profiles.Names = []string{"soybean"} })
	c := h.open(styles[3])
	c.signIn("alice")
	if a := h.call(http.DefaultClient, "GET", "/orders", "", "Authorization", "Bearer "+c.access); string(a.raw) != `"from the API"` {
		t.Errorf("%d %s", a.StatusCode, a.raw)
	}
	if a := h.call(http.DefaultClient, "GET", "/orders/secret", "", "Authorization", "Bearer "+c.access); a.StatusCode != 403 || a.at("code") != "1000" {
		t.Errorf("%d %s", a.StatusCode, a.raw)
	}
}
