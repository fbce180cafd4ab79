package security_test

import (
	"crypto"
	"crypto/sha256"
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return b64.EncodeToString(sum[:])
}

// replaced are parameters with others in place of theirs; an empty value leaves the
// parameter out.
func replaced(params []string, pairs ...string) (out []string) {
	change := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		change[pairs[i]] = pairs[i+1]
	}
	for i := 0; i < len(params); i += 2 {
		if _, ok := change[params[i]]; !ok {
			out = append(out, params[i], params[i+1])
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, pairs[i], pairs[i+1])
		}
	}
	return out
}

// request is an authorization request of the spa.
func request(pairs ...string) []string {
	return replaced([]string{"response_type", "code", "client_id", "spa", "redirect_uri", callback, "state", "s-1", "nonce", "n-1",
		"scope", "openid", "code_challenge", challengeOf(verifier), "code_challenge_method", "S256"}, pairs...)
}

func (w *world) authorize(params []string) reply {
	w.Helper()
	return w.send("GET", wire.PathAuthorize+"?"+query(params...), "")
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

const formCookie = wire.CookieSecurePrefix + "tacet_form"

// sheet is the form of a page, with the cookie of the browser that has it.
type sheet struct {
	action, cookie string
	fields         []string
}

func (w *world) sheet(r reply, cookie string) sheet {
	w.Helper()
	m := formAction.FindSubmatch(r.body)
	if m == nil {
		w.Fatalf("%s: no form in %s", r, r.body)
	}
	s := sheet{action: html.UnescapeString(string(m[1])), cookie: cookie}
	if set := r.cookie(formCookie); set != "" {
		s.cookie = set
	}
	for _, f := range formHidden.FindAllSubmatch(r.body, -1) {
		s.fields = append(s.fields, html.UnescapeString(string(f[1])), html.UnescapeString(string(f[2])))
	}
	return s
}

// submit sends the form as a browser does.
func (w *world) submit(s sheet, pairs ...string) reply {
	w.Helper()
	return w.form(s.action, replaced(s.fields, pairs...), "Cookie", formCookie+"="+s.cookie, "Origin", origin, "Sec-Fetch-Site", "same-origin")
}

// code signs a user in and returns the code that the browser brings.
func (w *world) code(name string, params []string) string {
	w.Helper()
	r := w.submit(w.sheet(w.authorize(params), ""), "username", name, "password", name)
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		w.Fatalf("%s: no code in %v", r, to)
	}
	return to.Query().Get("code")
}

// redemption is the request of the spa for the tokens of a code.
func redemption(code string, pairs ...string) []string {
	return replaced([]string{"grant_type", "authorization_code", "code", code, "client_id", "spa", "redirect_uri", callback, "code_verifier", verifier}, pairs...)
}

// granted is the whole code flow for the spa.
func (w *world) granted(name string) (g oauth.Answer) {
	w.Helper()
	w.json(w.form(wire.PathToken, redemption(w.code(name, request()))), &g)
	return g
}

// bound is the same for a client with a key.
func (w *world) bound(key crypto.Signer, name string) (g oauth.Answer) {
	w.Helper()
	w.json(w.form(wire.PathToken, redemption(w.code(name, request())), "DPoP", w.proof(key, "POST", wire.PathToken, "")), &g)
	return g
}

func (w *world) basic(secret string) []string {
	return []string{"Authorization", "Basic " + b64Std("web:"+secret)}
}

// grantedWeb is the whole code flow for the client with a secret.
func (w *world) grantedWeb(name string) (g oauth.Answer) {
	w.Helper()
	code := w.code(name, request("client_id", "web"))
	w.json(w.form(wire.PathToken, redemption(code, "client_id", ""), w.basic(w.secret)...), &g)
	return g
}

func (w *world) device() (d wire.DeviceAuthorization) {
	w.Helper()
	w.json(w.form(wire.PathDeviceAuthorization, []string{"client_id", "tv", "scope", "openid"}), &d)
	return d
}

