package client

import (
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/wire"
)

// refusal is what a 401 says about the token of the request.
type refusal struct {
	renew         bool // a new token may help
	grantsChanged bool
}

// readRefusal reads the challenges of a 401. A new token may help if a Bearer
// challenge says invalid_token or gives no error, and if there is no challenge
// at all, as from many home-made APIs.
func readRefusal(h http.Header) refusal {
	values := h.Values("Www-Authenticate")
	if len(values) == 0 {
		return refusal{renew: true}
	}
	for _, v := range values {
		for _, c := range parseChallenges(v) {
			if !strings.EqualFold(c.scheme, "Bearer") {
				continue
			}
			code, given := c.params["error"]
			return refusal{
				renew:         !given || code == wire.CodeInvalidToken,
				grantsChanged: code == wire.CodeInvalidToken && c.params["error_description"] == wire.GrantsChanged,
			}
		}
	}
	return refusal{}
}

// challenge is one challenge of RFC 9110 §11.6.1. Names of params are in lower
// case; a token68 is left out.
type challenge struct {
	scheme string
	params map[string]string
}

// parseChallenges reads one WWW-Authenticate value. It is lenient: what it
// cannot make sense of is skipped.
func parseChallenges(v string) []challenge {
	var all []challenge
	for _, item := range splitUnquoted(v) {
		name, rest := cutToken(item)
		if name == "" {
			continue
		}
		if after, isParam := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "="); isParam {
			if len(all) > 0 {
				all[len(all)-1].params[strings.ToLower(name)] = unquote(strings.TrimSpace(after))
			}
			continue
		}
		c := challenge{scheme: name, params: map[string]string{}}
		if p, rest := cutToken(strings.TrimLeft(rest, " \t")); p != "" {
			if after, isParam := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "="); isParam && !isToken68Tail(after) {
				c.params[strings.ToLower(p)] = unquote(strings.TrimSpace(after))
			}
		}
		all = append(all, c)
	}
	return all
}

// isToken68Tail tells "abc==" from "name=value".
func isToken68Tail(s string) bool { return strings.Trim(s, "= \t") == "" }

// splitUnquoted splits at commas outside of quoted strings.
func splitUnquoted(v string) []string {
	var items []string
	quoted, start := false, 0
	for i := 0; i < len(v); i++ {
		switch {
		case quoted && v[i] == '\\':
			i++
		case v[i] == '"':
			quoted = !quoted
		case v[i] == ',' && !quoted:
			items = append(items, v[start:i])
			start = i + 1
		}
	}
	return append(items, v[start:])
}

// cutToken splits off the leading token (RFC 9110 §5.6.2).
func cutToken(s string) (token, rest string) {
	s = strings.TrimLeft(s, " \t")
	i := 0
	for i < len(s) && (isAlnum(s[i]) || strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) >= 0) {
		i++
	}
	return s[:i], s[i:]
}

// unquote takes a quoted string apart (RFC 9110 §5.6.4).
func unquote(s string) string {
	if len(s) == 0 || s[0] != '"' {
		return s
	}
	s = strings.TrimSuffix(s[1:], `"`)
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}
