package security_test

import (
	"fmt"
	"strings"

	"github.com/tacet-dev/tacet/wire"
)

// ways are paths by which bob, who may read orders and no more, wants to reach
// /api/admin, in a spelling that some server takes for it.
var ways = map[string]string{
	"the path itself": "/api/admin", "what is below it": "/api/admin/users", "a slash behind": "/api/admin/", "a format": "/api/admin.json", "a format of two parts": "/api/admin.tar.gz", "a format below": "/api/admin.json/users",
	"capitals": "/api/ADMIN", "one capital": "/api/Admin/users", "the prefix in capitals": "/API/admin", "two slashes": "/api//admin", "two slashes before": "//api/admin", "three slashes": "/api///admin", "a dot segment": "/api/./admin", "a double dot": "/api/x/../admin",
	"a double dot out of the public part": "/api/health/../admin", "out of the public part, escaped": "/api/health/%2e%2e/admin", "out of the public part, half escaped": "/api/health/.%2e/admin", "with an escaped slash": "/api/health/..%2fadmin", "with an escaped backslash": "/api/health/..%5cadmin", "with a backslash": `/api/health/..\admin`,
	"doubly escaped dots": "/api/health/%252e%252e/admin", "triply escaped dots": "/api/health/%25252e%25252e/admin", "an escaped letter": "/api/%61dmin", "a doubly escaped letter": "/api/%2561dmin", "all letters escaped": "/api/%61%64%6d%69%6e", "an escaped slash": "/api%2fadmin", "an escaped slash in capitals": "/api%2Fadmin/users",
	"a doubly escaped slash": "/api%252fadmin", "an escaped backslash": "/api%5cadmin", "a backslash": `/api\admin`, "a parameter": "/api/admin;x=1", "a session id of Java": "/api/admin;jsessionid=1/users", "an empty parameter": "/api;/admin", "a parameter with dots": "/api/health;/../admin", "dots with a parameter": "/api/health/..;/admin",
	"an escaped semicolon": "/api/admin%3bx", "a dot behind": "/api/admin.", "a space behind": "/api/admin%20", "a dot behind, escaped": "/api/admin%2e", "a tab behind": "/api/admin%09", "a NUL behind": "/api/admin%00", "a NUL and a format": "/api/admin%00.html", "a line feed behind": "/api/admin%0a", "a carriage return and a header": "/api/admin%0d%0aX-Tacet-User:%20alice",
	"an escaped question mark": "/api/admin%3fx", "an escaped number sign": "/api/admin%23x", "a doubly escaped question mark": "/api/admin%253fx", "overlong UTF-8 of a slash": "/api%c0%afadmin", "overlong UTF-8 of a letter": "/api/%c1%a1dmin", "overlong UTF-8 of a dot": "/api/health/%c0%ae%c0%ae/admin", "full-width letters": "/api/%ef%bd%81dmin", "a full-width slash": "/api%ef%bc%8fadmin", "a full-width dot": "/api/health/%ef%bc%8e%ef%bc%8e/admin",
	"a stream of NTFS": "/api/admin::$DATA", "an index of NTFS": "/api/admin:$i30:$INDEX_ALLOCATION", "a script before": "/api/index.php/admin", "a script's suffix": "/api.php/admin", "an invalid escape": "/api/admin%", "an escape that is not hexadecimal": "/api/%zzadmin", "the old escape of Unicode": "/api/%u0061dmin", "a format within an escape": "/api/admin%2ejson", "too many layers of escapes": "/api/%2525252525252561dmin",
	"reports of the administrators": "/api/admin/reports", "reports in a format": "/api/admin/reports.csv",
}

