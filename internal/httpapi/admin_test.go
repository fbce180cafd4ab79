package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// office is a harness on the embedded directory: root may administrate, desk
// helps people, carol works. Passwords are the names and "-password".
type office struct {
	*harness
	ids map[string]string
}

func newOffice(t *testing.T, change ...func(*app.Config)) *office {
	t.Helper()
	embedded := func(c *app.Config) { c.Directory, c.Authenticator = nil, nil }
	o := &office{newHarness(t, append(change, embedded)...), map[string]string{}}
	d := o.App.Directory
	for name, permissions := range map[string][]string{
		"root": {"admin:*"}, "desk": {"admin:users:*", "admin:sessions:*", "admin:roles:read", "orders:read"}, "clerk": {"orders:read"},
	} {
		if err := d.AddRole(t.Context(), name, permissions...); err != nil {
			t.Fatal(err)
		}
	}
	for name, role := range map[string]string{"root": "root", "desk": "desk", "carol": "clerk"} {
		u, err := d.Add(t.Context(), directory.NewUser{Name: name, Password: name + "-password", Roles: []string{role}})
		if err != nil {
			t.Fatal(err)
		}
		o.ids[name] = u.ID
	}
	return o
}

func (o *office) signIn(name string) wire.TokenResponse {
	o.Helper()
	return o.call(http.DefaultClient, "POST", "/auth/login", `{"username":"`+name+`","password":"`+name+`-password","delivery":"body"}`).tokens()
}

// by returns a caller with the access token.
func (o *office) by(access string) func(method, path string, body ...string) answer {
	return func(method, path string, body ...string) answer {
		o.Helper()
		return o.call(http.DefaultClient, method, "/auth/admin"+path, strings.Join(body, ""), bearer(access)...)
	}
}

func read[T any](a answer) (v T) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

func TestAdminUsers(t *testing.T) {
	o := newOffice(t)
	root := o.by(o.signIn("root").AccessToken)

	added := root("POST", "/users", `{"username":"Dave","password":"dave-password","display_name":"Dave","email":"dave@example.com","roles":["clerk"]}`).want(201)
	dave := read[wire.AdminUser](added)
	if dave.Username != "dave" || dave.DisplayName != "Dave" || dave.Email != "dave@example.com" || dave.Disabled || fmt.Sprint(dave.Roles) != "[clerk]" || dave.GrantsVersion != 1 || dave.CreatedAt == "" {
		t.Errorf("added %+v", dave)
	}
	if got := added.Header.Get("Location"); got != "/auth/admin/users/"+dave.ID {
		t.Errorf("Location %q", got)
	}
	if got := read[wire.AdminUser](root("GET", "/users/"+dave.ID).want(200)); fmt.Sprint(got) != fmt.Sprint(dave) {
		t.Errorf("got %+v, want %+v", got, dave)
	}
	root("POST", "/users", `{"username":"ＤＡＶＥ","password":"dave-password"}`).problem(409, "already_exists")
	for body, why := range map[string]string{
		`{"username":"erin","password":"short"}`:                                   "at least 8",
		`{"username":"e r","password":"long-enough"}`:                              "user name",
		`{"username":"","password":"long-enough"}`:                                 "empty",
		`{"username":"erin","password":"long-enough","email":"nowhere"}`:           "e-mail",
		`{"username":"erin","password":"long-enough","roles":["clerk","nothing"]}`: `no role "nothing"`,
		`{"username":`: "JSON",
	} {
		if p := root("POST", "/users", body).problem(400, "invalid_request"); !strings.Contains(p.Detail, why) {
			t.Errorf("%s: detail %q does not say %q", body, p.Detail, why)
		}
	}
	root("GET", "/users/nobody").problem(404, "not_found")
	root("PATCH", "/users/nobody", `{}`).problem(404, "not_found")
	root("PUT", "/users/nobody/password", `{"password":"long-enough"}`).problem(404, "not_found")
	root("PUT", "/users/nobody/roles/clerk").problem(404, "not_found")
	root("DELETE", "/users/nobody/roles/clerk").problem(404, "not_found")
	root("DELETE", "/users/nobody/sessions").problem(404, "not_found")
	root("PUT", "/users/"+dave.ID+"/password", `{}`).problem(400, "invalid_request")

	changed := read[wire.AdminUser](root("PATCH", "/users/"+dave.ID, `{"email":""}`).want(200))
	if changed.Email != "" || changed.DisplayName != "Dave" || changed.GrantsVersion != 1 {
		t.Errorf("changed %+v", changed)
	}
	root("PATCH", "/users/"+dave.ID, `{"display_name":"D","email":"none"}`).problem(400, "invalid_request")
	if got := read[wire.AdminUser](root("GET", "/users/"+dave.ID).want(200)); got.DisplayName != "Dave" {
		t.Error("half of a change was made")
	}
}

