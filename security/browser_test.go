package security_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/wire"
)

const (
	refreshCookie = wire.CookieSecurePrefix + wire.CookieRefresh
	csrfCookie    = wire.CookieSecurePrefix + wire.CookieCSRF
)

func (t tab) cookies() string {
	return refreshCookie + "=" + t.refresh + "; " + csrfCookie + "=" + t.csrf
}

// by is a call of a page of the browser, with the headers that the browser adds.
func (w *world) by(t tab, path string, headers ...string) reply {
	w.Helper()
	return w.send("POST", "/auth"+path, "{}", append([]string{"Cookie", t.cookies()}, headers...)...)
}

// crossSite are requests that a foreign page makes alice's browser send, or that a
// neighbour with a session of his own prepares.
var crossSite = []struct {
	name    string
	headers func(w *world, victim tab) []string
}{
	{"no token", func(*world, tab) []string { return nil }},
	{"an empty token", func(*world, tab) []string { return []string{wire.HeaderCSRF, ""} }},
	{"a guess", func(*world, tab) []string {
		return []string{wire.HeaderCSRF, "0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	}},
	{"the token of the attacker's own session", func(w *world, _ tab) []string { return []string{wire.HeaderCSRF, w.browse("bob").csrf} }},
	{"the token of another session of the same user", func(w *world, _ tab) []string { return []string{wire.HeaderCSRF, w.browse("alice").csrf} }},
	{"another generation before the token", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, "7" + v.csrf} }},
	{"a token with a changed nonce", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, flip(v.csrf, 3)} }},
	{"a token with a changed MAC", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, flip(v.csrf, len(v.csrf)-3)} }},
	{"a token with unused bits set", func(_ *world, v tab) []string {
		gen, text, _ := strings.Cut(v.csrf, ".")
		raw, _ := b64.DecodeString(text)
		return []string{wire.HeaderCSRF, gen + "." + lax(raw)}
	}},
	{"half a token", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, v.csrf[:20]} }},
	{"a token with text behind it", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, v.csrf + "AAAA"} }},
	{"a token in quotes", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, `"` + v.csrf + `"`} }},
	{"the refresh token as CSRF token", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, v.refresh} }},
	{"the session's id as CSRF token", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, v.id} }},
	{"a token in a header of another name", func(_ *world, v tab) []string {
		return []string{"X-CSRFToken", v.csrf, "X-Requested-With", "XMLHttpRequest"}
	}},
	{"another application's XSRF token", func(*world, tab) []string { return []string{wire.HeaderXSRF, "eyJpdiI6Im1ZMFhXb3c9PSJ9"} }},
	{"the right token, from another site", func(_ *world, v tab) []string {
		return []string{wire.HeaderCSRF, v.csrf, "Origin", "https://evil.example"}
	}},
	{"the right token, from a page without an origin", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, v.csrf, "Origin", "null"} }},
	{"the right token, from a subdomain", func(_ *world, v tab) []string {
		return []string{wire.HeaderCSRF, v.csrf, "Origin", "https://x.app.example"}
	}},
	{"the right token, from a host that begins like it", func(_ *world, v tab) []string {
		return []string{wire.HeaderCSRF, v.csrf, "Origin", origin + ".evil.example"}
	}},
	{"the right token, from another port", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, v.csrf, "Origin", origin + ":8443"} }},
	{"the right token, from the parent domain", func(_ *world, v tab) []string { return []string{wire.HeaderCSRF, v.csrf, "Origin", "https://example"} }},
	{"the right token, cross-site as the browser says", func(_ *world, v tab) []string {
		return []string{wire.HeaderCSRF, v.csrf, "Sec-Fetch-Site", "cross-site"}
	}},
	{"the right token, same-site as the browser says", func(_ *world, v tab) []string {
		return []string{wire.HeaderCSRF, v.csrf, "Sec-Fetch-Site", "same-site"}
	}},
}

