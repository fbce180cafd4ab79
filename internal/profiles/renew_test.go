package profiles_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
)

// gva is a client that knows one token and takes the next one from the headers
// of any answer.
type gva struct {
	*harness
	token string
}

func (h *harness) gva(name string) *gva {
	h.Helper()
	a := h.call(http.DefaultClient, "POST", "/base/login", fmt.Sprintf(`{"username":"%s","password":"%s","captcha":"","captchaId":""}`, name, name))
	if !code(0)(a) || a.text("data.token") == "" {
		h.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	if at := a.at("data.expiresAt").(float64); int64(at) != h.Clock.Now().Add(accessTTL).UnixMilli() {
		h.Fatalf("expiresAt %v", at)
	}
	return &gva{h, a.text("data.token")}
}

// get calls any route, as a page does: a new token replaces the old one.
func (g *gva) get(path string) answer {
	g.Helper()
	a := g.call(http.DefaultClient, "GET", path, "", "X-Token", g.token, "X-User-Id", "1")
	if next := a.Header.Get("New-Token"); next != "" {
		if a.Header.Get("New-Expires-At") != strconv.FormatInt(g.Clock.Now().Add(accessTTL).Unix(), 10) {
			g.Fatalf("new-expires-at %q", a.Header.Get("New-Expires-At"))
		}
		g.token = next
	}
	return a
}

const gvaUser = "/user/getUserInfo"

func TestATokenNearItsEndIsRenewedInTheHeaders(t *testing.T) {
	h := newHarness(t)
	g := h.gva("alice")
	if a := g.get(gvaUser); !code(0)(a) || a.text("data.userInfo.userName") != "alice" || a.Header.Get("New-Token") != "" {
		t.Fatalf("a fresh token: %d %s, renewed: %v", a.StatusCode, a.raw, a.Header.Get("New-Token") != "")
	}
	for range 20 { // much longer than one token lives
		h.Clock.Advance(accessTTL * 4 / 5)
		before := g.token
		if a := g.get(gvaUser); !code(0)(a) || g.token == before {
			t.Fatalf("near the end: %d %s, renewed: %v", a.StatusCode, a.raw, g.token != before)
		}
	}
	h.Clock.Advance(accessTTL)
	if a := g.get(gvaUser); a.StatusCode != 401 || a.Header.Get("New-Token") != "" || fmt.Sprint(a.at("code")) != "7" {
		t.Fatalf("after the end: %d %s", a.StatusCode, a.raw)
	}
}

// The new token comes with the answers of an API behind the gateway as well, and
// the API gets the token where every other client has it.
func TestTheGatewayRenewsToo(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, `{"code":0,"data":"from the API","msg":""}`)
	}))
	t.Cleanup(api.Close)
	h := newHarness(t, func(c *app.Config) { c.Gateway.Upstreams = []string{"/menu=" + api.URL} })
	g := h.gva("alice")
	for range 3 {
		h.Clock.Advance(accessTTL * 4 / 5)
		before := g.token
		if a := g.get("/menu/getMenu"); !code(0)(a) || a.at("data") != "from the API" || g.token == before {
			t.Fatalf("%d %s, renewed: %v", a.StatusCode, a.raw, g.token != before)
		}
	}
	h.Clock.Advance(accessTTL)
	if a := g.get("/menu/getMenu"); a.StatusCode != 401 {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
}

