package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// FailOAuth writes the error of a call of the OAuth surface (RFC 6749 §5.2).
func (a *API) FailOAuth(w http.ResponseWriter, r *http.Request, err error) {
	status, e := oauthError(err)
	h := w.Header()
	var throttled *session.Throttled
	if errors.As(err, &throttled) {
		Throttled(throttled.RetryAfter).Header(h)
	}
	switch e.Error {
	case form.CodeInvalidClient:
		// Browsers would ask the user for a password, which is nobody's wish
		// unless the script itself chose HTTP Basic.
		if form.UsesBasic(r) || r.Header.Get("Sec-Fetch-Mode") == "" {
			h.Set("WWW-Authenticate", `Basic realm="tacet"`)
		}
	case form.CodeTemporarilyUnavailable:
		h.Set("Retry-After", problem.RetryAfter())
		a.LogOutage(r, err)
	case form.CodeServerError:
		a.Logger.Error("a request failed in a way that has no response; this is a bug, please report it", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	body, _ := json.Marshal(e)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func oauthError(err error) (status int, e wire.OAuthError) {
	var refused *form.Error
	var p *problem.Problem
	var throttled *session.Throttled
	switch {
	case errors.Is(err, dpop.ErrProof):
		return http.StatusBadRequest, wire.OAuthError{Error: form.CodeInvalidProof, Description: dpop.Describe(err)}
	case errors.As(err, &throttled):
		return http.StatusTooManyRequests, wire.OAuthError{Error: form.CodeSlowDown, Description: "too many requests from this address: try again after the time in Retry-After"}
	case errors.As(err, &refused):
		status = http.StatusBadRequest
		if refused.Code == form.CodeInvalidClient {
			status = http.StatusUnauthorized
		}
		return status, wire.OAuthError{Error: refused.Code, Description: refused.Description}
	case errors.As(err, &p):
		return p.Status, wire.OAuthError{Error: form.CodeInvalidRequest, Description: fmt.Sprintf(p.Detail.EN, p.Args...)}
	case errors.Is(err, session.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, wire.OAuthError{Error: form.CodeTemporarilyUnavailable, Description: "nothing has changed: try again shortly"}
	}
	return http.StatusInternalServerError, wire.OAuthError{Error: form.CodeServerError, Description: "something went wrong on the side of the server"}
}
