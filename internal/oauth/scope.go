package oauth

import (
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/httpapi/form"
)

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
			return nil, form.Refuse(form.CodeInvalidScope, "tokens are not narrowed to a scope: leave the parameter out; a token carries what its user may do")
		}
	}
	return scope, nil
}
