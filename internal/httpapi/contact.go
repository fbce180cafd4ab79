package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/session"
)

// Contact says where a request came from: the peer, or, behind proxies that are
// trusted, the last address in X-Forwarded-For that none of them added.
func (a *API) Contact(r *http.Request) session.Contact {
	c := session.Contact{UserAgent: printable(r.UserAgent(), session.MaxUserAgent)}
	c.Address = peer(r)
	if !a.trusted(c.Address) {
		return c
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		c.Address = clean(addr)
		if !a.trusted(c.Address) {
			break
		}
	}
	return c
}

// peer is who the connection is from; the zero address if that is unknown.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return clean(ap.Addr())
}

func clean(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (a *API) trusted(addr netip.Addr) bool { return among(a.TrustedProxies, addr) }

func among(proxies []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// FromTrusted reports whether a request comes straight from one of the proxies.
func FromTrusted(proxies []netip.Prefix, r *http.Request) bool { return among(proxies, peer(r)) }

// printable cuts s to limit bytes and drops what a terminal or a log would act on.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not in the middle of a character
		cut--
	}
	return s[:cut]
}
