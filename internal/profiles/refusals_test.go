package profiles_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// The refusals that every dialect has a form for. The first three are of a
// sign-in, the next two of any call with an access token, the others of a renewal.
var refusals = []string{
	"wrong password", "oversized sign-in", "sign-in of the wrong type",
	"access token expired", "access token of a session that has ended",
	"expired", "revoked", "stolen", "foreign user id", "oversized", "of the wrong type",
}

// forms is how each dialect says so: the status, and members of the body. They
// are written down from the front-ends (wire.md §3), not from the profile files.
// "-" is for what the dialect has no place for: it names no user.
var forms = map[string][]string{
	"envelope": {
		"200 isSuccess=false data=<nil>", "413 isSuccess=false", "415 isSuccess=false",
		"401 isSuccess=false", "401 isSuccess=false",
		"403 isSuccess=false data=<nil>", "403 isSuccess=false data=<nil>", "403 isSuccess=false data=<nil>", "-", "413 isSuccess=false", "415 isSuccess=false",
	},
	"abp": {
		"400 error.code=invalid_credentials error.details=<nil>", "413 error.code=content_too_large", "415 error.code=unsupported_media_type",
		"401 error.code=invalid_token", "401 error.code=invalid_token",
		"200 success=false token=<nil> refreshToken=<nil>", "200 success=false token=<nil> refreshToken=<nil>", "200 success=false token=<nil> refreshToken=<nil>",
		"200 success=false token=<nil> refreshToken=<nil>", "413 success=false token=<nil>", "415 success=false token=<nil>",
	},
	"vben": {
		"403 code=-1 data=<nil>", "413 code=-1", "415 code=-1",
		"401 code=-1 data=<nil>", "401 code=-1 data=<nil>",
		"403 code=-1 data=<nil>", "403 code=-1 data=<nil>", "403 code=-1 data=<nil>", "-", "413 code=-1", "415 code=-1",
	},
	"soybean": {
		"200 code=1000 data=<nil>", "413 code=1000", "415 code=1000",
		"200 code=9999 data=<nil>", "200 code=9999 data=<nil>",
		"200 code=8888 data=<nil>", "200 code=8888 data=<nil>", "200 code=8888 data=<nil>", "-", "413 code=1000", "415 code=1000",
	},
	"yudao": {
		"200 code=1.002e+09 data=<nil>", "413 code=413", "415 code=415",
		"200 code=401 msg=账号未登录", "200 code=401 msg=账号未登录",
		"200 code=401 msg=刷新令牌已过期", "200 code=401 msg=无效的刷新令牌", "200 code=401 msg=无效的刷新令牌", "-", "413 code=413", "415 code=415",
	},
	"youlai": {
		"400 code=A0210 data=<nil>", "413 code=B0001", "415 code=B0001",
		"401 code=A0230", "401 code=A0230",
		"400 code=A0231 data=<nil>", "400 code=A0231 data=<nil>", "400 code=A0231 data=<nil>", "-", "413 code=B0001", "415 code=B0001",
	},
	"pure": {
		"200 success=false data=<nil>", "413 success=false", "415 success=false",
		"401 success=false data=<nil>", "401 success=false data=<nil>",
		"400 success=false data=<nil>", "400 success=false data=<nil>", "400 success=false data=<nil>", "-", "413 success=false", "415 success=false",
	},
	"nova": {
		"200 code=400 data=<nil>", "413 code=413", "415 code=415",
		"401 code=401 data=<nil>", "401 code=401 data=<nil>",
		"200 code=400 data=<nil>", "200 code=400 data=<nil>", "200 code=400 data=<nil>", "-", "413 code=413 data=<nil>", "415 code=415 data=<nil>",
	},
	"cool-admin": {
		"200 code=1001", "413 code=1001", "415 code=1001",
		"401 code=1001", "401 code=1001",
		"401 code=1001", "401 code=1001", "401 code=1001", "-", "413 code=1001", "415 code=1001",
	},
	// One token: a refused renewal is a refused call.
	"gva": {
		"200 code=7", "413 code=7", "415 code=7",
		"401 code=7 data.reload=true", "401 code=7 data.reload=true",
		"401 code=7 data.reload=true", "401 code=7 data.reload=true", "401 code=7 data.reload=true", "-", "413 code=7", "415 code=7",
	},
}