func TestAdminListsInPages(t *testing.T) {
	o := newOffice(t)
	r := o.signIn("root")
	root := o.by(r.AccessToken)
	var names []string
	for after, pages := "", 0; ; pages++ {
		page := read[wire.AdminUsers](root("GET", "/users?limit=2&after="+after).want(200))
		for _, u := range page.Users {
			names = append(names, u.Username)
		}
		if after = page.Next; after == "" {
			break
		}
		if pages > 5 {
			t.Fatal("the pages do not end")
		}
	}
	if fmt.Sprint(names) != "[carol desk root]" {
		t.Errorf("users %v", names)
	}
	if page := read[wire.AdminUsers](root("GET", "/users?limit=3").want(200)); len(page.Users) != 3 || page.Next != "" {
		t.Errorf("a page that is just full says that there is another: %+v", page)
	}
	if page := read[wire.AdminUsers](root("GET", "/users?username=CAROL").want(200)); len(page.Users) != 1 || page.Users[0].ID != o.ids["carol"] {
		t.Errorf("carol by name: %+v", page)
	}
	for _, q := range []string{"nobody", "not%20a%20name"} {
		if a := root("GET", "/users?username="+q); a.StatusCode == 200 && len(read[wire.AdminUsers](a).Users) != 0 {
			t.Errorf("%s was found", q)
		}
	}

	for range 4 {
		o.Clock.Advance(time.Second)
		o.signIn("carol")
	}
	var ids []string
	for after, pages := "", 0; ; pages++ {
		page := read[wire.AdminSessions](root("GET", "/sessions?limit=3&user="+o.ids["carol"]+"&after="+after).want(200))
		for _, s := range page.Sessions {
			if s.UserID != o.ids["carol"] || s.Current {
				t.Errorf("session %+v", s)
			}
			ids = append(ids, s.ID)
		}
		if after = page.Next; after == "" {
			break
		}
		if pages > 5 {
			t.Fatal("the pages do not end")
		}
	}
	all := read[wire.AdminSessions](root("GET", "/sessions").want(200)).Sessions
	if len(ids) != 4 || len(all) != 5 || all[0].ID != ids[0] || !all[4].Current || all[4].ID != r.Session.ID {
		t.Errorf("carol's %v, all %+v", ids, all)
	}
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x", "after=nonsense"} {
		root("GET", "/sessions?"+bad).problem(400, "invalid_request")
	}
	root("GET", "/users?limit=-1").problem(400, "invalid_request")
}

func TestANewPasswordEndsSessions(t *testing.T) {
	o := newOffice(t)
	carol, desk := o.signIn("carol"), o.by(o.signIn("desk").AccessToken)
	desk("PUT", "/users/"+o.ids["carol"]+"/password", `{"password":"carol-new-password"}`).want(204)
	o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(carol.AccessToken)...).problem(401, "invalid_token")
	o.refreshBody(carol.RefreshToken).problem(400, "invalid_grant")
	o.call(http.DefaultClient, "POST", "/auth/login", `{"username":"carol","password":"carol-password"}`).problem(400, "invalid_credentials")
	o.call(http.DefaultClient, "POST", "/auth/login", `{"username":"carol","password":"carol-new-password"}`).tokens()
}

