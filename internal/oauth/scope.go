package oauth

import (
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// scope is the part of the scope that a request asks for which the client may have.
// One that asks for nothing gets its permissions, and is told nothing of the user
// (RFC 6749 §3.3).
func (c Client) scope(asked string) (string, error) {
	if asked == "" {
		asked = strings.Join(slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return slices.Contains(wire.IdentityScopes, s) }), " ")
	}
	scope := session.Narrow(asked, strings.Join(c.Scopes, " "))
	if scope == "" {
		return "", form.Refuse(form.CodeInvalidScope, "the client may have nothing of the scope that it asks for: tacet client update CLIENT --scope says what it may have")
	}
	return scope, nil
}

// audience is who access tokens of the client are for: the resource that it asks for
// (RFC 8707), else its first audience. A client without one has tokens that are good
// for UserInfo alone.
func (s *Server) audience(c Client, resource string) (string, error) {
	if resource == "" {
		if len(c.Audiences) == 0 {
			return s.Sessions.Issuer() + wire.PathUserInfo, nil
		}
		return c.Audiences[0], nil
	}
	for _, a := range c.Audiences {
		if session.SameAudience(a, resource) {
			return a, nil
		}
	}
	return "", form.Refuse(form.CodeInvalidTarget, "resource must be one audience that the client has: tacet client update CLIENT --audience adds others")
}

// hasScope reports whether a scope, separated by spaces, has this one.
func hasScope(scope, one string) bool { return slices.Contains(strings.Fields(scope), one) }