// forgedHeaders are names by which some server or framework learns who calls, from
// where, or what is asked for.
var forgedHeaders = []string{
	"X-Tacet-User", "x-tacet-user", "X_Tacet_User", "X-Tacet_User", "X-Tacet-Session", "X-Tacet-Roles", "X-Tacet-Permissions", "X-Tacet-Client", "X-Tacet-Grants-Version", "X-Tacet-Identity", "X-Tacet-Require", "X-Tacet-Anything",
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Ssl", "X_Forwarded_For", "Forwarded",
	"X-Real-Ip", "X-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Cluster-Client-Ip", "X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Envoy-External-Address", "X-Appengine-User-Ip",
	"Remote-User", "X-Remote-User", "Remote_User", "Remote-Addr", "Remote-Groups", "Remote-Email", "Auth-User", "Auth-Type", "X-Authenticated-User", "X-Auth-Request-User", "X-Webauth-User", "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "X-Ms-Client-Principal", "Cf-Access-Authenticated-User-Email", "Tailscale-User-Login", "Oidc-Claim-Sub",
	"Script-Name", "SCRIPT_NAME", "Path-Info", "PATH_INFO", "Path-Translated", "Request-Uri", "REQUEST_URI", "Request-Method", "Query-String", "Document-Root", "Server-Name", "Gateway-Interface", "Redirect-Status", "X-Script-Name",
	"X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X-Original-Method", "X-Original-Host", "X-Waws-Unencoded-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Accel-Redirect", "X-Sendfile", "X-Middleware-Subrequest",
	"Proxy", "Proxy-Authorization", "X-Host", "X-Http-Host-Override", "X-Scheme", "X-Url-Scheme", "Front-End-Https", "Https",
	"X-Azure-SocketIP", "X-Nf-Client-Connection-Ip", "X-Authentik-Username", "X-Vouch-User", "X-Pomerium-Claim-Email", "X-Pomerium-Jwt-Assertion", "Teleport-Jwt-Assertion", "X-Appengine-Inbound-Appid",
	"Ssl-Client-Cert", "Ssl_Client_S_Dn", "X-Ssl-Client-Verify", "X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-Arr-Clientcert", "X-Tls-Client-Cert",
}

func pathAttacks() (all []attack) {
	for name, path := range named(ways) {
		all = append(all, attack{name: "reaches the administrators' part without their permission, by " + name, want: "refused", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			n := w.api.count()
			replies := w.raw("GET " + path + " HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer " + token + "\r\nConnection: close\r\n\r\n")
			// Neither is there a way without any token.
			replies = append(replies, w.raw("GET "+path+" HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n")...)
			if heard := w.api.since(n); len(heard) > 0 {
				w.Errorf("the API has heard %+v", heard)
			}
			return verdict(replies)
		}})
	}
	raw := func(name, line string) attack {
		return attack{name: "reaches the administrators' part by " + name, want: "refused", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			n := w.api.count()
			replies := w.raw(line + "\r\nHost: app.example\r\nAuthorization: Bearer " + token + "\r\nConnection: close\r\n\r\n")
			for _, h := range w.api.since(n) {
				if strings.Contains(strings.ToLower(h.URI), "admin") {
					w.Errorf("the API has heard %+v", h)
				}
			}
			return verdict(replies)
		}}
	}
	return append(all,
		raw("the absolute form", "GET http://app.example/api/admin HTTP/1.1"),
		raw("the absolute form of another host", "GET http://evil.example/api/admin HTTP/1.1"),
		raw("the absolute form with a user name", "GET http://alice:alice@app.example/api/admin HTTP/1.1"),
		raw("a path without a slash", "GET api/admin HTTP/1.1"),
		raw("a number sign", "GET /api/admin#/api/health HTTP/1.1"),
		raw("CONNECT", "CONNECT /api/admin HTTP/1.1"),
		raw("CONNECT to the host", "CONNECT app.example:80 HTTP/1.1"),
		raw("TRACE", "TRACE /api/admin HTTP/1.1"),
		raw("TRACE of what is allowed, which shows headers", "TRACE /api/orders HTTP/1.1"),
		raw("OPTIONS", "OPTIONS /api/admin HTTP/1.1"),
		raw("HEAD", "HEAD /api/admin HTTP/1.1"),
		raw("an unknown method", "ADMIN /api/admin HTTP/1.1"),
		raw("a method in lower case", "get /api/admin HTTP/1.1"),
		raw("two spaces", "GET  /api/admin HTTP/1.1"),
		raw("a tab in place of a space", "GET\t/api/admin HTTP/1.1"),
		raw("HTTP/0.9", "GET /api/admin"),
		raw("HTTP/1.0", "GET /api/admin HTTP/1.0"),
		raw("HTTP/2.0 in text", "GET /api/admin HTTP/2.0"),
	)
}

// verdict is "refused" if all replies are refusals.
func verdict(replies []reply) reply {
	for _, r := range replies {
		if refused := r.status/100 == 4 || r.status == 501 || r.status == 505; !refused {
			return r
		}
	}
	return reply{body: []byte(`{"code":"refused"}`)}
}