func codeAttacks() []attack {
	const token = wire.PathToken
	redeem := func(change ...string) func(w *world) reply {
		return func(w *world) reply {
			code := w.code("alice", request())
			w.prepared()
			return w.form(token, redemption(code, change...))
		}
	}
	// A refused try takes nothing from the client whose code it is.
	still := func(try func(w *world, code string) reply) func(w *world) reply {
		return func(w *world) reply {
			code := w.code("alice", request())
			w.prepared()
			r := try(w, code)
			if now := w.state(); now != w.before {
				w.Errorf("a session was started or changed: %s", now)
			}
			if own := w.form(token, redemption(code)); own.status != 200 {
				w.Errorf("the client has lost its code: %s", own)
			}
			w.prepared()
			return r
		}
	}
	stillWith := func(change ...string) func(w *world) reply {
		return still(func(w *world, code string) reply { return w.form(token, redemption(code, change...)) })
	}
	asked := func(pairs ...string) func(w *world) reply {
		return func(w *world) reply { return w.authorize(request(pairs...)) }
	}
	var longVerifier = strings.Repeat("a", 129)
	return []attack{
		{name: "has a stolen code without the verifier", want: "400 invalid_request", try: redeem("code_verifier", "")},
		{name: "has a stolen code and guesses the verifier", want: "400 invalid_grant", try: stillWith("code_verifier", strings.Repeat("a", 43))},
		{name: "sends the challenge as verifier", want: "400 invalid_grant", try: stillWith("code_verifier", challengeOf(verifier))},
		{name: "sends a verifier that is too long", want: "400 invalid_grant", try: stillWith("code_verifier", longVerifier)},
		{name: "sends the verifier with a space behind it", want: "400 invalid_grant", try: stillWith("code_verifier", verifier+" ")},
		{name: "redeems another client's code as a public client", want: "400 invalid_grant", try: stillWith("client_id", "native")},
		{name: "redeems another client's code as a device", want: "400 invalid_grant", try: stillWith("client_id", "tv")},
		{name: "redeems another client's code as a client with a secret", want: "400 invalid_grant", try: still(func(w *world, code string) reply {
			return w.form(token, redemption(code, "client_id", ""), w.basic(w.secret)...)
		})},
		{name: "redeems without saying which client", want: "400 invalid_request", try: stillWith("client_id", "")},
		{name: "redeems as an unknown client", want: "401 invalid_client", try: stillWith("client_id", "nobody")},
		{name: "redeems with another redirect URI", want: "400 invalid_grant", try: stillWith("redirect_uri", "https://evil.example/cb")},
		{name: "redeems with a longer redirect URI", want: "400 invalid_grant", try: stillWith("redirect_uri", callback+"/x")},
		{name: "redeems with a query behind the redirect URI", want: "400 invalid_grant", try: stillWith("redirect_uri", callback+"?x=1")},
		{name: "redeems without the redirect URI that was asked for", want: "400 invalid_grant", try: stillWith("redirect_uri", "")},
		{name: "redeems a code as a refresh token", want: "400 invalid_grant", try: still(func(w *world, code string) reply {
			return w.form(token, []string{"grant_type", "refresh_token", "refresh_token", code, "client_id", "spa"})
		})},
		{name: "redeems a code as a device code", want: "400 invalid_grant", try: still(func(w *world, code string) reply {
			return w.form(token, []string{"grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", code, "client_id", "spa"})
		})},
		{name: "changes a letter of a code", want: "400 invalid_grant", try: still(func(w *world, code string) reply {
			return w.form(token, redemption(flip(code, len(code)/2)))
		})},
		{name: "cuts a code", want: "400 invalid_grant", try: still(func(w *world, code string) reply { return w.form(token, redemption(code[1:])) })},
		{name: "sends two codes", want: "400 invalid_request", try: still(func(w *world, code string) reply {
			return w.form(token, append(redemption(code), "code", "x"))
		})},
		{name: "sends the code in the address, where it is logged", want: "400 invalid_request", try: still(func(w *world, code string) reply {
			return w.send("POST", token+"?"+query(redemption(code)...), "", "Content-Type", "application/x-www-form-urlencoded")
		})},
		{name: "redeems by GET", want: "405 method_not_allowed", try: still(func(w *world, code string) reply {
			return w.send("GET", token+"?"+query(redemption(code)...), "")
		})},
		{name: "redeems with JSON", want: "400 invalid_request", try: still(func(w *world, code string) reply {
			return w.send("POST", token, body(map[string]string{"grant_type": "authorization_code", "code": code, "client_id": "spa", "code_verifier": verifier}))
		})},
		{name: "redeems a code a second time after its session has been renewed: the session ends", want: "400 invalid_grant", moves: true, try: func(w *world) reply {
			code := w.code("alice", request())
			var g oauth.Answer
			w.json(w.form(token, redemption(code)), &g)
			w.json(w.form(token, []string{"grant_type", "refresh_token", "refresh_token", g.RefreshToken, "client_id", "spa"}), &g)
			return w.form(token, redemption(code))
		}, also: func(w *world, r reply) {
			if s := r.secret(); s != "" {
				w.Errorf("gives away %s", s)
			}
		}},
		{name: "redeems a used code without the verifier: the session goes on", want: "400 invalid_request", try: func(w *world) reply {
			code := w.code("alice", request())
			var g oauth.Answer
			w.json(w.form(token, redemption(code)), &g)
			w.prepared()
			return w.form(token, redemption(code, "code_verifier", ""))
		}},
		{name: "redeems a used code as another client: the session goes on", want: "400 invalid_grant", try: func(w *world) reply {
			code := w.code("alice", request())
			var g oauth.Answer
			w.json(w.form(token, redemption(code)), &g)
			w.prepared()
			return w.form(token, redemption(code, "client_id", "native"))
		}},
		{name: "redeems a code a minute later", want: "400 invalid_grant", try: func(w *world) reply {
			code := w.code("alice", request())
			w.Clock.Advance(oauth.CodeLifetime)
			w.prepared()
			return w.form(token, redemption(code))
		}},
		{name: "asks for a code without a challenge", want: "303 invalid_request", try: asked("code_challenge", "", "code_challenge_method", "")},
		{name: "downgrades the challenge to plain", want: "303 invalid_request", try: asked("code_challenge_method", "plain", "code_challenge", verifier)},
		{name: "leaves out the method, which means plain", want: "303 invalid_request", try: asked("code_challenge_method", "")},
		{name: "asks with a challenge that is too short", want: "303 invalid_request", try: asked("code_challenge", "a")},
		{name: "asks for an access token in the address", want: "303 unsupported_response_type", try: asked("response_type", "token")},
		{name: "asks for an ID token in the address", want: "303 unsupported_response_type", try: asked("response_type", "id_token")},
		{name: "asks for code and token together", want: "303 unsupported_response_type", try: asked("response_type", "code token")},
		{name: "asks for the code in a fragment", want: "303 invalid_request", try: asked("response_mode", "fragment")},
		{name: "hands in a request object", want: "303 request_not_supported", try: asked("request", "eyJhbGciOiJub25lIn0.e30.")},
		{name: "lets the server fetch a request object", want: "303 request_uri_not_supported", try: asked("request_uri", "https://evil.example/r")},
		{name: "sends a parameter twice", want: "400", try: func(w *world) reply {
			return w.authorize(append(request(), "client_id", "web"))
		}},
		{name: "asks for tokens by password", want: "400 unsupported_grant_type", try: func(w *world) reply {
			return w.form(token, []string{"grant_type", "password", "username", "alice", "password", "alice", "client_id", "spa"})
		}},
		{name: "asks for tokens as a client alone", want: "400 unsupported_grant_type", try: func(w *world) reply {
			return w.form(token, []string{"grant_type", "client_credentials"}, w.basic(w.secret)...)
		}},
		{name: "uses a client's id without its secret", want: "401 invalid_client", try: func(w *world) reply {
			code := w.code("alice", request("client_id", "web"))
			w.prepared()
			return w.form(token, redemption(code, "client_id", "web"))
		}},
		{name: "guesses a client's secret", want: "401 invalid_client", try: func(w *world) reply {
			code := w.code("alice", request("client_id", "web"))
			w.prepared()
			return w.form(token, redemption(code, "client_id", ""), w.basic("guess")...)
		}},
		{name: "uses an empty secret", want: "401 invalid_client", try: func(w *world) reply {
			code := w.code("alice", request("client_id", "web"))
			w.prepared()
			return w.form(token, redemption(code, "client_id", ""), w.basic("")...)
		}},
		{name: "names one client in Basic and another in the body", want: "400 invalid_request", try: func(w *world) reply {
			code := w.code("alice", request())
			w.prepared()
			return w.form(token, redemption(code), w.basic(w.secret)...)
		}},
		{name: "mixes up servers: the response names its issuer", want: "303", try: func(w *world) reply {
			r := w.submit(w.sheet(w.authorize(request()), ""), "action", "deny")
			r.header.Set("Location", strings.Replace(r.header.Get("Location"), "error=access_denied", "", 1))
			return r
		}, also: func(w *world, r reply) {
			to, _ := url.Parse(r.header.Get("Location"))
			if to.Query().Get("iss") != origin || to.Query().Get("state") != "s-1" {
				w.Errorf("%v", to)
			}
		}},
		{name: "makes a page show a script by login_hint and state", want: "200", try: func(w *world) reply {
			return w.authorize(request("login_hint", `"><script>alert(1)</script>`, "state", `"><script>alert(1)</script>`))
		}, also: func(w *world, r reply) {
			if strings.Contains(string(r.body), "<script>alert") || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
				w.Errorf("%s %s", r.header.Get("Content-Security-Policy"), r.body)
			}
		}},
		{name: "puts the sign-in page in a frame", want: "200", try: func(w *world) reply { return w.authorize(request()) }, also: func(w *world, r reply) {
			if !strings.Contains(r.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				w.Errorf("%v", r.header)
			}
		}},
		{name: "introspects a token as a public client", want: "401 invalid_client", try: func(w *world) reply {
			t := w.granted("alice").AccessToken
			w.prepared()
			return w.form(wire.PathIntrospect, []string{"client_id", "spa", "token", t})
		}},
		{name: "introspects without a client", want: "401 invalid_client", try: func(w *world) reply {
			t := w.granted("alice").AccessToken
			w.prepared()
			return w.form(wire.PathIntrospect, []string{"token", t})
		}},
	}
}