func csrfAttacks() (all []attack) {
	for _, c := range crossSite {
		all = append(all, attack{name: "renews, confirms or signs out with " + c.name, want: "403 csrf", try: func(w *world) reply {
			victim := w.browse("alice")
			headers := c.headers(w, victim)
			w.prepared()
			for _, path := range []string{"/confirm", "/logout"} {
				if r := w.by(victim, path, headers...); r.String() != "403 csrf" || len(r.header["Set-Cookie"]) > 0 {
					w.Errorf("%s: %s %q", path, r, r.header["Set-Cookie"])
				}
			}
			if r := w.send("POST", "/auth/logout", `{"everywhere":true}`, append([]string{"Cookie", victim.cookies()}, headers...)...); r.String() != "403 csrf" {
				w.Errorf("everywhere: %s", r)
			}
			return w.by(victim, "/refresh", headers...)
		}, also: noCookies})
	}
	login := body(wire.LoginRequest{Username: "bob", Password: "bob"})
	for name, headers := range named(map[string][]string{
		"another site": {"Origin", "https://evil.example"}, "a page without an origin": {"Origin", "null"}, "a subdomain": {"Origin", "https://x.app.example"},
		"another site that says no origin": {"Sec-Fetch-Site", "cross-site"}, "a site of the same domain": {"Sec-Fetch-Site", "same-site"}, "another port": {"Origin", origin + ":444"},
	}) {
		all = append(all, attack{name: "signs the visitor in as somebody else, from " + name, want: "403 csrf", also: noCookies, try: func(w *world) reply {
			victim := w.browse("alice")
			w.prepared()
			return w.send("POST", "/auth/login", login, append([]string{"Cookie", victim.cookies()}, headers...)...)
		}})
	}
	for name, kind := range named(map[string]string{"plain text": "text/plain", "a form": "application/x-www-form-urlencoded", "a form of parts": "multipart/form-data; boundary=x", "JSON in another character set": "application/json; charset=utf-16", "XML": "text/xml", "no type": ""}) {
		all = append(all, attack{name: "signs the visitor in by a request that needs no preflight: " + name, want: "415 unsupported_media_type", also: noCookies, try: func(w *world) reply {
			return w.send("POST", "/auth/login", login, "Content-Type", kind)
		}}, attack{name: "signs out everywhere by a request that needs no preflight: " + name, want: "415 unsupported_media_type", also: noCookies, try: func(w *world) reply {
			victim := w.browse("alice")
			w.prepared()
			return w.send("POST", "/auth/logout", `{"everywhere":true}`, "Content-Type", kind, "Cookie", victim.cookies())
		}})
	}
	for name, c := range named(map[string]struct{ method, path, want string }{
		"a page's address in an image: refresh": {"GET", "/auth/refresh", "405 method_not_allowed"}, "a page's address in an image: logout": {"GET", "/auth/logout?everywhere=true", "405 method_not_allowed"}, "a page's address in an image: login": {"GET", "/auth/login?username=bob&password=bob", "405 method_not_allowed"},
		"the cookie alone: me": {"GET", "/auth/me", "401 invalid_token"}, "the cookie alone: the list of sessions": {"GET", "/auth/sessions", "401 invalid_token"}, "the cookie alone: users": {"GET", "/auth/admin/users", "401 invalid_token"},
		"the cookie alone: a new role": {"POST", "/auth/admin/roles", "401 invalid_token"}, "the cookie alone: new keys": {"POST", "/auth/admin/keys/rotate", "401 invalid_token"}, "the cookie alone: the API": {"GET", "/api/orders", "401 invalid_token"}, "the cookie alone: UserInfo": {"GET", "/oauth/userinfo", "401 invalid_token"},
		"a method in the address": {"GET", "/auth/logout?_method=POST", "405 method_not_allowed"},
	}) {
		if c.path == "/auth/admin/roles" || c.path == "/auth/admin/users" {
			continue // these users are kept elsewhere
		}
		all = append(all, attack{name: "lets the browser call with " + name, want: c.want, also: noCookies, try: func(w *world) reply {
			victim := w.browse("alice")
			w.prepared()
			return w.send(c.method, c.path, "", "Cookie", victim.cookies(), wire.HeaderCSRF, victim.csrf)
		}})
	}
	for name, headers := range named(map[string][]string{"reads a response from another site": {"Origin", "https://evil.example"}, "reads a response from a page without an origin": {"Origin", "null"}}) {
		all = append(all, attack{name: name, want: "200", also: unreadable, try: func(w *world) reply {
			return w.send("GET", "/auth/me", "", append(bearer(w.login("bob").AccessToken), headers...)...)
		}})
	}
	all = append(all, attack{name: "asks by preflight whether another site may call", want: "405 method_not_allowed", also: unreadable, try: func(w *world) reply {
		return w.send("OPTIONS", "/auth/refresh", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-csrf-token")
	}})
	all[len(all)-2].moves, all[len(all)-3].moves = true, true // a sign-in
	return append(all, formAttacks()...)
}

func noCookies(w *world, r reply) {
	if set := r.header["Set-Cookie"]; len(set) > 0 {
		w.Errorf("cookies are touched: %q", set)
	}
}

func unreadable(w *world, r reply) {
	for name := range r.header {
		if strings.HasPrefix(name, "Access-Control-Allow") {
			w.Errorf("%s: %q", name, r.header[name])
		}
	}
}

// formAttacks send the forms of pages from elsewhere.
func formAttacks() (all []attack) {
	for where, open := range named(map[string]func(w *world) sheet{
		"the sign-in page": func(w *world) sheet { return w.sheet(w.authorize(request()), "") },
		"the device page":  func(w *world) sheet { return w.sheet(w.send("GET", wire.PathDevice, ""), "") },
	}) {
		for name, try := range named(map[string]func(w *world, own, other sheet) reply{
			"without the cookie": func(w *world, own, _ sheet) reply {
				return w.form(own.action, append(own.fields, "username", "bob", "password", "bob"), "Origin", origin)
			},
			"without the field": func(w *world, own, _ sheet) reply {
				return w.form(own.action, []string{"username", "bob", "password", "bob"}, "Cookie", formCookie+"="+own.cookie, "Origin", origin)
			},
			"with the field of another browser": func(w *world, own, other sheet) reply {
				return w.form(own.action, append(other.fields, "username", "bob", "password", "bob"), "Cookie", formCookie+"="+own.cookie, "Origin", origin)
			},
			"with empty values on both sides": func(w *world, own, _ sheet) reply {
				return w.form(own.action, []string{"csrf", "", "username", "bob", "password", "bob"}, "Cookie", formCookie+"=", "Origin", origin)
			},
			"with a cookie without the prefix": func(w *world, own, _ sheet) reply {
				return w.form(own.action, append(own.fields, "username", "bob", "password", "bob"), "Cookie", "tacet_form="+own.cookie, "Origin", origin)
			},
			"from another site": func(w *world, own, _ sheet) reply {
				return w.form(own.action, append(own.fields, "username", "bob", "password", "bob"), "Cookie", formCookie+"="+own.cookie, "Origin", "https://evil.example")
			},
			"from a page without an origin": func(w *world, own, _ sheet) reply {
				return w.form(own.action, append(own.fields, "username", "bob", "password", "bob"), "Cookie", formCookie+"="+own.cookie, "Origin", "null")
			},
			"cross-site as the browser says": func(w *world, own, _ sheet) reply {
				return w.form(own.action, append(own.fields, "username", "bob", "password", "bob"), "Cookie", formCookie+"="+own.cookie, "Sec-Fetch-Site", "cross-site")
			},
		}) {
			all = append(all, attack{name: "sends the form of " + where + " " + name, want: "403", try: func(w *world) reply { return try(w, open(w), open(w)) }})
		}
	}
	return all
}

// tossed are lines of cookies with one that another host of the domain, or another
// application, has set in alice's browser. The page's session goes on, whatever.
var tossed = map[string]func(victim, evil tab) string{
	"the attacker's refresh cookie before the own": func(v, e tab) string { return refreshCookie + "=" + e.refresh + "; " + v.cookies() },
	"the attacker's refresh cookie behind the own": func(v, e tab) string { return v.cookies() + "; " + refreshCookie + "=" + e.refresh },
	"both of the attacker's before the own":        func(v, e tab) string { return e.cookies() + "; " + v.cookies() },
	"both of the attacker's behind the own":        func(v, e tab) string { return v.cookies() + "; " + e.cookies() },
	"nonsense before":                              func(v, _ tab) string { return refreshCookie + "=x; " + v.cookies() },
	"nonsense behind":                              func(v, _ tab) string { return v.cookies() + "; " + refreshCookie + "=x" },
	"an empty one before":                          func(v, _ tab) string { return refreshCookie + "=; " + v.cookies() },
	"the attacker's without the prefix":            func(v, e tab) string { return "tacet_refresh=" + e.refresh + "; " + v.cookies() },
	"the attacker's with the prefix __Secure-":     func(v, e tab) string { return "__Secure-tacet_refresh=" + e.refresh + "; " + v.cookies() },
	"the attacker's with the prefix in capitals":   func(v, e tab) string { return "__HOST-tacet_refresh=" + e.refresh + "; " + v.cookies() },
	"the attacker's with a space in its name":      func(v, e tab) string { return "__Host-tacet_refresh =" + e.refresh + "; " + v.cookies() },
	"the attacker's as a cookie without a name":    func(v, e tab) string { return "=__Host-tacet_refresh=" + e.refresh + "; " + v.cookies() },
	"a CSRF cookie of the attacker's":              func(v, e tab) string { return csrfCookie + "=" + e.csrf + "; " + v.cookies() },
	"a cookie XSRF-TOKEN of another application":   func(v, _ tab) string { return "XSRF-TOKEN=eyJpdiI6Im0ifQ%3D; " + v.cookies() },
	"a counterfeit of the own before":              func(v, _ tab) string { return refreshCookie + "=" + flip(v.refresh, 60) + "; " + v.cookies() },
	"the own in quotes before":                     func(v, _ tab) string { return refreshCookie + `="` + v.refresh + `x"; ` + v.cookies() },
	"forty of them":                                func(v, e tab) string { return strings.Repeat(refreshCookie+"="+e.refresh+"; ", 40) + v.cookies() },
	"a name that ends like ours":                   func(v, e tab) string { return "x__Host-tacet_refresh=" + e.refresh + "; " + v.cookies() },
}

func cookieAttacks() (all []attack) {
	for name, line := range named(tossed) {
		all = append(all, attack{name: "tosses a cookie: " + name, want: "200", moves: true, try: func(w *world) reply {
			victim, evil := w.browse("alice"), w.browse("bob")
			evil.refresh = strings.TrimSpace(evil.refresh)
			before := w.headOf(evil.id)
			r := w.send("POST", "/auth/refresh", "{}", "Cookie", line(victim, evil), wire.HeaderCSRF, victim.csrf)
			var t wire.TokenResponse
			w.json(r, &t)
			if t.Session.ID != victim.id {
				w.Error("alice is now somebody else")
			}
			if w.headOf(evil.id) != before {
				w.Error("the other session has moved")
			}
			// And at the sign-out it is alice's session that ends.
			victim.refresh, victim.csrf = r.cookie(refreshCookie), r.cookie(csrfCookie)
			if out := w.send("POST", "/auth/logout", "{}", "Cookie", line(victim, evil), wire.HeaderCSRF, victim.csrf); out.status != 204 || w.lives(victim.id) || !w.lives(evil.id) {
				w.Errorf("signed out: %s, alice lives %v, the other %v", out, w.lives(victim.id), w.lives(evil.id))
			}
			return r
		}})
	}
	for name, line := range named(map[string]func(t tab) string{
		"without the prefix": func(t tab) string { return "tacet_refresh=" + t.refresh + "; tacet_csrf=" + t.csrf }, "with the prefix __Secure-": func(t tab) string { return "__Secure-tacet_refresh=" + t.refresh },
		"with the prefix in lower case": func(t tab) string { return "__host-tacet_refresh=" + t.refresh }, "in another cookie": func(t tab) string { return "session=" + t.refresh },
		"escaped": func(t tab) string { return refreshCookie + "=" + strings.Replace(t.refresh, "_", "%5F", 1) }, "with a comma behind": func(t tab) string { return refreshCookie + "=" + t.refresh + "," },
	}) {
		all = append(all, attack{name: "brings a refresh token " + name, want: "400 invalid_grant", also: noCookies, try: func(w *world) reply {
			t := w.browse("alice")
			w.prepared()
			return w.send("POST", "/auth/refresh", "{}", "Cookie", line(t), wire.HeaderCSRF, t.csrf)
		}})
	}
	attributes := func(name string, want string, not string) attack {
		return attack{name: "reads or sets " + name, want: "200", moves: true, try: func(w *world) reply {
			return w.send("POST", "/auth/login", body(wire.LoginRequest{Username: "alice", Password: "alice"}))
		}, also: func(w *world, r reply) {
			for _, c := range (&http.Response{Header: r.header}).Cookies() {
				text := c.Raw + ";"
				if want != "" && !strings.Contains(text, want+";") || not != "" && strings.Contains(text, not) {
					w.Errorf("%s: %s without its value", name, c.Name)
				}
			}
			if len(r.header["Set-Cookie"]) != 2 {
				w.Error("there are other cookies")
			}
		}}
	}
	return append(all,
		attributes("a cookie over plain http: they are Secure", "Secure", ""),
		attributes("a cookie from another host: they have no Domain", "", "Domain="),
		attributes("a cookie of another path: theirs is /", "Path=/", ""),
		attributes("a cookie that is sent across sites: they are SameSite=Lax", "SameSite=Lax", "SameSite=None"),
		attack{name: "reads the refresh cookie by a script", want: "200", moves: true, try: func(w *world) reply {
			return w.send("POST", "/auth/login", body(wire.LoginRequest{Username: "alice", Password: "alice"}))
		}, also: func(w *world, r reply) {
			for _, c := range (&http.Response{Header: r.header}).Cookies() {
				if c.HttpOnly != (c.Name == refreshCookie) || strings.Contains(string(r.body), c.Value) {
					w.Errorf("%s: HttpOnly %v, or in the body", c.Name, c.HttpOnly)
				}
			}
		}},
		attack{name: "has the cookies cleared by a refused renewal", want: "400 invalid_grant", also: noCookies, try: func(w *world) reply {
			t := w.browse("bob")
			w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: t.refresh}))
			w.prepared()
			return w.by(t, "/refresh", wire.HeaderCSRF, t.csrf)
		}},
		attack{name: "has the cookies cleared by a foreign page", want: "403 csrf", also: noCookies, try: func(w *world) reply {
			return w.send("POST", "/auth/logout", "{}", "Origin", "https://evil.example")
		}},
		attack{name: "has the session of a page exchanged between two renewals", want: "409 other_session", also: noCookies, try: func(w *world) reply {
			victim, evil := w.browse("alice"), w.browse("bob")
			w.prepared()
			return w.send("POST", "/auth/refresh", body(wire.RefreshRequest{Session: victim.id}), "Cookie", evil.cookies(), wire.HeaderCSRF, evil.csrf)
		}},
		attack{name: "has the session of a page exchanged before the sign-out", want: "409 other_session", also: noCookies, try: func(w *world) reply {
			victim, evil := w.browse("alice"), w.browse("bob")
			w.prepared()
			return w.send("POST", "/auth/logout", body(wire.LogoutRequest{Session: victim.id, Everywhere: true}), "Cookie", evil.cookies(), wire.HeaderCSRF, evil.csrf)
		}},
		attack{name: "gets cookies set by a token in the body", want: "200", moves: true, also: noCookies, try: func(w *world) reply {
			return w.send("POST", "/auth/refresh", body(wire.RefreshRequest{RefreshToken: w.login("bob").RefreshToken}), "Cookie", w.browse("alice").cookies())
		}},
		attack{name: "sends forty kilobytes of cookies", want: "431", try: func(w *world) reply {
			return w.one("POST /auth/refresh HTTP/1.1\r\nHost: app.example\r\nCookie: x=" + strings.Repeat("a", 40<<10) + "\r\n\r\n")
		}},
		attack{name: "stores a response of a renewal in a cache", want: "200", moves: true, try: func(w *world) reply { return w.renew(w.login("bob").RefreshToken) }, also: func(w *world, r reply) {
			if r.header.Get("Cache-Control") != "no-store" {
				w.Errorf("%v", r.header)
			}
		}},
		attack{name: "leaves an earlier session of this browser behind at a sign-in", want: "200", moves: true, try: func(w *world) reply {
			t := w.browse("alice")
			r := w.send("POST", "/auth/login", body(wire.LoginRequest{Username: "alice", Password: "alice"}), "Cookie", t.cookies())
			if w.lives(t.id) {
				w.Error("it lives")
			}
			return r
		}},
		attack{name: "uses the CSRF cookie after the session", want: "400 invalid_grant", also: noCookies, try: func(w *world) reply {
			t := w.browse("bob")
			w.send("POST", "/auth/logout", "{}", "Cookie", t.cookies(), wire.HeaderCSRF, t.csrf)
			w.prepared()
			return w.by(t, "/refresh", wire.HeaderCSRF, t.csrf)
		}},
		attack{name: "learns the cookies' life from a session that ends sooner", want: "200", moves: true, try: func(w *world) reply {
			return w.send("POST", "/auth/login", body(wire.LoginRequest{Username: "carol", Password: "carol"}))
		}, also: func(w *world, r reply) {
			for _, c := range (&http.Response{Header: r.header}).Cookies() {
				if time.Duration(c.MaxAge)*time.Second > app.DefaultIdleTTL {
					w.Errorf("%s lives for %d s", c.Name, c.MaxAge)
				}
			}
		}},
	)
}

// headOf is the line of state about a session.
func (w *world) headOf(id string) string {
	for line := range strings.Lines(w.state()) {
		if strings.HasPrefix(line, id) {
			return line
		}
	}
	return fmt.Sprint(id, " has ended")
}