func headerAttacks() (all []attack) {
	const mark = "forged-by-bob"
	for _, name := range forgedHeaders {
		all = append(all, attack{name: "says something about himself in " + name, want: "200", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			n := w.api.count()
			r := w.one(fmt.Sprintf("GET /api/orders HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer %s\r\n%s: %s\r\nConnection: close\r\n\r\n", token, name, mark))
			w.one(fmt.Sprintf("GET /api/health HTTP/1.1\r\nHost: app.example\r\n%s: %s\r\nConnection: close\r\n\r\n", name, mark))
			if heard := w.api.since(n); len(heard) != 2 || strings.Contains(fmt.Sprint(heard), mark) {
				w.Errorf("the API has heard %+v", heard)
			}
			return r
		}, also: bobIsBob})
	}
	// Headers that take something out, or bring something in that is ours.
	more := map[string]string{
		"Connection lists the headers of identity":         "Connection: X-Tacet-User, X-Tacet-Permissions",
		"Connection lists what says where he is":           "Connection: X-Forwarded-For, X-Forwarded-Host",
		"Connection lists Authorization":                   "Connection: Authorization, close",
		"Connection comes twice":                           "Connection: keep-alive\r\nConnection: X-Tacet-User",
		"Keep-Alive is for this hop":                       "Keep-Alive: timeout=" + mark,
		"TE is for this hop":                               "TE: trailers, " + mark,
		"Proxy-Connection is for this hop":                 "Proxy-Connection: " + mark,
		"Trailer announces an identity":                    "Trailer: X-Tacet-User, " + mark,
		"upgrades to h2c":                                  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " + mark,
		"upgrades to something of his own":                 "Connection: Upgrade\r\nUpgrade: " + mark,
		"says that his address is another":                 "X-Forwarded-For: 203.0.113.9, " + mark,
		"says that he came over TLS":                       "X-Forwarded-Proto: " + mark,
		"says another host":                                "X-Forwarded-Host: " + mark,
		"sends the refresh cookie on to the API":           "Cookie: a=1; __Host-tacet_refresh=" + mark,
		"sends the CSRF cookie on to the API":              "Cookie: __Host-tacet_csrf=" + mark + "; a=1",
		"sends the form's cookie on to the API":            "Cookie: __Host-tacet_form=" + mark,
		"sends a provider's cookie on to the API":          "Cookie: __Host-tacet_oidc_x=" + mark,
		"sends a cookie of ours in capitals":               "Cookie: __HOST-TACET_REFRESH=" + mark,
		"sends a refresh token under another cookie name":  "Cookie: x=tacet_rt_" + mark,
		"sends a cookie of ours with a space in its name":  "Cookie: tacet_refresh =" + mark,
		"sends a header with a dot in its name":            "X.Tacet.User: " + mark,
		"sends a header with a prefix of non-letters":      "!X-Tacet-User: " + mark,
		"sends the identity in two lines":                  "X-Tacet-User: " + mark + "\r\nX-Tacet-User: " + mark,
		"folds a header's line":                            "X-Custom: a\r\n X-Tacet-User: alice",
		"sends identity headers with nothing in their end": "X-Tacet-User:" + mark + "\r\nX-Tacet-Roles:",
	}
	for name, lines := range named(more) {
		all = append(all, attack{name: name, want: "200", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			n := w.api.count()
			r := w.one(fmt.Sprintf("GET /api/orders HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n", token, lines))
			if heard := w.api.since(n); len(heard) != 1 || strings.Contains(fmt.Sprint(heard), mark) {
				w.Errorf("the API has heard %+v", heard)
			}
			return r
		}, also: bobIsBob})
	}
	refusedLines := map[string]struct{ lines, want string }{
		"presents two access tokens in two lines": {"Authorization: Bearer %[1]s\r\nAuthorization: Bearer %[2]s", "400 invalid_request"},
		"presents two schemes in two lines":       {"Authorization: Basic YTpi\r\nAuthorization: Bearer %[1]s", "400 invalid_request"},
		"presents a space before the colon":       {"Authorization : Bearer %[1]s", "400"},
	}
	for name, c := range named(refusedLines) {
		all = append(all, attack{name: name, want: c.want, try: func(w *world) reply {
			bob, alice := w.login("bob").AccessToken, w.login("alice").AccessToken
			w.prepared()
			n := w.api.count()
			r := w.one("GET /api/orders HTTP/1.1\r\nHost: app.example\r\n" + strings.NewReplacer("%[1]s", bob, "%[2]s", alice).Replace(c.lines) + "\r\nConnection: close\r\n\r\n")
			if w.api.count() != n {
				w.Error("the API has heard of it")
			}
			return r
		}})
	}
	return append(all, attack{name: "asks an API to plant a refresh cookie", want: "200", try: func(w *world) reply {
		return w.send("GET", "/api/health", "")
	}, also: func(w *world, r reply) {
		if set := r.header["Set-Cookie"]; len(set) != 1 || set[0] != "own=1" {
			w.Errorf("%q", set)
		}
	}}, attack{name: "claims an identity where no token is needed", want: "200", try: func(w *world) reply {
		return w.send("GET", "/api/health", "", "X-Tacet-User", "alice")
	}, also: func(w *world, r reply) {
		if strings.Contains(strings.ToLower(string(r.body)), "tacet") {
			w.Errorf("%s", r.body)
		}
	}}, attack{name: "asks forward-auth with an identity of his own", want: "200", try: func(w *world) reply {
		token := w.login("bob").AccessToken
		w.prepared()
		return w.send("GET", "/auth/verify", "", append(bearer(token), wire.HeaderUser, "alice")...)
	}, also: func(w *world, r reply) {
		if got := r.header[wire.HeaderUser]; len(got) != 1 || got[0] != "bob" {
			w.Errorf("%q", got)
		}
	}}, attack{name: "asks forward-auth for a permission that he lacks", want: "403 insufficient_scope", try: func(w *world) reply {
		token := w.login("bob").AccessToken
		w.prepared()
		return w.send("GET", "/auth/verify", "", append(bearer(token), wire.HeaderRequire, "admin:users")...)
	}})
}

