package verify

import (
	"errors"
	"net/http"
	"strings"
)

// Middleware lets only requests with a good access token through; the handler
// finds the token with [FromContext]. Refusals are written by
// [Verifier.WriteError]. Put CORS handling outside: preflight requests carry no
// credentials.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return v.guard(next, false, nil)
}

// Optional lets anonymous requests through too, with no token in the context. A
// credential that is presented must still be good: a client whose token has
// expired learns so, instead of being served as a stranger.
func (v *Verifier) Optional(next http.Handler) http.Handler {
	return v.guard(next, true, nil)
}

// Require lets only requests through whose token has all of the permissions. It
// does what Middleware does as well, if no middleware of v has done it yet.
func (v *Verifier) Require(permissions ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return v.guard(next, false, func(t *Token) error { return Allow(t, permissions...) })
	}
}

// guard lets requests through whose token allow returns nil for. A nil allow asks for
// nothing.
func (v *Verifier) guard(next http.Handler, anonymous bool, allow func(*Token) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := v.found(r)
		if t == nil {
			var err error
			t, err = v.Authenticate(r)
			if err != nil && !(anonymous && errors.Is(err, ErrNoCredential)) {
				v.WriteError(w, r, err)
				return
			}
			if t != nil {
				r = r.WithContext(NewContext(r.Context(), t))
			}
		}
		if allow != nil {
			if err := allow(t); err != nil {
				v.WriteError(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// found is the token that a middleware of the same issuer and audience has
// already verified for this request.
func (v *Verifier) found(r *http.Request) *Token {
	if t, ok := FromContext(r.Context()); ok && t.by == v {
		return t
	}
	return nil
}

// Allow returns nil if t has all of the permissions, else a *[ScopeError]; and
// ErrNoCredential for a nil t that needs any.
func Allow(t *Token, permissions ...string) error {
	for _, p := range permissions {
		if t == nil {
			return ErrNoCredential
		}
		if !t.Can(p) {
			return &ScopeError{Required: permissions, Missing: p}
		}
	}
	return nil
}

// Authenticate takes the token from the request, of the scheme Bearer (RFC 6750
// §2.1) or DPoP (RFC 9449 §7.1), and verifies it: for routers that are not
// net/http's, together with [Verifier.WriteError]. It returns ErrNoCredential if
// there is none, ErrInvalidRequest, ErrProof, or an error of Verify.
func (v *Verifier) Authenticate(r *http.Request) (*Token, error) {
	if raw, ok := proved(r.Header); ok {
		return v.withProof(r, raw)
	}
	raw, err := Bearer(r.Header)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), raw)
}

// Bearer returns the bearer token of a request's header. "Bearer null" and
// "Bearer undefined", which front-ends send before they have a token, are no
// credential (ErrNoCredential), like other schemes and none at all; two
// Authorization headers are ErrInvalidRequest.
func Bearer(h http.Header) (string, error) {
	values := h["Authorization"]
	switch len(values) {
	case 0:
		return "", ErrNoCredential
	case 1:
	default:
		return "", ErrInvalidRequest
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || token == "null" || token == "undefined" {
		return "", ErrNoCredential
	}
	return token, nil
}