// redirectAttacks are redirect URIs that look like a registered one.
func redirectAttacks() (all []attack) {
	for name, uri := range named(map[string]string{
		"another host": "https://evil.example/cb", "a subdomain": "https://x.shop.example/cb", "the host as a subdomain of another": "https://shop.example.evil.example/cb",
		"a host that ends like it": "https://evilshop.example/cb", "a user name that looks like the host": "https://shop.example@evil.example/cb",
		"a user name": "https://user@shop.example/cb", "a password": "https://u:p@shop.example/cb", "the scheme http": "http://shop.example/cb",
		"no scheme": "//shop.example/cb", "a path alone": "/cb", "an empty value of two slashes": "//", "a port": "https://shop.example:8443/cb", "the default port": "https://shop.example:443/cb",
		"the host in capitals": "https://SHOP.example/cb", "the scheme in capitals": "HTTPS://shop.example/cb", "the path in capitals": "https://shop.example/CB",
		"a slash behind": callback + "/", "a longer path": callback + "/../evil", "a suffix": callback + ".evil.example", "another path": "https://shop.example/other",
		"dot segments": "https://shop.example/x/../cb", "escaped dot segments": "https://shop.example/%2e%2e/cb", "an escaped letter": "https://shop.example/%63b",
		"a query": callback + "?next=https://evil.example", "an empty query": callback + "?", "a fragment": callback + "#x", "an empty fragment": callback + "#",
		"a backslash in place of a slash": `https:\\shop.example\cb`, "a backslash before another host": `https://evil.example\@shop.example/cb`, "an escaped backslash": "https://evil.example%5c@shop.example/cb",
		"an escaped slash in the host": "https://evil.example%2f.shop.example/cb", "a space behind": callback + " ", "a space before": " " + callback, "a tab within": "https://shop.example/c\tb",
		"a line break and a header": callback + "\r\nSet-Cookie: x=1", "a line feed": "https://shop.example\n.evil.example/cb", "a NUL": callback + "\x00.evil.example",
		"full-width letters": "https://ｓhop.example/cb", "a Cyrillic letter": "https://ѕhop.example/cb", "a full-width dot": "https://shop．example/cb", "a dot behind the host": "https://shop.example./cb",
		"a wildcard": "https://*.example/cb", "javascript:": "javascript:alert(1)", "data:": "data:text/html,<script>alert(1)</script>", "file:": "file:///etc/passwd", "blob:": "blob:https://shop.example/cb",
		"an IPv6 zone": "https://[fe80::1%25en0]/cb", "two of them in one": callback + " " + callback, "two of them with a comma": callback + "," + callback, "doubly encoded": "https%3A%2F%2Fshop.example%2Fcb",
	}) {
		all = append(all, attack{name: "has a code sent to " + name, want: "400", try: func(w *world) reply { return w.authorize(request("redirect_uri", uri)) }, also: noWayOut})
	}
	for name, uri := range named(map[string]string{
		"another path": "http://127.0.0.1:9/other", "a name": "http://localhost.evil.example:9/cb", "a user name": "http://127.0.0.1:9@evil.example/cb", "another scheme": "https://127.0.0.1:9/cb",
		"another loopback address": "http://127.0.0.2:9/cb", "the address as a number": "http://2130706433/cb", "the address in octal": "http://0177.0.0.1/cb", "the address cut short": "http://127.1/cb", "no port behind the colon": "http://127.0.0.1:/cb",
		"a port with a path in it": "http://127.0.0.1:9\\@evil.example/cb", "a port of letters": "http://127.0.0.1:evil/cb", "a port that is too long": "http://127.0.0.1:999999/cb", "IPv4 in IPv6": "http://[::ffff:127.0.0.1]:9/cb", "all addresses": "http://0.0.0.0:9/cb",
		"a query": "http://127.0.0.1:9/cb?x", "another private scheme": "com.example.evil:/cb", "a private scheme with a host": "com.example.app://evil/cb", "the private scheme in capitals": "COM.example.app:/cb", "a longer path of the scheme": "com.example.app:/cb/x",
	}) {
		all = append(all, attack{name: "has a native application's code sent to " + name, want: "400", try: func(w *world) reply {
			return w.authorize(request("client_id", "native", "redirect_uri", uri))
		}, also: noWayOut})
	}
	all = append(all,
		attack{name: "registers nothing and names an unknown client", want: "400", also: noWayOut, try: func(w *world) reply { return w.authorize(request("client_id", "nobody")) }},
		attack{name: "sends two redirect URIs", want: "400", also: noWayOut, try: func(w *world) reply {
			return w.authorize(append(request(), "redirect_uri", "https://evil.example/cb"))
		}},
		attack{name: "posts the request with a foreign redirect URI", want: "400", also: noWayOut, try: func(w *world) reply {
			r := w.form(wire.PathAuthorize, request("redirect_uri", "https://evil.example/cb"))
			return w.send("GET", r.header.Get("Location"), "")
		}},
		attack{name: "adds a query of the attacker's by the state", want: "303 invalid_request", try: func(w *world) reply {
			return w.authorize(request("state", "x&code=planted#", "code_challenge", ""))
		}, also: func(w *world, r reply) {
			if to, err := url.Parse(r.header.Get("Location")); err != nil || to.Query().Has("code") || to.Fragment != "" || to.Host != "shop.example" {
				w.Errorf("%v %v", to, err)
			}
		}},
		attack{name: "breaks the header with the state", want: "303 invalid_request", try: func(w *world) reply {
			return w.authorize(request("state", "x\r\nSet-Cookie: a=b", "code_challenge", ""))
		}, also: func(w *world, r reply) {
			if len(r.header["Set-Cookie"]) > 0 {
				w.Errorf("%v", r.header)
			}
		}},
	)
	for name, uri := range named(map[string]string{
		"another host": "https://evil.example/", "a longer path": "https://shop.example/bye/x", "a query": "https://shop.example/bye?x", "no scheme": "//evil.example/", "the redirect URI of sign-ins": callback,
		"javascript:": "javascript:alert(1)", "a user name": "https://shop.example@evil.example/bye", "a backslash": `https://evil.example\@shop.example/bye`, "a line break": "https://shop.example/bye\r\nX: y",
	}) {
		all = append(all, attack{name: "leads a sign-out to " + name, want: "200", also: noWayOut, try: func(w *world) reply {
			return w.send("GET", wire.PathEndSession+"?"+query("client_id", "spa", "post_logout_redirect_uri", uri, "state", "x"), "")
		}})
	}
	return all
}

// noWayOut asserts that the browser stays.
func noWayOut(w *world, r reply) {
	if to := r.header.Get("Location"); to != "" || r.header.Get("Refresh") != "" {
		w.Errorf("the browser is sent to %q", to)
	}
}