func TestDisablingEndsSessions(t *testing.T) {
	o := newOffice(t)
	carol, desk := o.signIn("carol"), o.by(o.signIn("desk").AccessToken)
	if u := read[wire.AdminUser](desk("PATCH", "/users/"+o.ids["carol"], `{"disabled":true}`).want(200)); !u.Disabled || u.GrantsVersion != 2 {
		t.Errorf("user %+v", u)
	}
	o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(carol.AccessToken)...).problem(401, "invalid_token")
	o.refreshBody(carol.RefreshToken).problem(400, "invalid_grant")
	o.call(http.DefaultClient, "POST", "/auth/login", `{"username":"carol","password":"carol-password"}`).problem(400, "invalid_credentials")
	desk("PATCH", "/users/"+o.ids["carol"], `{"disabled":false}`).want(200)
	o.refreshBody(carol.RefreshToken).problem(400, "invalid_grant") // what is over stays over
	o.signIn("carol")
}

func TestAdminRoles(t *testing.T) {
	o := newOffice(t)
	carol, root := o.signIn("carol"), o.by(o.signIn("root").AccessToken)

	added := root("POST", "/roles", `{"name":"editor","permissions":["pages:write","pages:read"]}`).want(201)
	if got := read[wire.Role](root("GET", "/roles/editor").want(200)); fmt.Sprint(got) != fmt.Sprint(read[wire.Role](added)) {
		t.Errorf("got %+v", got)
	}
	if r := read[wire.Role](added); fmt.Sprint(r) != "{editor [pages:read pages:write]}" || added.Header.Get("Location") != "/auth/admin/roles/editor" {
		t.Errorf("added %+v at %q", r, added.Header.Get("Location"))
	}
	root("POST", "/roles", `{"name":"editor"}`).problem(409, "already_exists")
	root("POST", "/roles", `{"name":"no such name"}`).problem(400, "invalid_request")
	root("POST", "/roles", `{"name":"x","permissions":["a::b"]}`).problem(400, "invalid_request")
	if p := root("GET", "/roles/nothing").problem(404, "not_found"); !strings.Contains(p.Detail, "clerk, desk, editor, root") {
		t.Errorf("detail %q does not say which there are", p.Detail)
	}
	for _, c := range [][2]string{{"PUT", `{"permissions":[]}`}, {"PATCH", `{"add":["a"]}`}, {"DELETE", ""}} {
		root(c[0], "/roles/nothing", c[1]).problem(404, "not_found")
	}

	// Whoever holds the role has the change with the next renewal, and until
	// then is told to renew.
	clerk := func(want string) {
		t.Helper()
		o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(carol.AccessToken)...).problem(401, "invalid_token")
		carol = o.refreshBody(carol.RefreshToken).tokens()
		me := read[wire.Me](o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(carol.AccessToken)...).want(200))
		if got := fmt.Sprint(me.Roles, me.Permissions); got != want {
			t.Errorf("carol has %s, want %s", got, want)
		}
	}
	root("PATCH", "/roles/clerk", `{"add":["orders:list"],"remove":["orders:read"]}`).want(200)
	clerk("[clerk] [orders:list]")
	if r := read[wire.Role](root("PUT", "/roles/clerk", `{"permissions":["orders:*"]}`).want(200)); fmt.Sprint(r) != "{clerk [orders:*]}" {
		t.Errorf("set %+v", r)
	}
	clerk("[clerk] [orders:*]")
	root("PUT", "/users/"+o.ids["carol"]+"/roles/editor").want(204)
	clerk("[clerk editor] [orders:* pages:read pages:write]")
	root("PUT", "/users/"+o.ids["carol"]+"/roles/editor").want(204) // again: nothing happens
	o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(carol.AccessToken)...).want(200)
	root("DELETE", "/users/"+o.ids["carol"]+"/roles/editor").want(204)
	clerk("[clerk] [orders:*]")
	root("PUT", "/roles/clerk", `{}`).problem(400, "invalid_request") // a slip, not a wish to take all away
	root("PUT", "/roles/clerk", `{"permissions":[]}`).want(200)
	clerk("[clerk] []")
	root("DELETE", "/roles/clerk").want(204)
	clerk("[] []")
	root("PUT", "/users/"+o.ids["carol"]+"/roles/clerk").problem(404, "not_found")
	if list := read[wire.Roles](root("GET", "/roles").want(200)); len(list.Roles) != 3 || list.Roles[1].Name != "editor" {
		t.Errorf("roles %+v", list)
	}
}

