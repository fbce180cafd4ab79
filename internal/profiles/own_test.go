package profiles_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/session"
)

// bare is the profile of a front-end that sends the access token alone.
const bare = `
profile: bare
about: the token alone in a header
credential: %s
lifetime: 2h
refresh: {none: true}
routes:
  POST /v9/in:
    operation: login
    username: name
    password: secret
    body: {token: "${access.token}", expires: "${access.expires_in}"}
  GET /v9/out:
    operation: logout
    body: {ok: true}
  GET /v9/me:
    operation: user
    body: {name: "${user.username}"}
refusals:
  default: {body: {error: "${error.code}"}}
`

func writeProfile(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// An access token that stands alone in a header counts everywhere: on the dialect's own
// routes, on the native ones and at an API behind the gateway. Nothing else in that
// header is taken for one.
func TestABareCredential(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Tacet-User")) }))
	t.Cleanup(api.Close)
	for _, header := range []string{"Authorization", "X-Access-Token"} {
		h := newHarness(t, func(c *app.Config) {
			c.Profiles = profiles.Settings{Names: []string{writeProfile(t, fmt.Sprintf(bare, header))}}
			c.Gateway.Upstreams = []string{"/api=" + api.URL}
		})
		token := h.call(http.DefaultClient, "POST", "/v9/in", `{"name":"alice","secret":"alice"}`).text("token")
		for _, path := range []string{"/v9/me", "/auth/me", "/api/orders"} {
			for credential, want := range map[string]int{token: 200, "Bearer " + token: 200, token + "x": 401, "null": 401, "Basic " + token: 401, "": 401} {
				if a := h.call(http.DefaultClient, "GET", path, "", header, credential); a.StatusCode != want {
					t.Errorf("%s: %.12q at %s: %d, want %d: %s", header, credential, path, a.StatusCode, want, a.raw)
				}
			}
		}
		if a := h.call(http.DefaultClient, "GET", "/v9/out", "", header, token); a.StatusCode != 200 {
			t.Errorf("sign-out: %d %s", a.StatusCode, a.raw)
		}
		if a := h.call(http.DefaultClient, "GET", "/v9/me", "", header, token); a.StatusCode != 401 {
			t.Errorf("after the sign-out: %d %s", a.StatusCode, a.raw)
		}
	}
}

// A profile has its own access lifetime. All others keep theirs, and a session that is
// ended is refused for as long as the longest lives.
func TestAProfilesOwnLifetime(t *testing.T) {
	h := newHarness(t, func(c *app.Config) {
		c.Profiles = profiles.Settings{Names: []string{writeProfile(t, fmt.Sprintf(bare, "X-Access-Token")), "vben", "abp"}}
	})
	in := h.call(http.DefaultClient, "POST", "/v9/in", `{"name":"alice","secret":"alice"}`)
	token := in.text("token")
	if s, _ := in.at("expires").(float64); s < 2*3600*0.95 || s > 2*3600 {
		t.Fatalf("expires in %v s", in.at("expires"))
	}
	vben := h.open(styles[2])
	vben.signIn("bob")
	h.Clock.Advance(accessTTL)
	if a := vben.who(); a.StatusCode != 401 {
		t.Errorf("another dialect's token lives longer too: %d", a.StatusCode)
	}
	h.Clock.Advance(90 * time.Minute)
	me := func() answer { return h.call(http.DefaultClient, "GET", "/v9/me", "", "X-Access-Token", token) }
	if a := me(); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.raw)
	}
	h.call(http.DefaultClient, "GET", "/v9/out", "", "X-Access-Token", token)
	h.Clock.Advance(20 * time.Minute)
	if a := me(); a.StatusCode != 401 {
		t.Errorf("an ended session: %d %s", a.StatusCode, a.raw)
	}
}

// A page of abp stands two expiries: its renewal has the lifetime of the profile, too.
func TestARenewalHasTheLifetimeOfTheProfile(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Profiles.TTL = 0 })
	c := h.open(styles[1])
	c.signIn("alice")
	for range 2 {
		h.Clock.Advance(11 * time.Hour)
		if a := c.who(); a.StatusCode != 200 || a.at("currentUser.isAuthenticated") != true {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		h.Clock.Advance(2 * time.Hour)
		if a := c.who(); a.StatusCode != 401 {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		if a := c.present(c.refresh); !c.renewed(a) {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
	}
}

// One line hands a route that only reads to the API; what signs in stays here.
func TestARouteThatIsHandedToTheAPI(t *testing.T) {
	const path = "/admin-api/system/auth/get-permission-info"
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "menus of "+r.URL.Path) }))
	t.Cleanup(api.Close)
	h := newHarness(t, func(c *app.Config) { c.Gateway.Upstreams = []string{path + "=" + api.URL, "/login=" + api.URL} })
	c := h.open(styles[4])
	c.signIn("alice")
	if a := c.who(); string(a.raw) != "menus of "+path {
		t.Errorf("%d %s", a.StatusCode, a.raw)
	}
	h.open(styles[6]).signIn("alice") // POST /login
}