func TestManyCallsNearTheEnd(t *testing.T) {
	h := newHarness(t)
	g := h.gva("alice")
	for range 5 {
		h.Clock.Advance(accessTTL * 4 / 5)
		tokens := make([]string, 5)
		var work sync.WaitGroup
		for i := range tokens {
			work.Go(func() {
				c := *g
				if a := c.get(gvaUser); code(0)(a) {
					tokens[i] = c.token
				}
			})
		}
		work.Wait()
		for _, token := range tokens {
			if token == "" || token == g.token {
				t.Fatal("a call near the end failed or was not renewed")
			}
		}
		g.token = tokens[3] // whichever came last
	}
	if a := g.get(gvaUser); !code(0)(a) {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
}

// Two holders of one token that both carry on are found out, as anywhere else.
func TestACopyOfTheOnlyTokenIsFoundOut(t *testing.T) {
	const ttl = 15 * time.Minute
	h := newHarness(t, func(c *app.Config) { c.Profiles.TTL = ttl })
	a := h.call(http.DefaultClient, "POST", "/base/login", `{"username":"alice","password":"alice"}`)
	tokens := map[string]string{"victim": a.text("data.token"), "thief": a.text("data.token")}
	call := func(who string) int {
		a := h.call(http.DefaultClient, "GET", gvaUser, "", "X-Token", tokens[who])
		if next := a.Header.Get("New-Token"); next != "" {
			tokens[who] = next
		}
		return a.StatusCode
	}
	h.Clock.Advance(ttl * 4 / 5)
	if call("victim") != 200 || call("thief") != 200 || tokens["victim"] == tokens["thief"] {
		t.Fatal("both can renew once: the answer of one could have been lost")
	}
	h.Clock.Advance(ttl * 4 / 5)
	before := tokens["victim"]
	if call("victim") != 200 || tokens["victim"] == before {
		t.Fatal("the victim renews")
	}
	h.Clock.Advance(time.Minute)
	if call("thief") == 200 || call("victim") == 200 {
		t.Fatal("two holders of one token were not found out")
	}
	if !strings.Contains(h.Logged.String(), "reuse.detected") {
		t.Fatal("nobody was told")
	}
}

func TestOneTokenRefusalsAndSignOut(t *testing.T) {
	h := newHarness(t)
	tr := &transcript{}
	login := func(body string, headers ...string) answer {
		return h.call(http.DefaultClient, "POST", "/base/login", body, headers...)
	}
	tr.note("a wrong password", login(`{"username":"alice","password":"wrong"}`))
	tr.note("no password", login(`{"username":"alice"}`))
	tr.note("the wrong type", login(`{"username":"alice","password":"alice"}`, "Content-Type", "text/plain"))
	tr.note("oversized", login(`{"username":"`+strings.Repeat("x", 70_000)+`"}`))
	tr.note("captcha", h.call(http.DefaultClient, "POST", "/base/captcha", "{}"))
	h.Clock.Advance(time.Hour)
	tr.note("sign-in", login(`{"username":"alice","password":"alice"}`))
	g := h.gva("alice")
	tr.note("who", g.get(gvaUser))
	h.Clock.Advance(accessTTL * 4 / 5)
	tr.note("who, near the end", g.get(gvaUser))
	token := g.token
	for _, bad := range []string{"", "null", "undefined", "garbage", token[:len(token)-4] + "AAAA"} {
		g.token = bad
		if a := g.get(gvaUser); a.StatusCode != 401 || a.Header.Get("New-Token") != "" {
			t.Fatalf("%q: %d %s", bad, a.StatusCode, a.raw)
		}
	}
	g.token = token
	h.Clock.Advance(24 * time.Hour)
	tr.note("who, with a token that has expired", g.get(gvaUser))
	tr.note("sign-out with a dead token", h.call(http.DefaultClient, "POST", "/jwt/jsonInBlacklist", "", "X-Token", g.token))
	tr.note("sign-out again", h.call(http.DefaultClient, "POST", "/jwt/jsonInBlacklist", "", "X-Token", g.token))

	g = h.gva("bob")
	h.call(http.DefaultClient, "POST", "/jwt/jsonInBlacklist", "{}", "X-Token", g.token)
	tr.note("who, after the sign-out", g.get(gvaUser))
	tr.check(t, "gva")
	if strings.Contains(h.Logged.String(), "eyJ") {
		t.Fatal("a token is in the log")
	}
}

// What the access token carries is worth nothing by itself, and native clients
// do not get it.
func TestOnlyTheDialectWithOneTokenCarriesIt(t *testing.T) {
	h := newHarness(t)
	c := h.open(styles[0])
	c.signIn("alice")
	h.Clock.Advance(accessTTL * 4 / 5)
	a := h.call(http.DefaultClient, "GET", gvaUser, "", "X-Token", c.access)
	if !code(0)(a) || a.Header.Get("New-Token") != "" {
		t.Fatalf("another dialect's token was renewed: %d %s", a.StatusCode, a.raw)
	}
}

// A slow duplicate brings no new token that could not renew in its turn.
func TestASlowDuplicateBringsNoNewToken(t *testing.T) {
	const ttl = 15 * time.Minute
	h := newHarness(t, func(c *app.Config) { c.Profiles.TTL = ttl })
	token := h.call(http.DefaultClient, "POST", "/base/login", `{"username":"alice","password":"alice"}`).text("data.token")
	call := func(token string) answer { return h.call(http.DefaultClient, "GET", gvaUser, "", "X-Token", token) }
	h.Clock.Advance(ttl * 4 / 5)
	one, two := call(token).Header.Get("New-Token"), call(token).Header.Get("New-Token")
	h.Clock.Advance(ttl * 4 / 5)
	if a := call(one); !code(0)(a) || a.Header.Get("New-Token") == "" {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	if a := call(two); !code(0)(a) || a.Header.Get("New-Token") != "" {
		t.Fatalf("%d %s, new token: %v", a.StatusCode, a.raw, a.Header.Get("New-Token") != "")
	}
}
