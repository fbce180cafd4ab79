package remoteusers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/remoteusers"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

func TestUsersOfAnotherSystem(t *testing.T) {
	h := newHarness(t)
	first := h.signIn("ada")
	if u := first.User; u == nil || *u != (wire.User{ID: "7", Username: "ada", DisplayName: "Ada L.", Email: "ada@example.com"}) {
		t.Errorf("signed in as %+v", u)
	}
	if got := h.asked[0]; got != (remoteusers.Credentials{Username: "ada", Password: "ada", Address: "127.0.0.1", UserAgent: "a browser"}) {
		t.Errorf("the system was asked %+v", got)
	}
	var me wire.Me
	h.call("GET", "/auth/me", first.AccessToken, "", &me)
	if me.Roles[0] != "editor" || me.Permissions[0] != "orders:read" || me.GrantsVersion != 3 || me.Settings["theme"] != "dark" {
		t.Errorf("me is %+v", me)
	}
	for _, body := range []string{`{"username":"ada","password":"wrong"}`, `{"username":"nobody","password":"nobody"}`} {
		if text := h.want(400, "POST", "/auth/login", "", body); !strings.Contains(text, wire.CodeInvalidCredentials) {
			t.Errorf("%s: %s", body, text)
		}
	}
	if code, _ := h.refresh(h.signIn("odd")); code != 200 {
		t.Errorf("refresh of a user with an odd id: %d", code)
	}

	// What the system says at a refresh counts, without any memory.
	h.change("7", func(u *remoteusers.User) { u.Permissions = []string{"orders:*"} })
	code, second := h.refresh(first)
	h.call("GET", "/auth/me", second.AccessToken, "", &me)
	if code != 200 || me.Permissions[0] != "orders:*" {
		t.Errorf("after the change: %d, %v", code, me.Permissions)
	}
	h.mu.Lock()
	delete(h.users, "7")
	h.mu.Unlock()
	if code, _ := h.refresh(second); code != 400 {
		t.Errorf("refresh of a user who is gone: %d", code)
	}
	h.want(401, "GET", "/auth/me", second.AccessToken, "")
}

// Every way to give wrong credentials, and every way to know no user.
func TestStatusesOfTheOtherSystem(t *testing.T) {
	for status, want := range map[int]int{400: 400, 401: 400, 403: 400, 404: 503, 410: 503, 429: 503, 500: 503, 201: 503, 204: 503} {
		h := newHarness(t)
		h.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		h.want(want, "POST", "/auth/login", "", `{"username":"ada","password":"ada"}`)
	}
	for status, want := range map[int]int{404: 400, 410: 400, 400: 503, 401: 503, 403: 503, 500: 503, 201: 503, 204: 503} {
		h := newHarness(t)
		tokens := h.signIn("ada")
		h.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if code, _ := h.refresh(tokens); code != want {
			t.Errorf("refresh while the system answers %d: %d, want %d", status, code, want)
		}
		h.does(nil)
		again := 200
		if want == 400 {
			again = 400 // the session is over
		}
		if code, _ := h.refresh(tokens); code != again {
			t.Errorf("refresh after the system answered %d: %d, want %d", status, code, again)
		}
	}
}

const ada = `{"id":"7","username":"ada","permissions":["orders:read"],"grants_version":3}`

// lies are responses that are none; all of them are outages.
func lies(elsewhere string) map[string]http.HandlerFunc {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+r.URL.Path, status)
		}
	}
	return map[string]http.HandlerFunc{
		"another user":           text(`{"id":"8","username":"ada"}`),
		"no id":                  text(`{"username":"ada"}`),
		"an id that is no text":  text(`{"id":7,"username":"ada"}`),
		"null":                   text(`null`),
		"a list":                 text(`[` + ada + `]`),
		"nothing":                text(``),
		"two users":              text(ada + ada),
		"a page":                 text(`<!doctype html><title>Sign in</title>`),
		"half of it":             text(ada[:len(ada)-1]),
		"one byte too much":      text(ada + strings.Repeat(" ", 64<<10+1-len(ada))),
		"two permissions in one": text(`{"id":"7","username":"ada","permissions":["orders:read admin:*"]}`),
		"a negative version":     text(`{"id":"7","username":"ada","grants_version":-1}`),
		"moved":                  redirect(301), "found": redirect(302), "see other": redirect(303), "temporary": redirect(307), "permanent": redirect(308),
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(ada))
		},
		"hung up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a huge 404": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = w.Write(make([]byte, 64<<10+1))
		},
	}
}

