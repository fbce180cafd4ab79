package wire

import "strings"

// Covers reports whether the granted permission gives the wanted one. It is the
// one rule of the project, for servers and for whoever checks tokens.
//
// A permission is one or more segments between colons, "orders:read". In a
// granted permission the segment "*" stands for any one segment, and as the
// last segment for one or more: "orders:*" covers "orders:read" and
// "orders:lines:read" but not "orders"; "*:read" covers "orders:read"; "*"
// covers everything. Segments are compared byte for byte. An empty permission
// or one with an empty segment neither covers nor is covered.
//
// The wanted one may hold wildcards too and is then covered only if all that it
// stands for is: "orders:read" does not cover "orders:*".
func Covers(granted, wanted string) bool {
	if !ValidPermission(granted) || !ValidPermission(wanted) {
		return false
	}
	for {
		g, gRest, gMore := strings.Cut(granted, ":")
		w, wRest, wMore := strings.Cut(wanted, ":")
		switch {
		case g == "*" && !gMore:
			return true
		case w == "*" && !wMore:
			return false // stands for longer permissions than granted does
		case g != "*" && g != w, gMore != wMore:
			return false
		case !gMore:
			return true
		}
		granted, wanted = gRest, wRest
	}
}

// ValidPermission reports whether p is one or more non-empty segments between
// colons that can stand in a scope: printable ASCII without space, quote and
// backslash (RFC 6749 §3.3).
func ValidPermission(p string) bool {
	empty := true
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == ':':
			if empty {
				return false
			}
			empty = true
		case c <= ' ' || c >= 0x7f || c == '"' || c == '\\':
			return false
		default:
			empty = false
		}
	}
	return !empty
}