func single(w *world, all []reply) reply {
	w.Helper()
	if len(all) != 1 {
		w.Fatalf("%d responses", len(all))
	}
	return all[0]
}

// bobIsBob asserts what the API was told of who called.
func bobIsBob(w *world, r reply) {
	all := w.api.since(0)
	for i := len(all) - 1; i >= 0; i-- {
		if h := all[i]; h.URI == "/api/orders" {
			if u, p, f := h.Header[wire.HeaderUser], h.Header[wire.HeaderPermissions], h.Header["X-Forwarded-For"]; fmt.Sprint(u, p, f) != "[bob] [orders:read] [127.0.0.1]" ||
				h.Header.Get("X-Forwarded-Proto") != "https" {
				w.Errorf("the API was told %v", h.Header)
			}
			return
		}
	}
	w.Error("the API has heard nothing")
}

func smugglingAttacks() (all []attack) {
	const inner = "GET /api/admin HTTP/1.1\r\nHost: app.example\r\nX: "
	chunked := func(lines, body string) string {
		return "POST /api/orders HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer TOKEN\r\n" + lines + "\r\n\r\n" + body
	}
	for name, text := range named(map[string]string{
		"Content-Length and Transfer-Encoding":            chunked("Content-Length: 60\r\nTransfer-Encoding: chunked", "0\r\n\r\n"+inner),
		"Transfer-Encoding and Content-Length":            chunked("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n"+inner+"\r\n0\r\n\r\n"),
		"two Content-Lengths that differ":                 chunked("Content-Length: 0\r\nContent-Length: 50", inner),
		"two Content-Lengths in one line":                 chunked("Content-Length: 0, 50", inner),
		"Content-Length with a sign":                      chunked("Content-Length: +5", "abcde"+inner),
		"Content-Length below zero":                       chunked("Content-Length: -1", inner),
		"Content-Length in hexadecimal":                   chunked("Content-Length: 0x5", "abcde"+inner),
		"Content-Length with a space within":              chunked("Content-Length: 1 2", inner),
		"Content-Length larger than any number":           chunked("Content-Length: 99999999999999999999", inner),
		"an empty Content-Length":                         chunked("Content-Length: ", inner),
		"Transfer-Encoding twice":                         chunked("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"+inner),
		"Transfer-Encoding with another before":           chunked("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"+inner),
		"Transfer-Encoding with another behind":           chunked("Transfer-Encoding: chunked, identity", "0\r\n\r\n"+inner),
		"Transfer-Encoding that is almost chunked":        chunked("Transfer-Encoding: xchunked", "0\r\n\r\n"+inner),
		"Transfer-Encoding with a space before the colon": chunked("Transfer-Encoding : chunked", "0\r\n\r\n"+inner),
		"Transfer-Encoding with a vertical tab":           chunked("Transfer-Encoding: \vchunked", "0\r\n\r\n"+inner),
		"Transfer-Encoding in quotes":                     chunked(`Transfer-Encoding: "chunked"`, "0\r\n\r\n"+inner),
		"Transfer-Encoding on a folded line":              chunked("X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n"+inner),
		"a name with a NUL":                               chunked("Transfer-\x00Encoding: chunked", "0\r\n\r\n"+inner),
		"a line that is no header":                        chunked("nonsense", inner),
		"a header without a name":                         chunked(": x", inner),
		"a bare carriage return in a header":              chunked("X: a\rTransfer-Encoding: chunked", "0\r\n\r\n"+inner),
		"a chunk size below zero":                         chunked("Transfer-Encoding: chunked", "-1\r\n\r\n"+inner),
		"a chunk size with a prefix":                      chunked("Transfer-Encoding: chunked", "0x0\r\n\r\n"+inner),
		"a chunk size larger than any number":             chunked("Transfer-Encoding: chunked", "ffffffffffffffff1\r\n"+inner),
		"a chunk size of nothing":                         chunked("Transfer-Encoding: chunked", "\r\n\r\n"+inner),
		"a chunk that is longer than it says":             chunked("Transfer-Encoding: chunked", "1\r\nabc\r\n0\r\n\r\n"+inner),
		"two Host lines":                                  "GET /api/admin HTTP/1.1\r\nHost: app.example\r\nHost: evil.example\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"no Host":                                         "GET /api/admin HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"a Host with a path":                              "GET /api/admin HTTP/1.1\r\nHost: app.example/api/health\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"a request line of two lines":                     "GET /api/health HTTP/1.1\nGET /api/admin HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"the preface of HTTP/2":                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"forty kilobytes of headers":                      "GET /api/health HTTP/1.1\r\nHost: app.example\r\nX: " + strings.Repeat("a", 40<<10) + "\r\n\r\n",
		"Expect of something other":                       chunked("Expect: 999-x\r\nContent-Length: 3", "abc"+inner),
	}) {
		all = append(all, attack{name: "hides a second request with " + name, want: "refused", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			n := w.api.count()
			// What comes behind ends the hidden request, and then the connection.
			const tail = "\r\n\r\nGET /nothing HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"
			replies := w.raw(strings.ReplaceAll(text, "TOKEN", token) + tail)
			for _, h := range w.api.since(n) {
				if strings.Contains(h.URI, "admin") {
					w.Errorf("the API has heard %+v", h)
				}
			}
			for i, r := range replies {
				if r.status/100 == 2 && i > 0 {
					w.Errorf("the hidden request has a response: %s", r)
				}
			}
			if len(replies) > 0 && replies[0].status == 200 { // the outer one may be a good request
				replies = replies[1:]
			}
			return verdict(replies)
		}})
	}
	return append(all,
		attack{name: "sends a good request behind a refused one that has a body", want: "401 invalid_token", try: func(w *world) reply {
			n := w.api.count()
			replies := w.raw("POST /api/orders HTTP/1.1\r\nHost: app.example\r\nContent-Length: 30\r\n\r\n" + strings.Repeat("a", 30) + "GET /api/admin HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n")
			if w.api.count() != n {
				w.Error("the API has heard of it")
			}
			for _, r := range replies {
				if r.String() != "401 invalid_token" {
					w.Errorf("%s", r)
				}
			}
			return replies[0]
		}},
		attack{name: "leaves a body half sent, so that the next request at the API is cut", want: "400 invalid_request", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			r := single(w, w.wire("POST /api/orders HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer "+token+"\r\nContent-Length: 100\r\n\r\nabc", true, 1))
			next := w.send("GET", "/api/orders", "", bearer(token)...)
			if next.status != 200 || strings.Contains(string(next.body), "abc") {
				w.Errorf("the next: %s %s", next, next.body)
			}
			return r
		}},
		attack{name: "brings an identity in the trailer", want: "200", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			n := w.api.count()
			r := w.one(("POST /api/orders HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer " + token + "\r\nTransfer-Encoding: chunked\r\nTrailer: X-Tacet-User\r\n\r\n1\r\na\r\n0\r\nX-Tacet-User: alice\r\n\r\n"))
			if heard := fmt.Sprint(w.api.since(n)); strings.Contains(heard, "alice") {
				w.Error(heard)
			}
			return r
		}},
		attack{name: "puts a request in a chunk extension", want: "200", try: func(w *world) reply {
			token := w.login("bob").AccessToken
			w.prepared()
			n := w.api.count()
			r := w.one(("POST /api/orders HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer " + token + "\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\"GET /api/admin HTTP/1.1\"\r\na\r\n0\r\n\r\n"))
			if heard := w.api.since(n); len(heard) != 1 || heard[0].Body != "a" {
				w.Errorf("%+v", heard)
			}
			return r
		}},
	)
}
