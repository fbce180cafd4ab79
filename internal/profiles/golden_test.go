package profiles_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// transcript notes down answers without what differs from run to run.
type transcript struct{ strings.Builder }

var random = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "<access token>"},
	{regexp.MustCompile(`tacet_rt_[\w-]+`), "<refresh token>"},
	{regexp.MustCompile(`tacet_csrf=(\d+\.)[\w-]+`), "tacet_csrf=$1<CSRF token>"},
	{regexp.MustCompile(`kept-in-cookie\.[\w-]+`), "kept-in-cookie.<session>"},
	{regexp.MustCompile(`Retry-After: [1-3]\n`), "Retry-After: <1 to 3>\n"},
}

func (t *transcript) note(what string, a answer) answer {
	fmt.Fprintf(t, "# %s\n%s %s\n%d\n", what, a.Request.Method, a.Request.URL.Path, a.StatusCode)
	for _, name := range []string{"Content-Type", "Cache-Control", "Www-Authenticate", "Retry-After", "New-Token", "New-Expires-At", "Set-Cookie"} {
		for _, v := range a.Header.Values(name) {
			fmt.Fprintf(t, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(t, "%s\n\n", a.raw)
	return a
}

func (t *transcript) check(test *testing.T, name string) {
	test.Helper()
	got := t.String()
	for _, r := range random {
		got = r.re.ReplaceAllString(got, r.with)
	}
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			test.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		test.Fatal(err)
	}
	if got != string(want) {
		test.Errorf("%s differs (go test -update writes it anew):\n%s", file, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			line := "nothing"
			if i < len(w) {
				line = w[i]
			}
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, g[i], line)
		}
	}
	return "the end is missing"
}

// Every shape of answer, and every refusal, in the form of each dialect.
func TestAnswersAreThoseOfTheGoldenFiles(t *testing.T) {
	forEach(t, func(t *testing.T, s style) {
		h := newHarness(t)
		tr := &transcript{}
		c := h.open(s)
		login := func(body string, headers ...string) answer {
			return h.call(c.http, s.login[0], s.login[1], body, headers...)
		}
		good := fmt.Sprintf(s.login[2], "alice", "alice")
		tr.note("a wrong password", login(fmt.Sprintf(s.login[2], "alice", "wrong")))
		tr.note("a wrong password, in Chinese", login(fmt.Sprintf(s.login[2], "alice", "wrong"), "Accept-Language", "zh-CN,zh;q=0.9"))
		tr.note("no password", login(fmt.Sprintf(s.login[2], "alice", "")))
		tr.note("no JSON", login(good[:len(good)-1]))
		tr.note("a sign-in of the wrong type", login(good, "Content-Type", "text/plain"))
		tr.note("an oversized sign-in", login(good[:len(good)-1]+`,"x":"`+strings.Repeat("x", 70_000)+`"}`))
		tr.note("a sign-in from a foreign page", login(good, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"))
		h.Clock.Advance(time.Hour) // past the delay after wrong passwords
		tr.note("sign-in", c.signIn("alice"))
		tr.note("who", c.who())
		tr.note("who, without a token", h.call(c.http, "GET", s.user, ""))
		tr.note("who, with the token null", h.call(c.http, "GET", s.user, "", "Authorization", "Bearer null"))
		tr.note("who, with garbage", h.call(c.http, "GET", s.user, "", "Authorization", "Bearer garbage"))

		tr.note("a renewal of the wrong type", c.present(c.refresh, "Content-Type", "text/plain"))
		tr.note("a renewal from a foreign page", c.present(c.refresh, "Origin", "https://evil.example"))
		tr.note("an oversized renewal", h.call(c.http, s.renew[0], s.renew[1], `{"x":"`+strings.Repeat("x", 70_000)+`"}`))
		tr.note("a renewal without a token", c.present(""))
		tr.note("a renewal with a token that is not authentic", c.present("tacet_rt_AAAA"))
		if s.cookieName == "" {
			c.refresh = h.Cookie(c.http, "/", "tacet_kept") // newer than what the page has not read
		}
		stolen := c.refresh
		a := tr.note("renewal", c.present(c.refresh))
		if !c.renewed(a) {
			t.Fatalf("%s", a.raw)
		}
		tr.note("a slow duplicate", func() answer { c.renewed(c.present(c.refresh)); return c.late(stolen) }())
		h.People.Fail(errOutage)
		tr.note("a renewal during an outage", c.present(c.refresh))
		tr.note("a sign-in during an outage", login(good))
		h.People.Fail(nil)
		h.Clock.Advance(accessTTL)
		tr.note("who, with a token that has expired", c.who())
		tr.note("a token that was used by two", c.elsewhere().present(stolen))
		tr.note("a session that has ended", c.present(c.refresh))
		tr.note("sign-out with dead tokens", c.signOut())

		old := h.open(s)
		old.signIn("bob")
		h.Clock.Advance(14 * 24 * time.Hour)
		tr.note("a session that has expired", old.present(old.refresh))
		var throttled answer
		for range 40 {
			if throttled = login(fmt.Sprintf(s.login[2], "alice", "wrong")); throttled.Header.Get("Retry-After") != "" {
				break
			}
		}
		h.Clock.Advance(time.Hour)
		tr.note("too many wrong passwords", throttled)
		for _, path := range []string{"/api/abp/application-configuration", "/api/app/abp-pro-basic-application-configuration"} {
			if s.name == "abp" {
				tr.note("anonymous", h.call(c.http, "GET", path, ""))
			}
		}
		if s.name == "abp" {
			d := h.open(s)
			d.signIn("alice")
			d.userID = "11111111-2222-3333-4444-555555555555"
			tr.note("a foreign user id", d.present(d.refresh))
			d.userID = ""
			tr.note("no user id", d.present(d.refresh))
		}
		for _, path := range map[string][]string{
			"vben": {"/api/auth/codes"}, "yudao": {"/admin-api/system/tenant/get-id-by-name?name=x"}, "youlai": {"/api/v1/auth/captcha"},
		}[s.name] {
			d := h.open(s)
			d.signIn("alice")
			tr.note("also", h.call(d.http, "GET", path, "", "Authorization", "Bearer "+d.access))
		}
		tr.check(t, s.name)
	})
}

// Under TLS the cookies are Secure, and the one of the native name has its prefix.
func TestCookiesUnderTLS(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.PublicURL = "https://app.example.com"; c.SameSite = "strict" })
	tr := &transcript{}
	for _, s := range styles {
		if s.cookieName != "" {
			a := h.call(apptest.NewBrowser(), s.login[0], s.login[1], fmt.Sprintf(s.login[2], "alice", "alice"))
			tr.note(s.name, a)
		}
	}
	tr.check(t, "tls")
}
