package verify

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/wire"
)

// retryAfter is in seconds: by then the next attempt to reach the issuer is
// over, or the one after it.
const retryAfter = "2"

// errorInvalidProof is in the challenge alone (RFC 9449 §7.1).
const errorInvalidProof = "invalid_dpop_proof"

// refusal is how an error looks from outside.
type refusal struct {
	status      int
	code        string // of the problem
	error       string // of the challenge; empty: none (RFC 6750 §3.1)
	description string // error_description of the challenge
	scope       string
	text        message
	scheme      string // of the challenge; empty: Bearer
}

// refusalOf is the one table from errors to responses.
func refusalOf(err error) refusal {
	var scope *ScopeError
	switch {
	case errors.As(err, new(*StepUpError)):
		return refusal{status: http.StatusUnauthorized, code: wire.CodeInsufficientAuthentication, error: wire.CodeInsufficientAuthentication,
			description: "a stronger or more recent sign-in is needed", text: msgStepUp}
	case errors.As(err, &scope):
		return refusal{http.StatusForbidden, wire.CodeInsufficientScope, wire.CodeInsufficientScope,
			"a permission is missing", strings.Join(scope.Required, " "), msgScope, ""}
	case errors.Is(err, ErrNoCredential):
		return refusal{http.StatusUnauthorized, wire.CodeInvalidToken, "", "", "", msgNoCredential, ""}
	case errors.Is(err, ErrInvalidRequest):
		return refusal{http.StatusBadRequest, wire.CodeInvalidRequest, wire.CodeInvalidRequest,
			"more than one Authorization header", "", msgInvalidRequest, ""}
	case errors.Is(err, ErrProof):
		return refusal{http.StatusUnauthorized, wire.CodeInvalidToken, errorInvalidProof, dpop.Describe(err), "", msgProof, dpop.Header}
	case errors.Is(err, ErrBound), errors.Is(err, ErrUnbound):
		return refusal{http.StatusUnauthorized, wire.CodeInvalidToken, wire.CodeInvalidToken, describe(err), "", msgBound, dpop.Header}
	case errors.Is(err, ErrStaleGrants):
		return refusal{http.StatusUnauthorized, wire.CodeInvalidToken, wire.CodeInvalidToken, wire.GrantsChanged, "", msgStaleGrants, ""}
	case errors.Is(err, ErrInvalidToken):
		return refusal{http.StatusUnauthorized, wire.CodeInvalidToken, wire.CodeInvalidToken, describe(err), "", textOf(err), ""}
	}
	for _, e := range encryptionRefusals {
		if errors.Is(err, e.err) {
			return refusal{status: e.status, code: e.code, text: e.text}
		}
	}
	// Whatever else went wrong is not the caller's doing: sign nobody out.
	return refusal{http.StatusServiceUnavailable, wire.CodeUnavailable, "", "", "", msgUnavailable, ""}
}

// describe is the reason in a word or two, from a fixed list: nothing that the
// caller sent is ever repeated.
func describe(err error) string {
	var c *cause
	if errors.As(err, &c) {
		return c.text
	}
	return "the access token is not accepted"
}

// WriteError responds to a request that was refused with err, an error of
// Authenticate, Verify, Allow or a [Liveness]: status, WWW-Authenticate (RFC 6750
// §3), Cache-Control and a problem in English or Chinese (RFC 9457).
func (v *Verifier) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	a := refusalOf(err)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	} else if a.status == http.StatusUnauthorized || a.error != "" {
		h.Set("WWW-Authenticate", v.challenge(a, wanted(err)))
	}
	if a.code == wire.CodeEncryptionRequired {
		h.Set("Accept", wire.ContentTypeJOSE) // RFC 9110 §15.5.16
	}
	lang := preferred(r.Header.Values("Accept-Language"))
	h.Set("Content-Language", lang.tag())
	h.Add("Vary", "Accept-Language")
	title := titles[a.status]
	if a.code == wire.CodeInsufficientAuthentication {
		title = titleStepUp
	}
	v.writeProblem(w, r, wire.Problem{
		Type:   "about:blank",
		Title:  title[lang],
		Status: a.status,
		Code:   a.code,
		Detail: a.text[lang],
	})
}

// challenge builds the value of WWW-Authenticate from fixed words, the
// configured realm, and the permissions and the sign-in that the route asks for.
func (v *Verifier) challenge(a refusal, s StepUp) string {
	var params []string
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+`="`+value+`"`)
		}
	}
	add("realm", v.realm)
	add("error", a.error)
	add("error_description", a.description)
	if quotable(a.scope) {
		add("scope", a.scope)
	}
	add("resource_metadata", v.metadata)
	add("acr_values", strings.Join(s.ACR, " "))
	if s.MaxAge > 0 {
		add("max_age", strconv.FormatInt(int64(s.MaxAge/time.Second), 10))
	}
	scheme := "Bearer"
	if a.scheme == dpop.Header {
		scheme = a.scheme
		add("algs", strings.Join(dpop.Algorithms, " "))
	}
	return strings.TrimRight(scheme+" "+strings.Join(params, ", "), " ")
}

// quotable reports whether s can stand between quotes as it is (RFC 6750 §3).
func quotable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' })
}

func writeProblem(w http.ResponseWriter, _ *http.Request, p wire.Problem) {
	body, err := json.Marshal(p)
	if err != nil { // strings and an int
		panic(err)
	}
	w.Header().Set("Content-Type", wire.ContentTypeProblem)
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the caller may be gone
}
