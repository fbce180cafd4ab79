package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// oauthRoutes are those of the standard OAuth surface (wire.md §2).
func (a *api) oauthRoutes() map[string]map[string]http.Handler {
	if a.OAuth == nil {
		return nil
	}
	type m = map[string]http.Handler
	metadata := a.handler((*api).oauthMetadata)
	userInfo := a.Protect(a.handler((*api).userInfo))
	return map[string]m{
		wire.PathAuthorize:           {"GET": a.page((*api).authorize), "POST": a.page((*api).authorizeForm)},
		wire.PathToken:               {"POST": a.oauthCall((*api).oauthToken)},
		wire.PathRevoke:              {"POST": a.oauthCall((*api).oauthRevoke)},
		wire.PathIntrospect:          {"POST": a.oauthCall((*api).oauthIntrospect)},
		wire.PathDeviceAuthorization: {"POST": a.oauthCall((*api).oauthDevice)},
		wire.PathDevice:              {"GET": a.page((*api).device), "POST": a.page((*api).deviceForm)},
		wire.PathUserInfo:            {"GET": userInfo, "POST": userInfo},
		wire.PathEndSession:          {"GET": a.page((*api).endSessionPage), "POST": a.page((*api).endSessionPage)},
		wire.PathOAuthMetadata:       {"GET": metadata},
		wire.PathOpenIDMetadata:      {"GET": metadata},
	}
}

// oauthCall is a call that clients make: parameters in a form, the client
// identified, errors as RFC 6749 §5.2 has them. client is nil if the request
// names none.
func (a *api) oauthCall(f func(a *api, w http.ResponseWriter, r *http.Request, client *oauth.Client, p oauth.Params) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Pragma", "no-cache") // RFC 6749 §5.1
		p, err := formParams(r)
		var client *oauth.Client
		if err == nil {
			client, err = a.oauthClient(r, p)
		}
		if err == nil {
			err = f(a, w, r, client, p)
		}
		if err != nil {
			a.failOAuth(w, r, err)
		}
	})
}

var errForm = &oauth.Error{Code: oauth.CodeInvalidRequest, Description: "send the parameters in the body as application/x-www-form-urlencoded"}

// formParams reads a form from the body. What is in the query is not looked at:
// secrets do not belong there (RFC 6749 §2.3.1, §3.2).
func formParams(r *http.Request) (oauth.Params, error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, errBodyUnreadable
	}
	return oauth.ParseParams(string(body))
}

// oauthClient is the client that a request is from, by HTTP Basic or by
// parameters (RFC 6749 §2.3.1); nil if it names none.
func (a *api) oauthClient(r *http.Request, p oauth.Params) (*oauth.Client, error) {
	cred := oauth.Credentials{ID: p["client_id"], Secret: p["client_secret"]}
	if usesBasic(r) {
		id, secret, err := basicCredentials(r)
		switch {
		case err != nil:
			return nil, err
		case cred.Secret != "" || cred.ID != "" && cred.ID != id:
			return nil, &oauth.Error{Code: oauth.CodeInvalidRequest, Description: "the client is identified in more than one way"}
		}
		cred = oauth.Credentials{ID: id, Secret: secret}
	}
	if cred == (oauth.Credentials{}) {
		return nil, nil
	}
	c, err := a.OAuth.Client(r.Context(), cred)
	return &c, err
}

func usesBasic(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Basic") // other schemes are left-overs of other calls
}

func basicCredentials(r *http.Request) (id, secret string, err error) {
	rawID, rawSecret, ok := r.BasicAuth()
	id, err1 := url.QueryUnescape(rawID)
	secret, err2 := url.QueryUnescape(rawSecret)
	if !ok || err1 != nil || err2 != nil {
		return "", "", &oauth.Error{Code: oauth.CodeInvalidClient, Description: "the Basic credentials can not be read"}
	}
	return id, secret, nil
}

// failOAuth writes the error of a call of the OAuth surface (RFC 6749 §5.2).
func (a *api) failOAuth(w http.ResponseWriter, r *http.Request, err error) {
	status, e := oauthError(err)
	h := w.Header()
	var throttled *session.Throttled
	if errors.As(err, &throttled) {
		throttledProblem(throttled.RetryAfter).header(h)
	}
	switch e.Error {
	case oauth.CodeInvalidClient:
		// Browsers would ask the user for a password, which is nobody's wish
		// unless the script itself chose HTTP Basic.
		if usesBasic(r) || r.Header.Get("Sec-Fetch-Mode") == "" {
			h.Set("WWW-Authenticate", `Basic realm="tacet"`)
		}
	case oauth.CodeTemporarilyUnavailable:
		h.Set("Retry-After", retryAfter())
		a.logOutage(r, err)
	case oauth.CodeServerError:
		a.Logger.Error("a request failed in a way that has no answer; this is a bug, please report it", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	body, _ := json.Marshal(e)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func oauthError(err error) (status int, e wire.OAuthError) {
	var refused *oauth.Error
	var p *problem
	var throttled *session.Throttled
	switch {
	case errors.As(err, &throttled):
		return http.StatusTooManyRequests, wire.OAuthError{Error: oauth.CodeSlowDown, Description: "too many requests from this address: try again after the time in Retry-After"}
	case errors.As(err, &refused):
		status = http.StatusBadRequest
		if refused.Code == oauth.CodeInvalidClient {
			status = http.StatusUnauthorized
		}
		return status, wire.OAuthError{Error: refused.Code, Description: refused.Description}
	case errors.As(err, &p):
		return p.status, wire.OAuthError{Error: oauth.CodeInvalidRequest, Description: fmt.Sprintf(p.detail.en, p.args...)}
	case errors.Is(err, session.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, wire.OAuthError{Error: oauth.CodeTemporarilyUnavailable, Description: "nothing has changed: try again shortly"}
	}
	return http.StatusInternalServerError, wire.OAuthError{Error: oauth.CodeServerError, Description: "something went wrong on the side of the server"}
}