// has says how an answer differs from a form, or nothing.
func (a answer) has(form string) string {
	status, members, _ := strings.Cut(form, " ")
	if strconv.Itoa(a.StatusCode) != status {
		return "the status is " + strconv.Itoa(a.StatusCode)
	}
	for member := range strings.FieldsSeq(members) {
		path, want, _ := strings.Cut(member, "=")
		if got := fmt.Sprint(a.at(path)); got != want {
			return path + " is " + got
		}
	}
	return ""
}

func padding() string { return strings.Repeat("x", 70_000) }

// refuser is a client of one dialect whose front-end does one thing wrong at a time.
type refuser interface {
	// start begins anew, with a session of its own.
	start()
	login(password, padding, contentType string) answer
	who() answer
	// renew presents what the client holds; steal what somebody else has copied
	// and presents when the client has moved on.
	renew(padding, contentType string) answer
	steal() answer
	renewed(answer) bool
	session() rotation.SessionID
}

func TestEveryRefusalHasTheFormOfItsDialect(t *testing.T) {
	for name := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ttl := accessTTL
			if name == "gva" {
				ttl = 15 * time.Minute // two renewals within one life, and the overlap between them
			}
			h := newHarness(t, func(c *app.Config) { c.AccessTTL, c.Profiles.TTL = ttl, ttl })
			var c refuser = &gvaRefuser{harness: h, ttl: ttl}
			for _, s := range styles {
				if s.name == name {
					c = &styleRefuser{tab: h.open(s)}
				}
			}
			form := map[string]string{}
			for i, refusal := range refusals {
				form[refusal] = forms[name][i]
			}
			check := func(refusal string, a answer) {
				t.Helper()
				if form[refusal] == "" || form[refusal] == "-" {
					t.Fatalf("%s has no form", refusal)
				}
				if diff := a.has(form[refusal]); diff != "" {
					t.Errorf("%s: %s, want %s: %s", refusal, diff, form[refusal], a.raw)
				}
				if got := a.Header.Get("Content-Type"); got != "application/json" {
					t.Errorf("%s: Content-Type %q", refusal, got)
				}
				if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("New-Token") != "" || len(a.Header.Values("Set-Cookie")) > 0 {
					t.Errorf("%s: %v", refusal, a.Header)
				}
				for _, secret := range []string{"eyJ", rotation.Prefix} {
					if strings.Contains(string(a.raw), secret) {
						t.Errorf("%s: a token in %s", refusal, a.raw)
					}
				}
			}

			check("wrong password", c.login("wrong", "", "application/json"))
			h.Clock.Advance(time.Hour)
			check("oversized sign-in", c.login("alice", padding(), "application/json"))
			check("sign-in of the wrong type", c.login("alice", "", "text/plain"))

			// What is refused before anything is looked at consumes nothing.
			c.start()
			check("oversized", c.renew(padding(), "application/json"))
			check("of the wrong type", c.renew("", "text/plain"))
			if f, ok := c.(*styleRefuser); ok && form["foreign user id"] != "-" {
				own := f.userID
				f.userID = "11111111-2222-3333-4444-555555555555"
				check("foreign user id", c.renew("", "application/json"))
				f.userID = profiles.GUID("bob")
				check("foreign user id", c.renew("", "application/json"))
				f.userID = own
			}
			if a := c.renew("", "application/json"); !c.renewed(a) {
				t.Fatalf("a refusal has consumed the token: %d %s", a.StatusCode, a.raw)
			}

			h.Clock.Advance(ttl)
			check("access token expired", c.who())

			c.start()
			check("stolen", c.steal())
			if !strings.Contains(h.Logged.String(), wire.EventReuseDetected) {
				t.Error("nobody was told of the theft")
			}

			c.start()
			if err := h.App.Sessions.End(t.Context(), c.session(), "ended_by_admin"); err != nil {
				t.Fatal(err)
			}
			check("access token of a session that has ended", c.who())
			check("revoked", c.renew("", "application/json"))

			c.start()
			h.Clock.Advance(14 * 24 * time.Hour)
			check("expired", c.renew("", "application/json"))
		})
	}
	if len(forms) != len(styles)+1 {
		t.Errorf("forms of %d profiles, and there are %d", len(forms), len(styles)+1)
	}
}

