package security_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

// openOffice is a server that keeps its users itself: root may do everything, desk
// helps people and ends sessions, roler gives roles, keeper turns keys, alice works,
// dora is disabled, lead may do a little more than desk. Passwords are the names with
// "-password" behind.
func openOffice(t *testing.T) *world {
	w := open(t, apptest.NewPeople(), func(c *app.Config) { c.Directory, c.Authenticator = nil, nil })
	w.ids = map[string]string{}
	ctx, d := context.Background(), w.App.Directory
	for role, permissions := range named(map[string][]string{
		"root": {"admin:*"}, "desk": {"admin:users:*", "admin:sessions:*", "admin:roles:read", "orders:read"}, "roler": {"admin:roles:*", "orders:read"},
		"keeper": {"admin:keys:*"}, "clerk": {"orders:read"}, "lead": {"orders:*"}, "none": nil, "reader": {"admin:users:read"},
	}) {
		if err := d.AddRole(ctx, role, permissions...); err != nil {
			t.Fatal(err)
		}
	}
	for name, role := range named(map[string]string{"root": "root", "desk": "desk", "roler": "roler", "keeper": "keeper", "alice": "clerk", "lead": "lead", "dora": "clerk", "reader": "reader"}) {
		u, err := d.Add(ctx, directory.NewUser{Name: name, Password: name + "-password", Roles: []string{role}})
		if err != nil {
			t.Fatal(err)
		}
		w.ids[name] = u.ID
	}
	if err := d.Disable(ctx, w.ids["dora"]); err != nil {
		t.Fatal(err)
	}
	w.secret = w.client(oauth.Client{ID: "web", RedirectURIs: []string{callback}}, true)
	w.client(oauth.Client{ID: "spa", RedirectURIs: []string{callback}}, false)
	w.client(oauth.Client{ID: "tv", Device: true}, false)
	w.more = func() string {
		users, err := d.List(context.Background(), "", 100)
		roles, err2 := d.Roles(context.Background())
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return fmt.Sprintf("%+v %+v %+v", users, roles, w.App.Keys.List())
	}
	return w
}

// as is an administrative call of somebody; ID:name in path and body is that user's id.
func as(who, method, path, text string) func(w *world) reply {
	return func(w *world) reply {
		w.Helper()
		t := w.login(who).AccessToken
		if strings.Contains(path, "SESSION") {
			path = strings.ReplaceAll(path, "SESSION", w.login("root").Session.ID)
		}
		w.prepared()
		var pairs []string
		for name, id := range w.ids {
			pairs = append(pairs, "ID:"+name, id)
		}
		r := strings.NewReplacer(pairs...)
		return w.send(method, "/auth/admin"+r.Replace(path), r.Replace(text), bearer(t)...)
	}
}

