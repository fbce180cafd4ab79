package gateway

import (
	"errors"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func table(t testing.TB, r Rules) *Table {
	t.Helper()
	r.Base, r.Own = "/auth", []string{"/livez"}
	tab, _, err := NewTable(r)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

var example = Rules{
	Upstreams: []string{"/api=http://127.0.0.1:1", "/api/v2=http://127.0.0.1:2", "/ws/=http://127.0.0.1:3/live"},
	Require:   []string{"/api/admin=admin:*", "/api/admin/reports=reports:read", "/api/v2=v2:use", "/api/v2=v2:more"},
	Public:    []string{"/api/health", "/api/admin/login"},
}

// verdict is a decision in words.
func verdict(t *Table, p string) string {
	d, err := t.match(p)
	if err != nil {
		return "refused"
	}
	who := t.who(d)
	if d.upstream < 0 && who == nil {
		return "nothing"
	}
	s := "none"
	if d.upstream >= 0 {
		s = t.upstreams[d.upstream].text
	}
	switch {
	case who == nil:
		return s + " token"
	case who.public:
		return s + " public"
	}
	return s + " " + strings.Join(who.permissions, "+")
}

func TestLongestPrefixWinsInWholeSegments(t *testing.T) {
	tab := table(t, example)
	for p, want := range map[string]string{
		"/":                         "nothing",
		"/ap":                       "nothing",
		"/apis":                     "nothing",
		"/api":                      "/api token",
		"/api/":                     "/api token",
		"/api/orders/7":             "/api token",
		"/api/administrators":       "/api token",
		"/api/admin":                "/api admin:*",
		"/api/admin/":               "/api admin:*",
		"/api/admin/users":          "/api admin:*",
		"/api/admin/reports/1":      "/api reports:read",
		"/api/admin/login":          "/api public",
		"/api/v2":                   "/api/v2 v2:use+v2:more",
		"/api/v2/x":                 "/api/v2 v2:use+v2:more",
		"/api/v22":                  "/api token",
		"/api/health/db":            "/api public",
		"/api/healthy":              "/api token",
		"/ws":                       "/ws token",
		"/ws/":                      "/ws token",
		"/api/files/a.b.txt":        "/api token",
		"/api/files/.hidden":        "/api token",
		"/api/files/a%20b":          "/api token",
		"/api/projects/a%2Fb":       "/api token", // the same rule in every reading
		"/api/users/CORP%5Cbob":     "/api token",
		"/api/Users/ABC":            "/api token",
		"/api/%E8%AE%A2%E5%8D%95/1": "/api token",
		"/api/x//y":                 "/api token",
		"/api/m;v=1/n":              "/api token",
		"/api/discount/100%25":      "/api token",
		"/api/admin:disable":        "/api token",
		// A rule covers its resource in other formats, and both rules count where
		// two may be meant.
		"/api/admin.json":              "/api admin:*",
		"/api/admin.json/":             "/api admin:*",
		"/api/admin.json%3Fx":          "/api admin:*",
		"/api/admin.tar.gz":            "/api admin:*",
		"/api/admin..json":             "/api admin:*",
		"/api/admin.json;x=1":          "/api admin:*",
		"/api/admin.php":               "/api admin:*",
		"/api/admin.json/users":        "/api admin:*",
		"/api/admin/users.json":        "/api admin:*",
		"/api/admin/reports.csv":       "/api admin:*+reports:read",
		"/api/admin/reports.csv/x.csv": "/api admin:*+reports:read",
		"/api/admin/login.json":        "/api admin:*",
		"/api/health.json":             "/api token",
		"/api/v2.json":                 "/api v2:use+v2:more",
		"/api/v2.1/x":                  "/api v2:use+v2:more",
		"/api/v2.jsonld":               "/api v2:use+v2:more",
		"/api/administrators.json":     "/api token",
		"/api/reports.v1/x.json":       "/api token",
		"/api/q%3F/x":                  "/api token",
		"/api/c%23/x":                  "/api token",
	} {
		if got := verdict(tab, p); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
}

// Every way that is known to take a path past a rule for its prefix.
func TestPathsThatAreReadInSeveralWaysAreRefused(t *testing.T) {
	tab := table(t, example)
	for _, p := range []string{
		"", "*", "api", "x/api",
		"/api/../auth", "/api/..", "/api/.", "/api/./admin", "/api/x/../admin", "/api/health/../admin",
		"/api/%2e%2e/admin", "/api/%2E./admin", "/api/health/..%2fadmin", "/api/health/%2e%2e%2fadmin", "/api/health/..%5cadmin",
		"/api/health/..;/admin", "/api/health/..;a=b/admin", "/api/health/%2e%2e%3b/admin", "/api/health/.%20./../admin",
		"/api/health/%252e%252e/admin", "/api/health/%25252e%25252e/admin", "/api/health/..%252fadmin",
		"/api//admin", "/api///admin/x", "//api/admin", "/api/%2fadmin", "/api%2fadmin", "/api%2Fadmin%2Fusers", "/api%252fadmin",
		"/api/admin%2fx/../y", "/api/admin%2flogin", "/api/admin%2Freports",
		`/api\admin`, `/api/\admin`, "/api%5cadmin", "/api%5Cadmin/users",
		"/api/admin;x=1", "/api/admin;/users", "/api;x/admin", "/api/admin%3bx", "/api/;/admin",
		"/api/admin.", "/api/admin%20", "/api/admin%20/users", "/api/admin./users", "/api./admin",
		"/API/admin", "/api/Admin", "/api/ADMIN/users", "/Api/x", "/api/%41dmin", "/api/admin/LOGIN", "/api/HEALTH",
		"/api/%61dmin/users", // one rule if it is decoded, another if not
		"/api/%2561dmin", "/api/%252561dmin", "/api/ad%256din/x",
		"/api/admin%00", "/api/%00", "/api/x%0a", "/api/x%0d%0aX-Tacet-User:%20root", "/api/x%7f",
		"/api/%2525252525252525252e", "/api/%", "/api/%zz", "/api/%2",
		"/api/admin/login%2f..%2fusers", "/api/admin/login;/../users", "/api/admin//login", "/api/admin/login%2fx/%2e%2e",
		"/api/admin%2ejson", "/api/admin%20.json", "/api/admin%252ejson", "/api/ADMIN.json", "/api/Admin.JSON/x", "/api;x/admin.json", "/api/%61dmin.json",
		"/api/admin%23", "/api/admin%3f", "/api/admin%3Fx=1", "/api/admin%2523x", "/api/admin%253f", "/api/admin/reports%23", "/api/admin/login%23/../users",
		"/api%2fadmin%3f", "/api/health%3f", "/api/health%23x", "/api/admin%3f.json",
		"/api/admin::$DATA", "/api/admin:$i30:$INDEX_ALLOCATION/x", "/api/admin.json;/x/../", "/api/admin;.json",
		"/api/health/%c0%ae%c0%ae/admin", "/api%c0%afadmin", "/api/%c1%a1dmin", "/api/health/%25c0%25ae./admin",
		"/api/%EF%BD%81dmin", "/api%EF%BC%8Fadmin", "/api/health/%E2%80%A5/admin", "/api/admin%EF%BC%9Bx",
		"/index.php/api/admin", "/api/index.php/admin", "/api/index.PHP/admin/x", "/api.php/admin", "/api/cgi.cgi/v2/x",
		"/api/v2%2fx", "/api//v2/x", "/api/V2/x", "/api/%E2%84%AA/../x",
	} {
		if got := verdict(tab, p); got != "refused" {
			t.Errorf("%s: %s", p, got)
		}
	}
}

// servers are models of how the servers behind a gateway find out where a path
// leads. None of them shares code with the matcher.
var servers = map[string]func(escaped string) string{
	"keeps":      func(p string) string { return p },
	"decodes":    lenient,
	"cleans":     func(p string) string { return path.Clean(lenient(p)) },
	"clean keep": func(p string) string { return path.Clean(p) },
	"merges": func(p string) string {
		for strings.Contains(p, "//") {
			p = strings.ReplaceAll(p, "//", "/")
		}
		return lenient(p)
	},
	"ignores case": func(p string) string { return strings.ToLower(lenient(p)) },
	"windows": func(p string) string {
		parts := strings.Split(path.Clean(strings.ReplaceAll(strings.ToLower(lenient(p)), `\`, "/")), "/")
		for i := range parts {
			parts[i] = strings.TrimRight(parts[i], ". ")
		}
		return path.Clean("/" + strings.Join(parts, "/"))
	},
	"tomcat": func(p string) string {
		parts := strings.Split(p, "/")
		for i := range parts {
			parts[i], _, _ = strings.Cut(parts[i], ";")
		}
		return path.Clean(lenient(strings.Join(parts, "/")))
	},
	"late parameters": func(p string) string {
		parts := strings.Split(lenient(p), "/")
		for i := range parts {
			parts[i], _, _ = strings.Cut(parts[i], ";")
		}
		return path.Clean(strings.Join(parts, "/"))
	},
	"decodes twice": func(p string) string { return path.Clean(lenient(lenient(p))) },
	"all at once": func(p string) string {
		p = strings.ToLower(strings.ReplaceAll(lenient(lenient(lenient(p))), `\`, "/"))
		return path.Clean(p)
	},
	"format suffix at the end": func(p string) string { return suffix.ReplaceAllString(lenient(p), "") },
	"format suffix, any case":  func(p string) string { return suffix.ReplaceAllString(strings.ToLower(lenient(p)), "") },
	"format of Spring": func(p string) string {
		return anySuffix.ReplaceAllString(path.Clean(lenient(p)), "")
	},
	"format before parameters": func(p string) string { return suffix.ReplaceAllString(params.ReplaceAllString(lenient(p), ""), "") },
	"scripts with a path":      func(p string) string { return script.ReplaceAllString(lenient(p), "$1") },
	"front controller":         func(p string) string { return strings.Replace(lenient(p), "/index.php/", "/", 1) },
	"parses again":             func(p string) string { return path.Clean(query.ReplaceAllString(lenient(p), "")) },
	"parses again, decoded twice": func(p string) string {
		return path.Clean(query.ReplaceAllString(lenient(lenient(p)), ""))
	},
	"parses again, then formats": func(p string) string { return suffix.ReplaceAllString(query.ReplaceAllString(lenient(p), ""), "") },
	"streams of NTFS":            func(p string) string { return ntfs.ReplaceAllString(lenient(p), "") },
	"normalises":                 func(p string) string { return norm.NFKC.String(lenient(p)) },
}

var (
	anySuffix = regexp.MustCompile(`\.[^/]*/?$`)
	script    = regexp.MustCompile(`\.php(/|$)`)
	ntfs      = regexp.MustCompile(`:+\$[^/]*`)
	suffix    = regexp.MustCompile(`\.[a-zA-Z0-9]+/?$`)
	params    = regexp.MustCompile(`;[^/]*`)
	query     = regexp.MustCompile(`(?s)[?#].*`)
)

func lenient(p string) string {
	if d, err := url.PathUnescape(p); err == nil {
		return d
	}
	return p
}

// below is a second, dumb matcher.
func below(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

// FuzzNoServerReadsAProtectedPath: whatever is let through to /api with a mere
// token, or with nothing, leads to no protected place in any of the servers.
func FuzzNoServerReadsAProtectedPath(f *testing.F) {
	for _, s := range []string{
		"/api/admin", "/api/health", "/api/health/..%2fadmin", "/api/%2561dmin", "/API/Admin;x/..", `/api\admin`, "/api/x/%2e%2e;/admin",
		"/api/admin.json", "/api/admin%2ejson", "/api/admin.json;x", "/api/admin%3fx", "/api/admin%23", "/api/admin/reports.csv", "/api/admin.json/", "/api/v2.1/x",
		"/index.php/api/admin", "/api.php/admin", "/api/admin::$DATA", "/api/admin.json%3f", "/api/%EF%BD%81dmin", "/api/%c0%ae%c0%ae/admin", "/api/health%3f.json",
		"/api/admin%2ftest.php/x", "/api/admin;a.json", "/api/admin.json%252f",
		"//api//admin", "/api/admin%20/", "/api/a%5c..%5cadmin", "/api%2fadmin%2freports", "/api/health;/admin", "/api/health%2f%2e%2e%2fadmin",
	} {
		f.Add(s)
	}
	tab := table(f, example)
	f.Fuzz(func(t *testing.T, p string) { noServerReads(t, tab, p) })
}

// TestNoServerReadsAProtectedPath is the same for paths made of what has been
// used in attacks.
func TestNoServerReadsAProtectedPath(t *testing.T) {
	tab := table(t, example)
	parts := []string{
		"/", "/", "/", "/api", "/api", "/admin", "/admin", "/reports", "/login", "/health", "/v2", "/x", "api", "admin", ".json", ".php", "/index.php", ".", "..", "%2e", "%2f", "%5c", "\\",
		"%3f", "%23", ";", ";a=b", "%3b", "%20", "%253f", "%252f", "%252e", "::$DATA", ":$i30", "%00", "Admin", "/API", "%61dmin", "%c0%ae", "%c0%af", "%ef%bc%8f", "%ef%bd%81dmin", "a", ":", "~", "+",
	}
	rapid.Check(t, func(t *rapid.T) {
		noServerReads(t, tab, "/api"+strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 6).Draw(t, "path"), ""))
	})
}

func noServerReads(t rapid.TB, tab *Table, p string) {
	u, err := url.ParseRequestURI(p)
	if err != nil {
		return
	}
	escaped := u.EscapedPath()
	d, err := tab.match(escaped)
	if err != nil {
		if !errors.Is(err, ErrPath) {
			t.Fatal(err)
		}
		return
	}
	if again, _ := tab.match(escaped); again != d {
		t.Fatalf("%q: %v, then %v", escaped, d, again)
	}
	who := tab.who(d)
	for name, read := range servers {
		seen := read(escaped)
		var upstream string
		var want []string // nil: everybody may
		switch {
		case below(seen, "/api/v2"):
			upstream, want = "/api/v2", []string{"v2:use", "v2:more"}
		case below(seen, "/api/admin/reports"):
			upstream, want = "/api", []string{"reports:read"}
		case below(seen, "/api/admin/login"), below(seen, "/api/health"):
			upstream = "/api"
		case below(seen, "/api/admin"):
			upstream, want = "/api", []string{"admin:*"}
		default:
			continue
		}
		if d.upstream < 0 {
			continue // 404, whoever asks
		}
		for _, p := range want {
			if who == nil || !slices.Contains(who.permissions, p) {
				t.Fatalf("%q was let through as %q, but a server that %s sees %q, which needs %s", escaped, verdict(tab, escaped), name, seen, p)
			}
		}
		if got := tab.upstreams[d.upstream].text; got != upstream && !strings.Contains(lenient(lenient(escaped)), ".") {
			t.Fatalf("%q goes to %s, but a server that %s sees %q", escaped, got, name, seen)
		}
		if want == nil && (who == nil || !who.public) && !strings.Contains(lenient(lenient(escaped)), ".") {
			t.Fatalf("%q needs a token, but a server that %s sees %q, which is public", escaped, name, seen)
		}
	}
	if who != nil && who.public && !publicForAll(escaped) {
		t.Fatalf("%q is public, but not for all servers", escaped)
	}
}

// publicForAll reports whether every server takes the path for a public one.
func publicForAll(escaped string) bool {
	for _, read := range servers {
		seen := read(escaped)
		if !below(seen, "/api/admin/login") && !below(seen, "/api/health") {
			return false
		}
	}
	return true
}

func TestThePathStaysOrIsReplaced(t *testing.T) {
	tab := table(t, Rules{Upstreams: []string{
		"/keep=http://h", "/strip=http://h/", "/move=http://h/v2", "/deep/er=http://h/a%2Fb/", "/=http://h/root",
	}})
	for in, want := range map[string]string{
		"/keep/a%2Fb?q=1&r=;": "/keep/a%2Fb",
		"/strip":              "/",
		"/strip/":             "/",
		"/strip/a/b":          "/a/b",
		"/strip/a%2Fb%20c":    "/a%2Fb%20c",
		"/move":               "/v2",
		"/move/":              "/v2/",
		"/move/x":             "/v2/x",
		"/deep/er/x":          "/a%2Fb/x",
		"/other/x":            "/root/other/x",
		"/":                   "/root/",
		"/strip//x":           "//x",
	} {
		u, err := url.ParseRequestURI(in)
		if err != nil {
			t.Fatal(err)
		}
		d, err := tab.match(u.EscapedPath())
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if up := tab.upstreams[d.upstream]; !up.keep {
			up.replace(u)
		}
		if got := u.EscapedPath(); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func TestConfigurationErrorsNameTheFlag(t *testing.T) {
	for _, c := range []struct {
		rules Rules
		want  []string
	}{
		{Rules{Upstreams: []string{"http://127.0.0.1:9000"}}, []string{"upstream", "PREFIX=URL"}},
		{Rules{Upstreams: []string{"api=http://h"}}, []string{"upstream", "must start with a slash"}},
		{Rules{Upstreams: []string{"/a/../b=http://h"}}, []string{"plain path"}},
		{Rules{Upstreams: []string{"/a//b=http://h"}}, []string{"plain path"}},
		{Rules{Upstreams: []string{"/a%20b=http://h"}}, []string{"plain path"}},
		{Rules{Upstreams: []string{"/api=127.0.0.1:9000"}}, []string{"upstream", "not an http or https URL"}},
		{Rules{Upstreams: []string{"/api=ftp://h"}}, []string{"not an http or https URL"}},
		{Rules{Upstreams: []string{"/api=http://h?x=1"}}, []string{"no query"}},
		{Rules{Upstreams: []string{"/api=http://bob:hunter2@h"}}, []string{"user name or password", "/api=http://h"}},
		{Rules{Upstreams: []string{"/api=http://h", "/api/=http://i"}}, []string{"upstream", "/api has an upstream already"}},
		{Rules{Upstreams: []string{"/api=http://h", "/API=http://i"}}, []string{"has an upstream already"}},
		{Rules{Upstreams: []string{"/auth=http://h"}}, []string{"at or below /auth", "--base-path"}},
		{Rules{Upstreams: []string{"/auth/x=http://h"}}, []string{"at or below /auth"}},
		{Rules{Upstreams: []string{"/livez=http://h"}}, []string{"serves /livez"}},
		{Rules{Require: []string{"/admin"}}, []string{"require", "PREFIX=PERMISSION"}},
		{Rules{Require: []string{"/admin=a b"}}, []string{"require", "not a permission"}},
		{Rules{Require: []string{"/admin="}}, []string{"require", "not a permission"}},
		{Rules{Require: []string{"/auth/me=x"}}, []string{"require", "at or below /auth"}},
		{Rules{Public: []string{"health"}}, []string{"public", "must start with a slash"}},
		{Rules{Public: []string{"/h", "/h/"}}, []string{"public", "given twice"}},
		{Rules{Require: []string{"/h=x"}, Public: []string{"/h"}}, []string{"public", "--require"}},
	} {
		c.rules.Base, c.rules.Own = "/auth", []string{"/livez"}
		_, _, err := NewTable(c.rules)
		if err == nil {
			t.Errorf("%+v was accepted", c.rules)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%+v: %q does not say %q", c.rules, err, w)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q shows a password", err)
		}
	}
}

func TestRulesWithoutEffectAreToldOf(t *testing.T) {
	r := Rules{Base: "/auth", Upstreams: []string{"/api=http://h"}, Require: []string{"/admin=x", "/api/a=y", "/=z"}}
	_, warnings, err := NewTable(r)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "/admin") {
		t.Errorf("%q, %v", warnings, err)
	}
}