// styleRefuser is a client that holds two tokens.
type styleRefuser struct{ *tab }

func (c *styleRefuser) start() {
	c.tab = c.harness.open(c.style)
	c.tab.signIn("alice")
}

func (c *styleRefuser) login(password, padding, contentType string) answer {
	body := strings.Replace(fmt.Sprintf(c.style.login[2], "alice", password), "}", `,"x":"`+padding+`"}`, 1)
	return c.call(apptest.NewBrowser(), c.style.login[0], c.style.login[1], body, "Content-Type", contentType)
}

func (c *styleRefuser) renew(padding, contentType string) answer {
	whole := c.style.renew
	defer func() { c.style.renew = whole }()
	switch {
	case c.style.renew[2] == "" && (padding != "" || contentType != "application/json"):
		c.style.renew[2] = `{"x":"` + padding + `"}` // the token is in the query; here is a body
	case padding != "":
		c.style.renew[2] = strings.Replace(c.style.renew[2], "{", `{"x":"`+padding+`",`, 1)
	}
	return c.present(c.refresh, "Content-Type", contentType)
}

func (c *styleRefuser) steal() answer {
	stolen := c.refresh
	for range 2 {
		c.tab.renewed(c.present(c.refresh))
	}
	c.Clock.Advance(time.Minute)
	return c.elsewhere().present(stolen)
}

func (c *styleRefuser) session() rotation.SessionID {
	t, err := c.App.Sessions.Open(c.Context(), c.refresh)
	if err != nil {
		c.Fatal(err)
	}
	return t.Session
}

// gvaRefuser is the client that knows one token: a call near its end renews.
type gvaRefuser struct {
	*harness
	ttl           time.Duration
	token, before string
}

func (c *gvaRefuser) start() {
	c.token = c.login("alice", "", "application/json").text("data.token")
	if c.before = c.token; c.token == "" {
		c.Fatal("alice could not sign in")
	}
}

func (c *gvaRefuser) login(password, padding, contentType string) answer {
	body := `{"username":"alice","password":"` + password + `","x":"` + padding + `"}`
	return c.call(http.DefaultClient, "POST", "/base/login", body, "Content-Type", contentType)
}

// use calls with a token, and puts the next one in its place.
func (c *gvaRefuser) use(token *string) answer {
	a := c.call(http.DefaultClient, "GET", gvaUser, "", "X-Token", *token)
	if next := a.Header.Get("New-Token"); next != "" {
		*token = next
	}
	return a
}

func (c *gvaRefuser) who() answer { return c.use(&c.token) }

func (c *gvaRefuser) renew(padding, contentType string) answer {
	if padding != "" || contentType != "application/json" {
		// The only call of the dialect that has a body and takes the token.
		return c.call(http.DefaultClient, "POST", "/jwt/jsonInBlacklist", `{"x":"`+padding+`"}`, "X-Token", c.token, "Content-Type", contentType)
	}
	c.Clock.Advance(c.ttl * 4 / 5)
	return c.use(&c.token)
}

func (c *gvaRefuser) renewed(a answer) bool { return code(0)(a) && c.token != c.before }

// steal: either answer of the first renewal could have been lost, so that both
// have one; the second one tells them apart.
func (c *gvaRefuser) steal() answer {
	thief := c.token
	c.Clock.Advance(c.ttl * 4 / 5)
	c.use(&c.token)
	c.use(&thief)
	c.Clock.Advance(c.ttl * 4 / 5)
	c.use(&c.token)
	c.Clock.Advance(time.Minute)
	return c.use(&thief)
}

func (c *gvaRefuser) session() rotation.SessionID {
	t, err := c.App.Verifier.Verify(c.Context(), c.token)
	if err != nil {
		c.Fatal(err)
	}
	id, err := rotation.ParseSessionID(t.SessionID())
	if err != nil {
		c.Fatal(err)
	}
	return id
}
