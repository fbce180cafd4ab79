package oauth

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Params are the parameters of a request. A parameter without a value is not
// there (RFC 6749 §3.1, §3.2).
type Params map[string]string

// repeatable may come several times; we use none of them (RFC 8707 §2, RFC 8693 §2.1).
var repeatable = []string{"resource", "audience"}

// ParseParams reads application/x-www-form-urlencoded parameters, of a query or
// a body. It refuses what could be read in two ways: "parameters must not be
// included more than once" (RFC 6749 §3.1).
func ParseParams(raw string) (Params, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse(CodeInvalidRequest, "the parameters are not in the form application/x-www-form-urlencoded")
	}
	p := Params{}
	for name, v := range values {
		if slices.Contains(repeatable, name) {
			continue
		}
		if len(v) > 1 {
			return nil, refuse(CodeInvalidRequest, "a parameter is included more than once")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(v[0]) || strings.ContainsRune(v[0], 0) {
			return nil, refuse(CodeInvalidRequest, "a parameter is not valid UTF-8 text")
		}
		if v[0] != "" {
			p[name] = v[0]
		}
	}
	return p, nil
}

// need returns a parameter that must be there.
func (p Params) need(name string) (string, error) {
	if v := p[name]; v != "" {
		return v, nil
	}
	return "", refuse(CodeInvalidRequest, "the parameter "+name+" is missing")
}

// Scopes are the scopes that mean something here. offline_access is one of them
// because clients ask for it; refresh tokens are always issued.
var Scopes = []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeOfflineAccess}

// OpenID Connect Core §3.1.2.1, §5.4, §11.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeOfflineAccess = "offline_access"
)

// granted is the part of a requested scope that a grant has.
func granted(requested string) []string {
	scope := []string{}
	for s := range strings.FieldsSeq(requested) {
		if slices.Contains(Scopes, s) && !slices.Contains(scope, s) {
			scope = append(scope, s)
		}
	}
	return scope
}

// renewed is the scope of a renewal, which must not go beyond that of the grant
// (RFC 6749 §6).
func renewed(requested string) ([]string, error) {
	scope := granted(requested)
	for s := range strings.FieldsSeq(requested) {
		if !slices.Contains(scope, s) {
			return nil, refuse(CodeInvalidScope, "tokens are not narrowed to a scope: leave the parameter out; a token carries what its user may do")
		}
	}
	return scope, nil
}
