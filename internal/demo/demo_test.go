package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// client is a browser as far as the demo can tell: a cookie jar and what the
// page would send. Its connections are used once, so that net/http repeats
// nothing by itself.
type client struct {
	t    *testing.T
	http *http.Client
	base string
	s    *Server
}

func newClient(t *testing.T, s *Server, base string) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, base: base, s: s, http: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
	c.get("/", "", http.StatusOK)
	return c
}

func open(t *testing.T) (*client, *fakeAuth) {
	t.Helper()
	s, auth := newDemo(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return newClient(t, s, srv.URL), auth
}

func (c *client) do(method, path, access, body string) (*http.Response, string, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func (c *client) want(method, path, access, body string, status int) (*http.Response, string) {
	c.t.Helper()
	res, text, err := c.do(method, path, access, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if res.StatusCode != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, res.StatusCode, status, text)
	}
	return res, text
}

func (c *client) get(path, access string, status int) (*http.Response, string) {
	c.t.Helper()
	return c.want("GET", path, access, "", status)
}

func (c *client) post(path, body string, status int) string {
	c.t.Helper()
	_, text := c.want("POST", path, "", body, status)
	return text
}

// token signs in or renews and returns the access token.
func (c *client) token(path string) string {
	c.t.Helper()
	var r wire.TokenResponse
	if err := json.Unmarshal([]byte(c.post(path, "{}", http.StatusOK)), &r); err != nil {
		c.t.Fatal(err)
	}
	return r.AccessToken
}

func (c *client) cookie() string {
	u, _ := url.Parse(c.base + "/auth/refresh")
	return refreshCookie(c.http.Jar.Cookies(u))
}

// log is the browser's log without the hello.
func (c *client) log() []Entry {
	c.t.Helper()
	u, _ := url.Parse(c.base)
	for _, k := range c.http.Jar.Cookies(u) {
		if k.Name == cookieName {
			c.s.mu.Lock()
			b := c.s.browsers[k.Value]
			c.s.mu.Unlock()
			entries, _ := c.s.since(b, 1)
			return entries
		}
	}
	c.t.Fatal("the browser has no demo cookie")
	return nil
}

// shape is a log in words, for comparing.
func shape(log []Entry) string {
	var b strings.Builder
	for _, e := range log {
		b.WriteString(e.Kind)
		for _, s := range []string{e.Who, e.Op, e.Outcome, e.Fate} {
			if s != "" {
				b.WriteString(" " + s)
			}
		}
		if e.Status != 0 {
			b.WriteString(" " + http.StatusText(e.Status))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func wantShape(t *testing.T, log []Entry, lines ...string) {
	t.Helper()
	if got, want := shape(log), strings.Join(lines, "\n")+"\n"; got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
}

func TestPeekReadsWhatRotationSeals(t *testing.T) {
	var want rotation.Token
	for i := range want.Session {
		want.Session[i] = byte(i + 1)
	}
	want.Generation, want.Tag, want.Parent = 0x01020304, rotation.Tag{9, 8, 7}, rotation.Tag{1, 2, 3}
	sealed := rotation.Seal(rotation.Key{ID: 7, Secret: [32]byte{1}}, want)
	if got, ok := peek(sealed); !ok || got != want {
		t.Fatalf("peek(%q) = %+v, %v, want %+v", sealed, got, ok, want)
	}
	for _, bad := range []string{"", "x", sealed[1:], sealed + "A", rotation.Prefix, strings.Replace(sealed, "_rt_A", "_rt_B", 1),
		rotation.Prefix + strings.Repeat("!", len(sealed)-len(rotation.Prefix))} {
		if _, ok := peek(bad); ok {
			t.Errorf("peek(%q) accepted it", bad)
		}
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	auth := newFakeAuth()
	full := Config{Auth: auth, Protect: fakeProtect, Decisions: &auth.watch}
	for field, cut := range map[string]func(*Config){
		"Auth":      func(c *Config) { c.Auth = nil },
		"Protect":   func(c *Config) { c.Protect = nil },
		"Decisions": func(c *Config) { c.Decisions = nil },
	} {
		cfg := full
		cut(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: error %v", field, err)
		}
	}
}

func TestPage(t *testing.T) {
	c, _ := open(t)
	res, html := c.get("/", "", http.StatusOK)
	if got := res.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'self'") || strings.Contains(got, "unsafe") {
		t.Errorf("Content-Security-Policy %q", got)
	}
	for _, inline := range []string{"<style", "style=", "onclick=", "<script>"} {
		if strings.Contains(html, inline) {
			t.Errorf("the page has %q, which its policy forbids", inline)
		}
	}
	if len(res.Cookies()) != 0 {
		t.Error("a known browser got another cookie")
	}
	found := 0
	for _, quoted := range strings.Split(html, `"`) {
		if strings.HasPrefix(quoted, "/assets/") {
			found++
			res, _ := c.get(quoted, "", http.StatusOK)
			if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: Cache-Control %q", quoted, res.Header.Get("Cache-Control"))
			}
		}
	}
	if found < 2 {
		t.Errorf("the page names %d files under /assets/, want its script and its style", found)
	}
	c.get("/assets/", "", http.StatusNotFound)
	c.get("/assets/none.js", "", http.StatusNotFound)
	c.get("/BUILD", "", http.StatusTeapot) // not the demo's: the server answers
	c.get("/.well-known/jwks.json", "", http.StatusTeapot)
}

func TestSignInAndRenewalAreShown(t *testing.T) {
	c, _ := open(t)
	c.token("/auth/login")
	c.token("/auth/refresh")
	log := c.log()
	wantShape(t, log,
		"present browser login",
		"answer browser login delivered OK",
		"present browser refresh",
		"decide advanced",
		"answer browser refresh delivered OK")
	held, _ := peek(c.cookie())
	first, last := log[1].Minted, log[4].Minted
	if first.Generation != 1 || log[2].Token.Tag != first.Tag || log[3].Head.Tag != first.Tag || last.Parent != first.Tag || *last != *shown(held) {
		t.Errorf("the chain does not hang together: %+v", log)
	}
}

func TestALostAnswerIsCommittedAndNotDelivered(t *testing.T) {
	c, auth := open(t)
	c.token("/auth/login")
	before := c.cookie()
	c.post("/demo/faults", `{"lose":1}`, http.StatusNoContent)
	if _, _, err := c.do("POST", "/auth/refresh", "", "{}"); err == nil {
		t.Fatal("the answer arrived")
	}
	if c.cookie() != before || auth.calls.Load() != 1 {
		t.Fatalf("cookie changed: %v, calls: %d", c.cookie() != before, auth.calls.Load())
	}
	c.token("/auth/refresh")
	wantShape(t, c.log()[2:],
		"faults",
		"present browser refresh",
		"faults",
		"decide advanced",
		"answer browser refresh lost OK",
		"present browser refresh",
		"decide retried",
		"answer browser refresh delivered OK")
}

func TestUnavailableNeverReachesTheServer(t *testing.T) {
	c, auth := open(t)
	c.token("/auth/login")
	c.post("/demo/faults", `{"unavailable":2}`, http.StatusNoContent)
	for range 2 {
		res, _ := c.want("POST", "/auth/refresh", "", "{}", http.StatusServiceUnavailable)
		if res.Header.Get("Retry-After") == "" || len(res.Cookies()) != 0 {
			t.Error("a 503 must say when to come back and touch no cookie")
		}
	}
	if auth.calls.Load() != 0 {
		t.Errorf("the server saw %d calls", auth.calls.Load())
	}
	c.token("/auth/refresh")
}

func TestFaultsAreBounded(t *testing.T) {
	c, _ := open(t)
	for _, bad := range []string{"", "[]", `{"lose":-1}`, `{"lose":10}`, `{"slow":1000}`, `{"lose":"1"}`, `{"lose":` + strings.Repeat(" ", 2000) + `1}`} {
		c.post("/demo/faults", bad, http.StatusBadRequest)
	}
}

func TestExpireRefusesTheTokensGivenOutSoFar(t *testing.T) {
	c, _ := open(t)
	old := c.token("/auth/login")
	other := newClient(t, c.s, c.base)
	others := other.token("/auth/login")
	c.get("/api/demo/orders?n=1", old, http.StatusOK)
	c.post("/demo/expire", "", http.StatusNoContent)
	res, body := c.get("/api/demo/orders?n=1", old, http.StatusUnauthorized)
	if !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), `Bearer error="invalid_token"`) || !strings.Contains(body, wire.CodeInvalidToken) {
		t.Errorf("answer %v %s", res.Header, body)
	}
	c.get("/api/demo/orders?n=1", c.token("/auth/refresh"), http.StatusOK)
	other.get("/api/demo/orders?n=1", others, http.StatusOK)
}

func TestAPI(t *testing.T) {
	c, _ := open(t)
	c.get("/api/demo/orders", "", http.StatusUnauthorized)
	access := c.token("/auth/login")
	res, body := c.get("/api/demo/picture", access, http.StatusOK)
	if res.Header.Get("Content-Type") != "image/png" || !strings.HasPrefix(body, "\x89PNG") {
		t.Errorf("picture: %s, %d bytes", res.Header.Get("Content-Type"), len(body))
	}
	res, _ = c.get("/api/demo/admin", access, http.StatusForbidden)
	if got := res.Header.Get("WWW-Authenticate"); got != `Bearer error="insufficient_scope", scope="admin:*"` {
		t.Errorf("WWW-Authenticate %q", got)
	}
	_, body = c.want("POST", "/api/demo/echo", access, "abc", http.StatusOK)
	if !strings.Contains(body, `"bytes":3`) || !strings.Contains(body, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") {
		t.Errorf("echo: %s", body)
	}
	c.want("POST", "/api/demo/echo", access, string(bytes.Repeat([]byte("x"), maxUpload+1)), http.StatusRequestEntityTooLarge)
	c.get("/api/demo/none", access, http.StatusNotFound)
}

func TestTheThiefIsNoticed(t *testing.T) {
	c, auth := open(t)
	auth.policy.Overlap = 0
	c.post("/auth/demo/steal", "", http.StatusConflict)
	c.post("/demo/thief/renew", "", http.StatusConflict)
	c.post("/demo/thief/read", "", http.StatusConflict)
	c.token("/auth/login")
	c.post("/auth/demo/steal", "", http.StatusNoContent)
	c.post("/demo/thief/renew", "", http.StatusNoContent) // the copy becomes the head
	c.post("/demo/thief/read", "", http.StatusNoContent)
	c.token("/auth/refresh") // the original is the head: a retry
	c.token("/auth/refresh")
	c.post("/demo/thief/renew", "", http.StatusNoContent) // the fork shows
	c.post("/auth/refresh", "{}", http.StatusBadRequest)
	log := c.log()
	wantShape(t, log[2:],
		"steal thief",
		"present thief refresh", "decide advanced", "answer thief refresh delivered OK",
		"read thief OK",
		"present browser refresh", "decide retried", "answer browser refresh delivered OK",
		"present browser refresh", "decide advanced", "answer browser refresh delivered OK",
		"present thief refresh", "decide reuse_detected", "answer thief refresh delivered Bad Request",
		"present browser refresh", "decide ended", "answer browser refresh delivered Bad Request")
	reuse := log[len(log)-5]
	if reuse.By.Address != "203.0.113.66" || reuse.By.UserAgent != "Thief/1.0" || reuse.HeldBy.Address != "127.0.0.1" {
		t.Errorf("the event names %+v and %+v", reuse.By, reuse.HeldBy)
	}
	if !log[len(log)-1].Cleared {
		t.Error("the log does not say that the cookie was cleared")
	}
}

func TestControlsRefuseOtherSites(t *testing.T) {
	c, _ := open(t)
	c.token("/auth/login")
	for _, path := range []string{"/demo/faults", "/demo/expire", "/auth/demo/steal", "/demo/thief/renew", "/demo/thief/read"} {
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", c.base+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(header, value)
			res, err := c.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %s: %s answered %d", path, header, value, res.StatusCode)
			}
		}
	}
	if got := len(c.log()); got != 2 {
		t.Errorf("%d entries, want those of the sign-in only", got)
	}
}

func TestAnUnknownBrowserIsToldToReload(t *testing.T) {
	s, _ := newDemo(t)
	for _, path := range []string{"POST /demo/expire", "GET /demo/stream", "POST /auth/demo/steal"} {
		method, path, _ := strings.Cut(path, " ")
		req := httptest.NewRequest(method, path, nil)
		req.AddCookie(&http.Cookie{Name: cookieName, Value: "made-up"})
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "again") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestSignOutIsShown(t *testing.T) {
	c, _ := open(t)
	c.token("/auth/login")
	c.post("/auth/logout", "{}", http.StatusNoContent)
	wantShape(t, c.log()[2:], "present browser logout", "answer browser logout delivered No Content")
	if e := c.log()[3]; !e.Cleared {
		t.Error("the log does not say that the cookie was cleared")
	}
}