func TestAdminEndsSessions(t *testing.T) {
	o := newOffice(t)
	one, two, three, desk := o.signIn("carol"), o.signIn("carol"), o.signIn("carol"), o.by(o.signIn("desk").AccessToken)
	desk("DELETE", "/sessions/"+one.Session.ID).want(204)
	desk("DELETE", "/sessions/"+one.Session.ID).want(204) // over, as was asked for
	desk("DELETE", "/sessions/nonsense").problem(404, "not_found")
	desk("DELETE", "/sessions/0197a9c4-6f1e-7b52-9d0a-3c5e8f214b67").problem(404, "not_found")
	o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(one.AccessToken)...).problem(401, "invalid_token")
	two = o.refreshBody(two.RefreshToken).tokens()
	desk("DELETE", "/users/"+o.ids["carol"]+"/sessions").want(204)
	for _, r := range []wire.TokenResponse{two, three} {
		o.refreshBody(r.RefreshToken).problem(400, "invalid_grant")
	}
	events, err := o.App.DB.Events().Since(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	for _, e := range events {
		if e.Kind == wire.EventSessionEnded && strings.Contains(string(e.Data), wire.ReasonEndedByAdmin) {
			ended++
		}
	}
	if ended != 3 {
		t.Errorf("%d sessions are told to have been ended by an administrator, want 3", ended)
	}
}

func TestAdminKeys(t *testing.T) {
	o := newOffice(t)
	root := o.by(o.signIn("root").AccessToken)
	before := read[wire.Keys](root("GET", "/keys").want(200)).Keys
	made := read[wire.Keys](root("POST", "/keys/rotate").want(200)).Keys
	if len(made) != 2 || made[0].State != "announced" || made[0].KeyID == "" {
		t.Errorf("made %+v", made)
	}
	made = read[wire.Keys](root("POST", "/keys/rotate", `{"now":true}`).want(200)).Keys
	if len(made) != 2 || made[0].State != "active" {
		t.Errorf("made at once %+v", made)
	}
	if after := read[wire.Keys](root("GET", "/keys").want(200)).Keys; len(after) != len(before)+4 {
		t.Errorf("%d keys, then %d", len(before), len(after))
	}
	o.signIn("carol")
}

