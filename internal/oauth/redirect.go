package oauth

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// checkRedirectURI is the rule for what may be registered (RFC 6749 §3.1.2,
// RFC 9700 §2.1, RFC 8252 §7): an absolute URI without a fragment that is
// compared as a whole; https, or http on the user's own machine, or the reverse
// domain name of a public client's application.
func checkRedirectURI(uri string, confidential bool) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || !u.IsAbs() || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }):
		return invalid("redirect URI %q is not an absolute URI", uri)
	case strings.Contains(uri, "#"):
		return invalid("redirect URI %q has a fragment, which may not be (RFC 6749 §3.1.2)", uri)
	case u.User != nil:
		return invalid("redirect URI %q has a user name in it", uri)
	case strings.Contains(uri, "*"):
		return invalid("redirect URI %q has a wildcard; URIs are compared as a whole (RFC 9700 §2.1): register each", uri)
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme == "http" && isLocal(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return invalid("redirect URI %q is plain http on a host that is not loopback: codes would travel in clear. Use https", uri)
	case !strings.Contains(u.Scheme, "."):
		return invalid("redirect URI %q: a scheme of your own must be a reversed domain name like com.example.app (RFC 8252 §7.1)", uri)
	case confidential:
		return invalid("redirect URI %q: a scheme of your own is for applications on devices, which are public clients", uri)
	case u.Host != "" || u.Opaque != "":
		return invalid("redirect URI %q: write a scheme of your own with one slash, like com.example.app:/callback (RFC 8252 §7.1)", uri)
	}
	return nil
}

func isLocal(host string) bool { return host == "localhost" || isLoopbackIP(host) }

func isLoopbackIP(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() && ip.Zone() == ""
}

// allows reports whether a redirect URI is one of those registered: equal as a
// string (RFC 9700 §2.1), but for the port of a loopback address or of localhost,
// which the operating system gave to the application just now (RFC 8252 §7.3).
func allows(registered []string, uri string) bool {
	if slices.Contains(registered, uri) {
		return true
	}
	bare, ok := withoutPort(uri)
	return ok && slices.ContainsFunc(registered, func(r string) bool {
		b, ok := withoutPort(r)
		return ok && b == bare
	})
}

// withoutPort is a loopback URI without its port, and no other URI. localhost is a
// name that may lead elsewhere (RFC 8252 §8.3), so it stands for no address, but many
// tools know no other. Only the port differs between
// a URI and its result, so what is equal without it is equal in all else.
func withoutPort(uri string) (string, bool) {
	rest, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", false
	}
	end := strings.IndexAny(rest, "/?#\\@")
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	if path != "" && path[0] != '/' && path[0] != '?' {
		return "", false
	}
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
		if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return "", false
		}
	}
	ip := name
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		ip = name[1 : len(name)-1]
	} else if strings.Contains(name, ":") {
		return "", false
	}
	if !isLoopbackIP(ip) && name != "localhost" {
		return "", false
	}
	return "http://" + name + path, true
}

// withParams adds parameters to a registered URI, which may have a query.
func withParams(uri string, p url.Values) string {
	switch {
	case len(p) == 0:
		return uri
	case strings.HasSuffix(uri, "?"), strings.HasSuffix(uri, "&"):
		return uri + p.Encode()
	case strings.Contains(uri, "?"):
		return uri + "&" + p.Encode()
	}
	return uri + "?" + p.Encode()
}