func adminAttacks() (all []attack) {
	const missing = "403 insufficient_scope"
	for _, c := range []struct{ name, who, method, path, body, want string }{
		// Without any permission of administration.
		{"a worker lists users", "alice", "GET", "/users", "", missing},
		{"a worker looks at herself as an administrator", "alice", "GET", "/users/ID:alice", "", missing},
		{"a worker adds a user", "alice", "POST", "/users", `{"username":"x","password":"x-password"}`, missing},
		{"a worker sets her own password as an administrator", "alice", "PUT", "/users/ID:alice/password", `{"password":"new-password"}`, missing},
		{"a worker gives herself a role", "alice", "PUT", "/users/ID:alice/roles/root", "", missing},
		{"a worker lists roles", "alice", "GET", "/roles", "", missing},
		{"a worker adds a role", "alice", "POST", "/roles", `{"name":"x","permissions":["admin:*"]}`, missing},
		{"a worker changes her role", "alice", "PUT", "/roles/clerk", `{"permissions":["admin:*"]}`, missing},
		{"a worker lists sessions", "alice", "GET", "/sessions", "", missing},
		{"a worker ends a session", "alice", "DELETE", "/sessions/SESSION", "", missing},
		{"a worker ends all sessions of somebody", "alice", "DELETE", "/users/ID:root/sessions", "", missing},
		{"a worker lists keys", "alice", "GET", "/keys", "", missing},
		{"a worker makes new keys", "alice", "POST", "/keys/rotate", `{"now":true}`, missing},
		{"a keeper of keys lists users", "keeper", "GET", "/users", "", missing},
		// Who may read may not write.
		{"a reader changes a user", "reader", "PATCH", "/users/ID:alice", `{"display_name":"x"}`, missing},
		{"a reader disables a user", "reader", "PATCH", "/users/ID:alice", `{"disabled":true}`, missing},
		{"a reader reads roles", "reader", "GET", "/roles", "", missing},
		{"a reader resets a password", "reader", "PUT", "/users/ID:alice/password", `{"password":"new-password"}`, missing},
		// The help desk against the stronger.
		{"the help desk resets the administrator's password", "desk", "PUT", "/users/ID:root/password", `{"password":"new-password"}`, missing},
		{"the help desk resets the password of one who may do a little more", "desk", "PUT", "/users/ID:lead/password", `{"password":"new-password"}`, missing},
		{"the help desk resets the password of who gives roles", "desk", "PUT", "/users/ID:roler/password", `{"password":"new-password"}`, missing},
		{"the help desk resets the password of who turns keys", "desk", "PUT", "/users/ID:keeper/password", `{"password":"new-password"}`, missing},
		{"the help desk disables the administrator", "desk", "PATCH", "/users/ID:root", `{"disabled":true}`, missing},
		{"the help desk changes the administrator's e-mail", "desk", "PATCH", "/users/ID:root", `{"email":"evil@example.com"}`, missing},
		{"the help desk changes the e-mail of one who may do a little more", "desk", "PATCH", "/users/ID:lead", `{"email":"evil@example.com"}`, missing},
		{"the help desk ends the administrator's session", "desk", "DELETE", "/sessions/SESSION", "", missing},
		{"the help desk ends all sessions of the administrator", "desk", "DELETE", "/users/ID:root/sessions", "", missing},
		{"the help desk ends all sessions of one who may do a little more", "desk", "DELETE", "/users/ID:lead/sessions", "", missing},
		{"the help desk adds an administrator", "desk", "POST", "/users", `{"username":"x","password":"x-password","roles":["root"]}`, missing},
		{"the help desk adds one who may do a little more", "desk", "POST", "/users", `{"username":"x","password":"x-password","roles":["lead"]}`, missing},
		{"the help desk adds a user with a role of its own, which takes the permission for roles", "desk", "POST", "/users", `{"username":"x","password":"x-password","roles":["clerk"]}`, missing},
		{"the help desk gives itself a role", "desk", "PUT", "/users/ID:desk/roles/root", "", missing},
		{"the help desk takes a role from the administrator", "desk", "DELETE", "/users/ID:root/roles/root", "", missing},
		{"the help desk adds a role", "desk", "POST", "/roles", `{"name":"x","permissions":["admin:*"]}`, missing},
		// Who gives roles, beyond what they have.
		{"gives himself the administrator's role", "roler", "PUT", "/users/ID:roler/roles/root", "", missing},
		{"gives somebody else the administrator's role", "roler", "PUT", "/users/ID:alice/roles/root", "", missing},
		{"gives a role with a permission that he lacks", "roler", "PUT", "/users/ID:alice/roles/lead", "", missing},
		{"gives the help desk's role", "roler", "PUT", "/users/ID:roler/roles/desk", "", missing},
		{"adds a role for everything", "roler", "POST", "/roles", `{"name":"x","permissions":["admin:*"]}`, missing},
		{"adds a role for everything by a star", "roler", "POST", "/roles", `{"name":"x","permissions":["*"]}`, missing},
		{"adds a role with a wider wildcard than his own", "roler", "POST", "/roles", `{"name":"x","permissions":["orders:*"]}`, missing},
		{"adds a role with the permission to go beyond", "roler", "POST", "/roles", `{"name":"x","permissions":["admin:permissions:escalate"]}`, missing},
		{"adds a role with good permissions and one that he lacks", "roler", "POST", "/roles", `{"name":"x","permissions":["orders:read","admin:keys:read"]}`, missing},
		{"widens a role that he has", "roler", "PATCH", "/roles/roler", `{"add":["admin:*"]}`, missing},
		{"replaces a role that he has", "roler", "PUT", "/roles/roler", `{"permissions":["admin:*"]}`, missing},
		{"widens a role of others", "roler", "PATCH", "/roles/clerk", `{"add":["orders:write"]}`, missing},
		{"takes permissions from the administrator's role", "roler", "PATCH", "/roles/root", `{"remove":["admin:*"]}`, missing},
		{"empties the administrator's role", "roler", "PUT", "/roles/root", `{"permissions":[]}`, missing},
		{"deletes the administrator's role", "roler", "DELETE", "/roles/root", "", missing},
		{"takes the role from the administrator", "roler", "DELETE", "/users/ID:root/roles/root", "", missing},
		{"takes a role from one who may do more", "roler", "DELETE", "/users/ID:lead/roles/lead", "", missing},
		{"narrows the role of the help desk", "roler", "PATCH", "/roles/desk", `{"remove":["admin:users:*"]}`, missing},
		// The last administrator, and oneself.
		{"the last administrator disables himself", "root", "PATCH", "/users/ID:root", `{"disabled":true}`, "409 own_access"},
		{"the last administrator takes his role from himself", "root", "DELETE", "/users/ID:root/roles/root", "", "409 own_access"},
		{"the last administrator empties his role", "root", "PUT", "/roles/root", `{"permissions":[]}`, "409 own_access"},
		{"the last administrator deletes his role", "root", "DELETE", "/roles/root", "", "409 own_access"},
		{"the last administrator narrows his role", "root", "PATCH", "/roles/root", `{"remove":["admin:*"]}`, "409 own_access"},
		{"the help desk disables itself", "desk", "PATCH", "/users/ID:desk", `{"disabled":true}`, "409 own_access"},
		// Ids and names of others.
		{"an id with dot segments", "desk", "GET", "/users/..%2f..%2fme", "", "404 not_found"},
		{"an id with SQL", "desk", "GET", "/users/x'%20OR%20'1'='1", "", "404 not_found"},
		{"a name in place of an id", "desk", "GET", "/users/root", "", "404 not_found"},
		{"an id in capitals", "desk", "PUT", "/users/USR_X/password", `{"password":"new-password"}`, "404 not_found"},
		{"a session by a user's id", "desk", "DELETE", "/sessions/ID:root", "", "404 not_found"},
		{"a session by nothing", "desk", "DELETE", "/sessions/00000000-0000-0000-0000-000000000000", "", "404 not_found"},
		{"a user without a password", "desk", "POST", "/users", `{"username":"x"}`, "400 invalid_request"},
		{"a user with a password of one letter", "desk", "POST", "/users", `{"username":"x","password":"x"}`, "400 invalid_request"},
		{"a user who looks like root in full width", "desk", "POST", "/users", `{"username":"ｒｏｏｔ","password":"new-password"}`, "409 already_exists"},
		{"a user who looks like root in capitals", "desk", "POST", "/users", `{"username":"ROOT","password":"new-password"}`, "409 already_exists"},
		{"a user with a line break in the name", "desk", "POST", "/users", `{"username":"x\nroot","password":"new-password"}`, "400 invalid_request"},
		{"a user with a role that is not there", "root", "POST", "/users", `{"username":"x","password":"x-password","roles":["nothing"]}`, "400 invalid_request"},
		{"a role with a name that is a path", "root", "POST", "/roles", `{"name":"../x","permissions":[]}`, "400 invalid_request"},
		{"a permission with spaces, which would be two", "root", "POST", "/roles", `{"name":"x","permissions":["orders:read admin:*"]}`, "400 invalid_request"},
		{"a page of a million", "root", "GET", "/users?limit=1000000", "", "400 invalid_request"},
		{"a method by header", "desk", "TRACE", "/users", "", "405 method_not_allowed"},
	} {
		all = append(all, attack{name: c.name, want: c.want, try: as(c.who, c.method, c.path, c.body)})
	}
	// Members that no caller may set are not taken.
	for name, member := range named(map[string]string{
		"roles": `"roles":["root"]`, "permissions": `"permissions":["admin:*"]`, "the grants' version": `"grants_version":99`, "the id": `"id":"usr_x"`, "the name": `"username":"root2"`, "the password": `"password":"new-password"`, "the password's hash": `"password_hash":"$argon2id$v=19$m=1,t=1,p=1$YWFhYWFhYWE$YWFh"`,
		"the generation of credentials": `"credentials":99`, "roles in capitals of Go": `"Roles":["root"]`, "the time of creation": `"created_at":"2000-01-01T00:00:00Z"`,
	}) {
		all = append(all, attack{name: "sets by a change of profile also " + name, want: "200", try: as("desk", "PATCH", "/users/ID:alice", "{"+member+"}")})
	}
	return append(all,
		attack{name: "goes on as administrator after the role was taken", want: "401 invalid_token", moves: true, try: func(w *world) reply {
			t := w.login("reader").AccessToken
			if r := as("root", "DELETE", "/users/ID:reader/roles/reader", "")(w); r.status != 204 {
				w.Fatalf("%s %s", r, r.body)
			}
			r := w.send("GET", "/auth/admin/users", "", bearer(t)...)
			as("root", "PUT", "/users/ID:reader/roles/reader", "")(w)
			return r
		}},
		attack{name: "goes on in a session that an administrator has ended", want: "401 invalid_token", moves: true, try: func(w *world) reply {
			t := w.login("lead").AccessToken
			as("root", "DELETE", "/users/ID:lead/sessions", "")(w)
			return w.send("GET", "/auth/me", "", bearer(t)...)
		}},
		attack{name: "ends a session of somebody else as if it were his own", want: "404 not_found", try: func(w *world) reply {
			other, t := w.login("root"), w.login("alice")
			w.prepared()
			return w.send("DELETE", "/auth/sessions/"+other.Session.ID, "", bearer(t.AccessToken)...)
		}},
		attack{name: "looks for sessions of somebody else among his own", want: "200", moves: true, try: func(w *world) reply {
			other, t := w.login("root"), w.login("alice")
			r := w.send("GET", "/auth/sessions?user="+w.ids["root"], "", bearer(t.AccessToken)...)
			if strings.Contains(string(r.body), other.Session.ID) {
				w.Errorf("%s", r.body)
			}
			return r
		}},
		attack{name: "reads secrets of keys as their keeper", want: "200", moves: true, try: as("keeper", "GET", "/keys", ""), also: func(w *world, r reply) {
			for _, s := range []string{`"d"`, `"k"`, "secret", "private", "sealed"} {
				if strings.Contains(string(r.body), s) {
					w.Errorf("%s in %s", s, r.body)
				}
			}
		}},
		attack{name: "reads hashes of passwords as the help desk", want: "200", moves: true, try: as("desk", "GET", "/users", ""), also: func(w *world, r reply) {
			if strings.Contains(string(r.body), "argon") || strings.Contains(string(r.body), "hash") {
				w.Errorf("%s", r.body)
			}
		}},
	)
}