// Whatever is no response is an outage: 503, nobody is signed in and nobody out.
func TestLiesAreOutages(t *testing.T) {
	elsewhere := newSystem(t) // has the user, and must not be asked
	for name, lie := range lies(elsewhere.URL) {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			tokens := h.signIn("ada")
			h.does(lie)
			if name != "another user" { // whom it may well mean by the name
				h.want(503, "POST", "/auth/login", "", `{"username":"ada","password":"ada"}`)
			}
			if code, _ := h.refresh(tokens); code != 503 {
				t.Errorf("refresh: %d", code)
			}
			res, text := h.call("GET", "/auth/me", tokens.AccessToken, "", nil)
			if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
				t.Errorf("me: %d %s", res.StatusCode, text)
			}
			h.does(nil)
			code, next := h.refresh(tokens)
			if code != 200 {
				t.Errorf("refresh afterwards: %d", code)
			}
			h.want(200, "GET", "/auth/me", next.AccessToken, "")
			if strings.Contains(h.log.String(), secret) {
				t.Error("the secret is in the log")
			}
		})
	}
	if len(elsewhere.asked) > 0 {
		t.Error("a redirect was followed with a password")
	}
}

func TestExactly64KiBAreRead(t *testing.T) {
	h := newHarness(t)
	tokens := h.signIn("ada")
	h.does(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(ada + strings.Repeat(" ", 64<<10-len(ada))))
	})
	if code, _ := h.refresh(tokens); code != 200 {
		t.Errorf("refresh: %d", code)
	}
}

func TestASystemThatIsGone(t *testing.T) {
	h := newHarness(t)
	tokens := h.signIn("ada")
	h.system.Close()
	h.want(503, "POST", "/auth/login", "", `{"username":"ada","password":"ada"}`)
	if code, _ := h.refresh(tokens); code != 503 {
		t.Errorf("refresh: %d", code)
	}
	sessions, err := h.app.Sessions.List(t.Context(), "7")
	if err != nil || len(sessions) != 1 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
}

// slowly answers after a while, or sends the body byte by byte.
type slowly struct{ first, each time.Duration }

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := sleep(r, s.first); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: &trickle{r: r, each: s.each, left: ada}}, nil
}

func sleep(r *http.Request, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

type trickle struct {
	r    *http.Request
	each time.Duration
	left string
}

func (b *trickle) Read(p []byte) (int, error) {
	if err := sleep(b.r, b.each); err != nil {
		return 0, err
	}
	n := copy(p[:1], b.left)
	b.left = b.left[n:]
	if n == 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	return n, nil
}

func (b *trickle) Close() error { return nil }

// A call takes 5 s at most, with its whole response.
func TestTimeLimit(t *testing.T) {
	for name, c := range map[string]slowly{
		"no response":      {first: time.Hour},
		"a body in drops":  {each: time.Second},
		"a body that ends": {first: 4 * time.Second, each: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				users := remoteusers.New("http://users.localhost", secret)
				users.UseTransport(c)
				began := time.Now()
				if _, err := users.User(t.Context(), "7"); err == nil {
					t.Error("the user was read")
				} else if err == session.ErrNoUser {
					t.Error(err)
				}
				if took := time.Since(began); took != 5*time.Second {
					t.Errorf("gave up after %s", took)
				}
			})
		})
	}
}

// The other system says that grants have changed: at the gateway, which asks
// nobody, the next request is refused.
func TestGrantsChanged(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer api.Close()
	h := newHarness(t, func(c *app.Config) { c.Gateway.Upstreams = []string{"/api=" + api.URL} })
	tokens := h.signIn("ada")
	h.change("7", func(u *remoteusers.User) { u.Permissions, u.GrantsVersion = []string{"orders:*"}, 4 })
	const path = "/auth/admin/users/7/grants-changed"
	h.want(401, "POST", path, "", `{"grants_version":4}`)
	h.want(401, "POST", path, "not-the-secret-at-all", `{"grants_version":4}`)
	h.want(401, "POST", path, tokens.AccessToken, `{"grants_version":4}`)
	h.want(400, "POST", path, secret, `{"grants_version":0}`)
	h.want(400, "POST", path, secret, `{}`)
	h.want(200, "GET", "/api", tokens.AccessToken, "")
	h.want(204, "POST", path, secret, `{"grants_version":4}`)
	res, _ := h.call("GET", "/api", tokens.AccessToken, "", nil)
	if c := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || !strings.Contains(c, wire.GrantsChanged) {
		t.Errorf("the old token: %d %q", res.StatusCode, c)
	}
	_, next := h.refresh(tokens)
	h.want(200, "GET", "/api", next.AccessToken, "")
	var me wire.Me
	h.call("GET", "/auth/me", next.AccessToken, "", &me)
	if me.GrantsVersion != 4 || me.Permissions[0] != "orders:*" {
		t.Errorf("after the change: %+v", me)
	}
}

