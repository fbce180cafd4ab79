package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/rotation"
)

// callersMustNotSet are the headers that an upstream must not get from a caller,
// because some server or framework believes them: who is calling, from where,
// which path, method or scheme is meant. Everybody who passes requests on needs
// this list: the gateway, and the proxies of docs/gateway.md. A star stands for
// anything.
var callersMustNotSet = strings.Fields(`
	x-tacet-*

	*client-ip *clientip *connecting-ip *real-ip *remote-ip *src-ip *originating-ip
	*remote-addr x-proxyuser-ip cf-connecting-ipv6 cf-pseudo-ipv4
	forwarded* x-forwarded* x-vercel-* x-envoy-*
	proxy* x-proxy-* x-host x-http-host-override x-scheme x-proto x-url-scheme https
	front-end-https http-* x-appengine-* x-azure-* x-nf-*

	script-* path-info path-translated request-uri request-method query-string
	document-* server-* gateway-interface redirect-* x-script-name x-ingress-path
	x-original-* x-rewrite-* x-waws-unencoded-url
	x-http-method* x-method-override x-middleware-* x-accel-* x-sendfile*

	*remote-user remote-* auth-type auth-user x-remote-* x-authenticated-* x-auth-request-*
	x-webauth-* x-ms-client-principal* x-ms-token-* ms-aspnetcore-* x-goog-authenticated-*
	x-goog-iap-* x-amzn-oidc-* cf-access-* oidc-* tailscale-* x-authentik-* x-vouch-*
	x-pomerium-* teleport-*

	ssl-* x-ssl-* x-tls-* x-client-cert* x-client-verify* x-client-dn client-cert* x-arr-*
	x-amzn-mtls-*
`)

// forged reports whether a header is one that callers must not set. In CGI and
// its heirs (WSGI, PHP, Rack), SCRIPT_NAME is a variable of the server and
// X_Tacet_User the same as X-Tacet-User; so a name with anything but letters,
// digits and hyphens in it is forged, too.
func forged(name string) bool {
	n := strings.ToLower(name)
	if strings.ContainsFunc(n, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') }) {
		return true
	}
	return forgedNames[n] ||
		slices.ContainsFunc(forgedStarts, func(s string) bool { return strings.HasPrefix(n, s) }) ||
		slices.ContainsFunc(forgedEnds, func(s string) bool { return strings.HasSuffix(n, s) })
}

// callersMustNotSet, as names, beginnings and ends.
var forgedNames, forgedStarts, forgedEnds = func() (names map[string]bool, starts, ends []string) {
	names = map[string]bool{}
	for _, pattern := range callersMustNotSet {
		if start, ok := strings.CutSuffix(pattern, "*"); ok {
			starts = append(starts, start)
		} else if end, ok := strings.CutPrefix(pattern, "*"); ok {
			ends = append(ends, end)
		} else {
			names[pattern] = true
		}
	}
	return names, starts, ends
}()

// strip takes out what callers must not set, and what is between the browser and
// the session server: its cookies.
func strip(h http.Header) {
	for name := range h {
		if forged(name) {
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

// isOwn reports whether a cookie is the session server's, which is never passed
// on in either direction: every name that begins with tacet_, and whatever holds a refresh token, because profiles have names of their own for it.
func isOwn(cookie string) bool {
	name, value, _ := strings.Cut(cookie, "=")
	name = strings.ToLower(strings.Trim(name, " \t\""))
	if strings.HasPrefix(strings.Trim(value, " \t\""), rotation.Prefix) {
		return true
	}
	for _, prefix := range []string{"__host-", "__secure-"} {
		name = strings.TrimPrefix(name, prefix)
	}
	return strings.HasPrefix(name, "tacet_")
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

// withoutOwnSet takes our cookies out of an upstream's response: whoever sets the
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