// Every call is refused without its permission, whatever else the caller has.
func TestEveryAdminCallTakesItsPermission(t *testing.T) {
	o := newOffice(t)
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	ctx, calls := t.Context(), 0
	for path, item := range doc.Paths.Map() {
		if !strings.HasPrefix(path, "/admin/") {
			continue
		}
		for method, op := range item.Operations() {
			if !slices.Contains(op.Tags, "admin") {
				continue // takes no access token
			}
			calls++
			permission := strings.Split(op.Description, "`")[1]
			var others []string
			for _, p := range wire.AdminPermissions() {
				if p != permission {
					others = append(others, p)
				}
			}
			if len(others) != len(wire.AdminPermissions())-1 {
				t.Fatalf("%s %s: the document names no permission of administration, but %q", method, path, permission)
			}
			role := "all-but-" + strconv.Itoa(calls)
			if err := o.App.Directory.AddRole(ctx, role, append(others, "orders:*", "*:write", "admin:users")...); err != nil {
				t.Fatal(err)
			}
			if err := o.App.Directory.GrantRole(ctx, o.ids["carol"], role); err != nil {
				t.Fatal(err)
			}
			carol := o.signIn("carol")
			target := strings.TrimPrefix(strings.NewReplacer("{id}", o.ids["carol"], "{role}", "clerk").Replace(path), "/admin")
			p := o.by(carol.AccessToken)(method, target)
			p.problem(403, "insufficient_scope")
			if c := p.Header.Get("WWW-Authenticate"); c != `Bearer error="insufficient_scope", scope="`+permission+`"` {
				t.Errorf("%s %s: challenge %q", method, path, c)
			}
			o.call(http.DefaultClient, method, "/auth"+strings.Replace(path, "{id}", "x", 1), "").want(401)

			// Live: the token was made before the role went away.
			if err := o.App.Directory.DeleteRole(ctx, role); err != nil {
				t.Fatal(err)
			}
			o.by(carol.AccessToken)(method, target).problem(401, "invalid_token")
		}
	}
	if calls < 18 {
		t.Fatalf("only %d calls of administration in the document", calls)
	}
}

func TestAnAdministratorIsRefusedAtOnceWhenTheRoleIsGone(t *testing.T) {
	o := newOffice(t)
	desk, root := o.signIn("desk"), o.by(o.signIn("root").AccessToken)
	o.by(desk.AccessToken)("GET", "/users").want(200)
	root("DELETE", "/users/"+o.ids["desk"]+"/roles/desk").want(204)
	a := o.by(desk.AccessToken)("GET", "/users")
	a.problem(401, "invalid_token")
	if !strings.Contains(a.Header.Get("WWW-Authenticate"), wire.GrantsChanged) {
		t.Error("the caller is not told to renew")
	}
	desk = o.refreshBody(desk.RefreshToken).tokens()
	o.by(desk.AccessToken)("GET", "/users").problem(403, "insufficient_scope")
}

func TestNobodyReachesAboveThemselves(t *testing.T) {
	o := newOffice(t)
	desk := o.by(o.signIn("desk").AccessToken)
	root := "/users/" + o.ids["root"]
	desk("PUT", root+"/password", `{"password":"mine-from-now-on"}`).problem(403, "insufficient_scope")
	desk("PATCH", root, `{"disabled":true}`).problem(403, "insufficient_scope")
	desk("POST", "/users", `{"username":"eve","password":"eve-password","roles":["root"]}`).problem(403, "insufficient_scope")
	desk("POST", "/users", `{"username":"eve","password":"eve-password","roles":["clerk"]}`).problem(403, "insufficient_scope")
	desk("POST", "/users", `{"username":"eve","password":"eve-password"}`).want(201)

	ctx := t.Context()
	if err := o.App.Directory.AddRole(ctx, "roles", "admin:roles:*", "admin:users:read"); err != nil {
		t.Fatal(err)
	}
	if err := o.App.Directory.GrantRole(ctx, o.ids["carol"], "roles"); err != nil {
		t.Fatal(err)
	}
	carol := o.by(o.signIn("carol").AccessToken)
	carol("PUT", "/users/"+o.ids["carol"]+"/roles/root").problem(403, "insufficient_scope")
	carol("PATCH", "/roles/roles", `{"add":["*"]}`).problem(403, "insufficient_scope")
	carol("PUT", "/roles/roles", `{"permissions":["admin:*"]}`).problem(403, "insufficient_scope")
	carol("POST", "/roles", `{"name":"mine","permissions":["*:keys:write"]}`).problem(403, "insufficient_scope")
	carol("PUT", "/roles/root", `{"permissions":[]}`).problem(403, "insufficient_scope")
	carol("DELETE", "/roles/root").problem(403, "insufficient_scope")
	if p := carol("PATCH", "/roles/clerk", `{"add":["orders:*"]}`).problem(403, "insufficient_scope"); !strings.Contains(p.Detail, "You lack the permission orders:*") {
		t.Errorf("detail %q does not say what is lacking", p.Detail)
	}
	carol("POST", "/roles", `{"name":"mine","permissions":["orders:refund"]}`).problem(403, "insufficient_scope")
	carol("POST", "/roles", `{"name":"mine","permissions":["orders:read"]}`).want(201)
	carol("PATCH", "/roles/clerk", `{"remove":["orders:read"]}`).want(200)
}