// A front-end that exists signs in, and its refresh is refused without 401.
func TestProfiles(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Profiles.Names = []string{"abp"} })
	text := h.want(200, "POST", "/api/app/account/login", "", `{"name":"ada","password":"ada"}`)
	var in struct{ ID, Token, RefreshToken string }
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if text := h.want(200, "GET", "/api/abp/application-configuration", in.Token, ""); !strings.Contains(text, `"orders:read":true`) {
		t.Errorf("configuration: %s", text)
	}
	h.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	if text := h.want(200, "POST", "/api/app/account/refresh-token", "", `{"userId":"`+in.ID+`","refreshToken":"`+in.RefreshToken+`"}`); !strings.Contains(text, `"success":false`) {
		t.Errorf("refresh of a user who is gone: %s", text)
	}
}

// Administration of the embedded directory is not there, and neither is the call
// of the other system without one.
func TestRoutes(t *testing.T) {
	h := newHarness(t)
	tokens := h.signIn("ada")
	h.want(404, "GET", "/auth/admin/users", tokens.AccessToken, "")
	own := newHarness(t, func(c *app.Config) { c.RemoteUsers.UsersURL, c.RemoteUsers.UsersSecretFile = "", "" })
	own.want(404, "POST", "/auth/admin/users/7/grants-changed", secret, `{"grants_version":4}`)
}

func TestSettings(t *testing.T) {
	good := write(t, secret)
	for _, c := range []struct{ url, file, want string }{
		{"https://users.example.com/api", good, ""},
		{"http://127.0.0.1:9000", good, ""},
		{"http://[::1]:9000", good, ""},
		{"http://localhost", good, ""},
		{"http://users.example.com", good, "plain http"},
		{"http://10.0.0.1", good, "plain http"},
		{"http://127.0.0.1.example.com", good, "plain http"},
		{"users.example.com", good, "is not a URL"},
		{"ftp://users.example.com", good, "is not a URL"},
		{"https://name:pass@users.example.com", good, "no user name"},
		{"https://users.example.com?key=1", good, "no user name"},
		{"https://users.example.com#x", good, "no user name"},
		{"https://users.example.com", "", "without users-secret-file"},
		{"", good, "without users-url"},
		{"https://users.example.com", good + "x", "can't be read"},
		{"https://users.example.com", write(t, " \n"), "is empty"},
		{"https://users.example.com", write(t, "short"), "at least 16"},
		{"https://users.example.com", write(t, "a secret of more lines\nthan one"), "at least 16"},
	} {
		cfg := app.Config{PublicURL: "http://localhost", RemoteUsers: remoteusers.Settings{UsersURL: c.url, UsersSecretFile: c.file}, InsecureHTTP: true, DataDir: "x"}
		err := cfg.Normalize()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.url, err, c.want)
		}
		if err == nil && cfg.Normalize() != nil {
			t.Errorf("%q is refused the second time", c.url)
		}
		if err != nil && (strings.Contains(err.Error(), "pass") && strings.Contains(err.Error(), "name:pass") || strings.Contains(err.Error(), secret)) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestProbe(t *testing.T) {
	s := newSystem(t)
	if err := remoteusers.New(s.URL, secret).Probe(t.Context()); err != nil {
		t.Error(err)
	}
	for name, users := range map[string]*remoteusers.Users{
		"a wrong secret": remoteusers.New(s.URL, "another-secret-of-both"),
		"a wrong path":   remoteusers.New(s.URL+"/nowhere", secret),
	} {
		if users.Probe(t.Context()) == nil {
			t.Errorf("%s is not noticed", name)
		}
	}
	s.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(ada)) })
	if remoteusers.New(s.URL, secret).Probe(t.Context()) == nil {
		t.Error("a system that accepts any password is not noticed")
	}
}