// told is what a caller can tell a response by.
func told(r reply) string {
	h := r.header.Clone()
	h.Del("Date")
	// A form has a value of its own each time.
	body := formHidden.ReplaceAll(r.body, nil)
	h.Del("Set-Cookie")
	h.Del("Content-Length")
	return fmt.Sprintf("%d %v %s", r.status, h, body)
}

// alike are two questions whose responses must be the same in every byte.
func alike(one, other func(w *world) reply) func(w *world) reply {
	return func(w *world) reply {
		w.Helper()
		a := one(w)
		b := other(w)
		if told(a) != told(b) {
			w.Errorf("they differ:\n%s\n%s", told(a), told(b))
		}
		return b
	}
}

func enumerationAttacks() []attack {
	login := func(name, password string) func(w *world) reply {
		return func(w *world) reply {
			return w.send("POST", "/auth/login", body(wire.LoginRequest{Username: name, Password: password, Delivery: wire.DeliveryBody}))
		}
	}
	bypage := func(name, password string) func(w *world) reply {
		return func(w *world) reply {
			r := w.submit(w.sheet(w.authorize(request()), ""), "username", name, "password", password)
			r.body = bytes.ReplaceAll(r.body, []byte(name), nil)
			return r
		}
	}
	by := func(who, method, path string, of func(w *world) string) func(w *world) reply {
		return func(w *world) reply {
			t := w.login(who).AccessToken
			id := of(w)
			w.prepared()
			return w.send(method, path+id, "", bearer(t)...)
		}
	}
	text := func(s string) func(w *world) string { return func(*world) string { return s } }
	token := func(pairs ...string) func(w *world) reply {
		return func(w *world) reply { return w.form(wire.PathToken, pairs) }
	}
	const nobodys = "01900000-0000-7000-8000-000000000000"
	return []attack{
		{name: "asks by signing in whether a name is there", want: "400 invalid_credentials", try: alike(login("alice", "wrong-password"), login("nobody", "wrong-password"))},
		{name: "asks by signing in whether a user is disabled, with a wrong password", want: "400 invalid_credentials", try: alike(login("dora", "wrong-password"), login("nobody", "wrong-password"))},
		{name: "asks by signing in whether a user is disabled, with the right password", want: "400 invalid_credentials", try: alike(login("dora", "dora-password"), login("nobody", "dora-password"))},
		{name: "asks by signing in whether a name can be one", want: "400 invalid_credentials", try: alike(login("alice", "other-password"), login("no such\tname", "other-password"))},
		{name: "asks by a password that is too long", want: "400 invalid_credentials", try: alike(login("alice", strings.Repeat("x", 3000)), login("nobody", strings.Repeat("x", 3000)))},
		{name: "asks by a name that is too long", want: "400 invalid_credentials", try: alike(login("alice", "third-password"), login(strings.Repeat("x", 3000), "third-password"))},
		{name: "asks at the sign-in page whether a name is there", want: "400", try: alike(bypage("alice", "wrong-password"), bypage("nobod", "wrong-password"))},
		{name: "asks at the sign-in page whether a user is disabled", want: "400", try: alike(bypage("dora", "dora-password"), bypage("nobo", "dora-password"))},
		{name: "asks whether somebody's session is there", want: "404 not_found", try: alike(by("alice", "DELETE", "/auth/sessions/", func(w *world) string { return w.login("root").Session.ID }), by("alice", "DELETE", "/auth/sessions/", text(nobodys)))},
		{name: "asks without permission whether a user is there", want: "403 insufficient_scope", try: alike(by("alice", "GET", "/auth/admin/users/", func(w *world) string { return w.ids["root"] }), by("alice", "GET", "/auth/admin/users/", text("usr_nobody")))},
		{name: "asks without permission whether a role is there", want: "403 insufficient_scope", try: alike(by("alice", "GET", "/auth/admin/roles/", text("root")), by("alice", "GET", "/auth/admin/roles/", text("nothing")))},
		{name: "asks without permission whether a session is there", want: "403 insufficient_scope", try: alike(by("alice", "DELETE", "/auth/admin/sessions/", func(w *world) string { return w.login("root").Session.ID }), by("alice", "DELETE", "/auth/admin/sessions/", text(nobodys)))},
		{name: "asks by a counterfeit token whether a session is there", want: "400 invalid_grant", try: alike(
			func(w *world) reply { t := w.login("alice").RefreshToken; w.prepared(); return w.renew(flip(t, 90)) },
			func(w *world) reply { return w.renew("tacet_rt_" + strings.Repeat("A", 98)) })},
		{name: "asks by a counterfeit access token whether a session is there", want: "401 invalid_token", try: func(w *world) reply {
			j := w.jwt(w.login("alice").AccessToken)
			w.prepared()
			return alike(
				func(w *world) reply { return w.send("GET", "/auth/me", "", bearer(j.by(evilKey).String())...) },
				func(w *world) reply {
					return w.send("GET", "/auth/me", "", bearer(j.claim("sid", nobodys).by(evilKey).String())...)
				})(w)
		}},
		{name: "asks whether a client is there", want: "401 invalid_client", try: alike(token("grant_type", "authorization_code", "code", "x", "client_id", "web", "client_secret", "x"), token("grant_type", "authorization_code", "code", "x", "client_id", "nobody", "client_secret", "x"))},
		{name: "asks whether a client has a secret", want: "401 invalid_client", try: alike(token("grant_type", "authorization_code", "code", "x", "client_id", "spa", "client_secret", "x"), token("grant_type", "authorization_code", "code", "x", "client_id", "web", "client_secret", "x"))},
		{name: "asks by revoking whether a token was good", want: "200", try: alike(
			func(w *world) reply {
				t := w.login("alice").RefreshToken
				w.prepared()
				return w.form(wire.PathRevoke, []string{"token", flip(t, 90), "client_id", "spa"})
			},
			func(w *world) reply { return w.form(wire.PathRevoke, []string{"token", "x", "client_id", "spa"}) })},
		{name: "asks by a code of another client whether it is one", want: "400 invalid_grant", try: alike(token("grant_type", "authorization_code", "code", "x", "client_id", "spa", "code_verifier", verifier, "redirect_uri", callback), token("grant_type", "authorization_code", "code", strings.Repeat("A", 43), "client_id", "spa", "code_verifier", verifier, "redirect_uri", callback))},
		{name: "asks by a device code of nobody's", want: "400 invalid_grant", try: alike(token("grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", "x", "client_id", "tv"), token("grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", strings.Repeat("A", 43), "client_id", "tv"))},
		{name: "asks which paths are there without a token", want: "404 not_found", try: alike(
			func(w *world) reply { return w.send("GET", "/auth/nothing", "") }, func(w *world) reply { return w.send("GET", "/auth/internal", "") })},
		{name: "asks for the feed without its secret", want: "404 not_found", try: func(w *world) reply { return w.send("GET", "/auth/feed", "") }},
		{name: "asks for metrics and profiles", want: "404 not_found", try: alike(func(w *world) reply { return w.send("GET", "/metrics", "") }, func(w *world) reply { return w.send("GET", "/debug/pprof/", "") })},
		{name: "asks what the server runs on", want: "404 not_found", try: func(w *world) reply { return w.send("GET", "/auth/nothing", "") }, also: func(w *world, r reply) {
			if r.header.Get("Server") != "" || r.header.Get("X-Powered-By") != "" || strings.Contains(string(r.body), "go") {
				w.Errorf("%v %s", r.header, r.body)
			}
		}},
		{name: "looks for passwords and tokens in the log", want: "400 invalid_credentials", try: login("root", "wrong-password-of-the-log"), also: func(w *world, _ reply) {
			if log := w.Logged.String(); strings.Contains(log, "wrong-password") || strings.Contains(log, "tacet_rt_") || strings.Contains(log, "eyJ") {
				w.Error("they are there")
			}
		}},
	}
}