// The front-end of pure renews by the clock, at the very end: it is told an earlier one.
func TestTheExpiryOfPureHasAMargin(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Profiles.TTL = 15 * time.Minute })
	c := h.open(styles[6])
	a := c.signIn("alice")
	at, err := time.Parse(time.RFC3339, a.text("data.expires"))
	if left := at.Sub(h.Clock.Now()); err != nil || left > 15*time.Minute-30*time.Second || left < 13*time.Minute {
		t.Errorf("%v %v", left, err)
	}
}

// What the front-end calls the user is what the API behind is told.
func TestOneUserHasOneID(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Tacet-User")) }))
	t.Cleanup(api.Close)
	h := newHarness(t, func(c *app.Config) { c.Gateway.Upstreams = []string{"/api/orders=" + api.URL} })
	c := h.open(styles[1])
	c.signIn("alice")
	seen := h.call(c.http, "GET", "/api/orders", "", "Authorization", "Bearer "+c.access)
	if id := string(seen.raw); id != c.userID || id != c.who().text("currentUser.id") || strings.Contains(id, "{") {
		t.Errorf("%q, to the front-end %q", id, c.userID)
	}
}

// A front-end that can't renew at a 401 goes on after a change of roles: in what old and
// new grants both allow, until it renews by itself. One that can is refused, and renews.
func TestAChangeOfRolesUnderAnOpenPage(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Tacet-Permissions")) }))
	t.Cleanup(api.Close)
	h := newHarness(t, func(c *app.Config) {
		c.Gateway.Upstreams = []string{"/shop=" + api.URL}
		c.Gateway.Require = []string{"/shop/orders=orders:read", "/shop/admin=admin:users", "/shop/write=shop.orders.write"}
	})
	pure, vben, gva := h.open(styles[6]), h.open(styles[2]), h.gva("alice")
	pure.signIn("alice")
	vben.signIn("alice")
	change := func(permissions ...string) {
		t.Helper()
		var version int64
		h.People.Change(func(users map[string]session.User) {
			u := users["alice"]
			u.GrantsVersion++
			u.Permissions, u.Scope, version = permissions, strings.Join(permissions, " "), u.GrantsVersion
			users["alice"] = u
		})
		if err := h.App.GrantsChanged(t.Context(), "alice", version); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, call func(path string) answer, statuses map[string]int) {
		t.Helper()
		for path, status := range statuses {
			if a := call(path); a.StatusCode != status {
				t.Errorf("%s: %s: %d, want %d: %s", when, path, a.StatusCode, status, a.raw)
			}
		}
	}
	byPure := func(path string) answer {
		return h.call(pure.http, "GET", path, "", "Authorization", "Bearer "+pure.access)
	}
	byVben := func(path string) answer {
		return h.call(vben.http, "GET", path, "", "Authorization", "Bearer "+vben.access)
	}

	change("orders:read", "shop.orders.write", "admin:users")
	grown := map[string]int{"/shop/orders": 200, "/shop/write": 200, "/shop/admin": 403, "/mine": 200}
	want("grown, pure", byPure, grown)
	delete(grown, "/mine")
	grown[gvaUser] = 200
	want("grown, gva", gva.get, grown)
	want("grown, vben", byVben, map[string]int{"/shop/orders": 401})

	change("orders:read", "admin:users")
	shrunk := map[string]int{"/shop/orders": 200, "/shop/write": 403, "/shop/admin": 403}
	want("shrunk, pure", byPure, shrunk)
	want("shrunk, gva", gva.get, shrunk)
	if a := byPure("/shop/orders"); strings.Contains(string(a.raw), "write") || strings.Contains(string(a.raw), "admin") {
		t.Errorf("the API is told of permissions that the page has not: %s", a.raw)
	}

	if !pure.renewed(pure.present(pure.refresh)) {
		t.Fatal("no renewal")
	}
	want("renewed", byPure, map[string]int{"/shop/orders": 200, "/shop/write": 403, "/shop/admin": 200})

	pure.signOut()
	want("ended", byPure, map[string]int{"/shop/orders": 401, "/mine": 401})
	h.People.Change(func(users map[string]session.User) { delete(users, "alice") })
	want("no such user", gva.get, map[string]int{"/shop/orders": 401, gvaUser: 401})
}