// What holds for administration holds for every permission: a help desk that could
// set the password of one who may approve payments could approve payments.
func TestFencesAreForEveryPermission(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	if err := o.App.Directory.AddRole(ctx, "payer", "payments:approve"); err != nil {
		t.Fatal(err)
	}
	if err := o.App.Directory.AddRole(ctx, "writer", "admin:roles:write"); err != nil {
		t.Fatal(err)
	}
	paul, err := o.App.Directory.Add(ctx, directory.NewUser{Name: "paul", Password: "paul-password", Roles: []string{"payer"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.App.Directory.GrantRole(ctx, o.ids["desk"], "writer"); err != nil {
		t.Fatal(err)
	}
	session := o.signIn("paul")
	desk := o.by(o.signIn("desk").AccessToken)
	for _, c := range [][3]string{
		{"PUT", "/users/" + paul.ID + "/password", `{"password":"mine-from-now-on"}`},
		{"PATCH", "/users/" + paul.ID, `{"email":"desk@example.com"}`},
		{"PATCH", "/users/" + paul.ID, `{"disabled":true}`},
		{"DELETE", "/users/" + paul.ID + "/sessions", ""},
		{"DELETE", "/sessions/" + session.Session.ID, ""},
		{"PUT", "/users/" + paul.ID + "/roles/clerk", ""},
		{"DELETE", "/users/" + paul.ID + "/roles/payer", ""},
		{"PUT", "/users/" + o.ids["desk"] + "/roles/payer", ""},
		{"POST", "/users", `{"username":"eve","password":"eve-password","roles":["payer"]}`},
		{"POST", "/roles", `{"name":"mine","permissions":["payments:approve"]}`},
		{"POST", "/roles", `{"name":"mine","permissions":["payments:*"]}`},
		{"PUT", "/roles/payer", `{"permissions":[]}`},
		{"PATCH", "/roles/clerk", `{"add":["payments:approve"]}`},
		{"DELETE", "/roles/payer", ""},
	} {
		a := desk(c[0], c[1], c[2])
		if p := a.problem(403, "insufficient_scope"); !strings.Contains(p.Detail, "payments:") {
			t.Errorf("%s %s: detail %q does not name the permission", c[0], c[1], p.Detail)
		}
	}
	o.call(http.DefaultClient, "GET", "/auth/me", "", bearer(session.AccessToken)...).want(200)

	// Who has the permission, or may go beyond, can do it.
	root := o.by(o.signIn("root").AccessToken)
	root("PUT", "/users/"+o.ids["desk"]+"/roles/payer").want(204)
	desk = o.by(o.signIn("desk").AccessToken)
	desk("DELETE", "/sessions/"+session.Session.ID).want(204)
	desk("PUT", "/users/"+paul.ID+"/password", `{"password":"a-new-password"}`).want(204)
}

// Users that are kept elsewhere are behind the same fence.
func TestFencesAroundSessionsOfUsersElsewhere(t *testing.T) {
	h := newHarness(t)
	h.allow("alice", "admin:sessions:*", "orders:read")
	h.allow("bob", "payments:approve")
	alice, bob := h.loginBody("alice"), h.loginBody("bob")
	for _, path := range []string{"/sessions/" + bob.Session.ID, "/users/bob/sessions"} {
		h.call(http.DefaultClient, "DELETE", "/auth/admin"+path, "", bearer(alice.AccessToken)...).problem(403, "insufficient_scope")
	}
	h.allow("bob", "orders:read")
	h.call(http.DefaultClient, "DELETE", "/auth/admin/sessions/"+bob.Session.ID, "", bearer(alice.AccessToken)...).want(204)
}

func TestTheLastAdministratorStays(t *testing.T) {
	o := newOffice(t)
	if err := o.App.Directory.AddRole(t.Context(), "other", "admin:users:*", "admin:roles:*", "admin:permissions:escalate"); err != nil {
		t.Fatal(err)
	}
	if err := o.App.Directory.GrantRole(t.Context(), o.ids["carol"], "other"); err != nil {
		t.Fatal(err)
	}
	carol, root := o.by(o.signIn("carol").AccessToken), "/users/"+o.ids["root"]
	for _, c := range [][3]string{
		{"PATCH", root, `{"disabled":true}`}, {"DELETE", root + "/roles/root"}, {"DELETE", "/roles/root"},
		{"PUT", "/roles/root", `{"permissions":["admin:users:*"]}`}, {"PATCH", "/roles/root", `{"remove":["admin:*"]}`},
	} {
		carol(c[0], c[1], c[2]).problem(409, "last_admin")
	}
	carol("PUT", "/users/"+o.ids["desk"]+"/roles/root").want(204)
	carol("PATCH", root, `{"disabled":true}`).want(200)
}

func TestNobodyTakesAdministrationFromThemselves(t *testing.T) {
	o := newOffice(t)
	root := o.by(o.signIn("root").AccessToken)
	me := "/users/" + o.ids["root"]
	root("PATCH", me, `{"disabled":true}`).problem(409, "own_access")
	root("DELETE", me+"/roles/root").problem(409, "own_access")
	root("PUT", "/roles/root", `{"permissions":["admin:users:*"]}`).problem(409, "own_access")
	root("PATCH", "/roles/root", `{"remove":["admin:*"]}`).problem(409, "own_access")
	if p := root("DELETE", "/roles/root").problem(409, "own_access"); !strings.Contains(p.Detail, "admin:users:read") {
		t.Errorf("detail %q does not say what would be lost", p.Detail)
	}
	// What leaves administration as it is may be done.
	root("PATCH", "/roles/root", `{"add":["*:*"]}`).want(200)
	root = o.by(o.signIn("root").AccessToken)
	root("PUT", "/roles/root", `{"permissions":["admin:*:*"]}`).want(200)
	root = o.by(o.signIn("root").AccessToken)
	root("PATCH", me, `{"display_name":"Root"}`).want(200)
	root("PUT", me+"/password", `{"password":"another-password"}`).want(204)
	root("GET", "/users").problem(401, "invalid_token") // one's own sessions end with the password, too
}

func TestAdministrationIsLogged(t *testing.T) {
	o := newOffice(t)
	root := o.by(o.signIn("root").AccessToken)
	root("PUT", "/users/"+o.ids["carol"]+"/password", `{"password":"a-secret-word"}`).want(204)
	root("PUT", "/users/"+o.ids["carol"]+"/roles/nothing").problem(404, "not_found")
	log := o.Logged.String()
	for _, want := range []string{"administration by=" + o.ids["root"], "outcome=done", "outcome=not_found", "/password"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(log, "a-secret-word") {
		t.Error("the log holds a password")
	}
}

// allow gives a user these permissions and no others.
func (h *harness) allow(name string, permissions ...string) {
	h.People.Change(func(users map[string]session.User) {
		u := users[name]
		u.Permissions, u.Scope = permissions, strings.Join(permissions, " ")
		users[name] = u
	})
}

// What the directory finds wrong is said in the caller's language.
func TestInputErrorsAreTranslated(t *testing.T) {
	o := newOffice(t)
	a := o.call(http.DefaultClient, "POST", "/auth/admin/users", `{"username":"erin","password":"short"}`,
		append(bearer(o.signIn("root").AccessToken), "Accept-Language", "zh-CN")...)
	if p := a.problem(400, "invalid_request"); p.Detail != "密码：有 5 个字符，至少需要 8 个。" {
		t.Errorf("detail %q", p.Detail)
	}
}
