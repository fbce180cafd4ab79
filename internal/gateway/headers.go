package gateway

import (
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// forged reports whether a header is one that callers must not set: our own,
// and what proxies say or what makes servers take another path for the one that
// was checked. CGI and its heirs (WSGI, PHP, Rack) see no difference between
// X_Tacet_User and X-Tacet-User, so neither do we.
func forged(name string) bool {
	n := normal(name)
	return strings.HasPrefix(n, normal(wire.HeaderIdentityPrefix)) || strings.HasPrefix(n, "x-forwarded-") || forgedNames[n]
}

var forgedNames = map[string]bool{
	"forwarded": true, "x-real-ip": true, "x-client-ip": true, "true-client-ip": true,
	"x-original-url": true, "x-original-uri": true, "x-original-method": true, "x-original-host": true,
	"x-rewrite-url": true,
	"proxy":         true, // becomes HTTP_PROXY in a CGI environment
}

// normal is a header's name as a CGI environment would have it.
func normal(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		}
		return '-'
	}, name)
}

// strip takes out what callers must not set, and what is between the browser and
// the session server: the refresh token and the CSRF token.
func strip(h http.Header) {
	for name := range h {
		if forged(name) || normal(name) == normal(wire.HeaderCSRF) {
			delete(h, name)
		}
	}
	cookies := h["Cookie"]
	h.Del("Cookie")
	for _, line := range cookies {
		if line = withoutOwn(line); line != "" {
			h.Add("Cookie", line)
		}
	}
}

// ownCookies are never passed on, in either direction; nor is any other that
// holds a refresh token, because profiles have names of their own for them.
var ownCookies = []string{wire.CookieRefresh, wire.CookieSecurePrefix + wire.CookieRefresh, wire.CookieCSRF}

func isOwn(cookie string) bool {
	name, value, _ := strings.Cut(cookie, "=")
	name = strings.Trim(name, " \t\"")
	if strings.HasPrefix(strings.Trim(value, " \t\""), rotation.Prefix) {
		return true
	}
	for _, own := range ownCookies {
		if strings.EqualFold(name, own) {
			return true
		}
	}
	return false
}

// withoutOwn is a Cookie line without our cookies, the others untouched.
func withoutOwn(line string) string {
	if !strings.Contains(line, ";") && !isOwn(line) {
		return line
	}
	var kept []string
	for c := range strings.SplitSeq(line, ";") {
		if !isOwn(c) {
			kept = append(kept, strings.TrimSpace(c))
		}
	}
	return strings.Join(kept, "; ")
}

// withoutOwnSet takes our cookies out of an upstream's answer: whoever sets the
// refresh cookie decides who is signed in.
func withoutOwnSet(h http.Header) {
	set := h["Set-Cookie"]
	if set == nil {
		return
	}
	h.Del("Set-Cookie")
	for _, c := range set {
		if !isOwn(c) {
			h.Add("Set-Cookie", c)
		}
	}
}

// forwarded says where the request came from. Only a proxy that is trusted may
// have said it before us; scheme is that of the public URL.
func forwarded(in, out *http.Request, trusted bool, remote, scheme string) {
	host := in.Host
	if trusted {
		if said := in.Header.Get("X-Forwarded-Host"); said != "" {
			host = said
		}
		if chain := strings.Join(in.Header.Values("X-Forwarded-For"), ", "); chain != "" {
			remote = chain + ", " + remote
		}
	}
	out.Header.Set("X-Forwarded-For", remote)
	out.Header.Set("X-Forwarded-Host", host)
	out.Header.Set("X-Forwarded-Proto", scheme)
}
