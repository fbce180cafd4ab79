package oauth

import (
	"errors"
	"net/http"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// surface is the provider over HTTP.
type surface struct {
	*httpapi.API
	server *Server
}

// Wing is the standard OAuth surface (wire.md §2) of a server.
func Wing(s *Server) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		a := &surface{API: api, server: s}
		return httpapi.Wing{
			Routes:         a.routes(),
			Problem:        problemOf,
			RequestHeaders: []string{dpop.Header},
			Public:         []string{wire.PathOAuthMetadata, wire.PathOpenIDMetadata, wire.PathToken, wire.PathUserInfo},
			Purposes: map[string]httpapi.Continuation{
				purposeAuthorize: {Arrived: a.authorized, Back: func(query string) string { return wire.PathAuthorize + "?" + query }},
				purposeDevice:    {Arrived: a.approved, Back: func(string) string { return wire.PathDevice }},
			},
		}, nil
	}
}

// What people sign in for on pages of this wing.
const (
	purposeAuthorize = "authorize" // its data is the query of the authorization request
	purposeDevice    = "device"    // its data is the user code
)

// authorized goes on with an authorization request after a sign-in elsewhere.
func (a *surface) authorized(w http.ResponseWriter, r *http.Request, who session.Identity, from session.Origin, query string) error {
	params, err := form.Parse(query)
	if err != nil {
		return err
	}
	req, err := a.server.Authorization(r.Context(), params)
	if err != nil {
		return a.refuseAuthorization(w, r, err)
	}
	location, err := a.server.SignedIn(r.Context(), req, who, from)
	if err != nil {
		return err
	}
	http.Redirect(w, r, location, http.StatusSeeOther)
	return nil
}

// approved goes on with a device after a sign-in elsewhere.
func (a *surface) approved(w http.ResponseWriter, r *http.Request, who session.Identity, from session.Origin, userCode string) error {
	if err := a.server.ApproveFor(r.Context(), userCode, who, from, a.Contact(r)); err != nil {
		return err
	}
	a.showConnected(w, r, problem.Text{EN: "The device is connected", ZH: "设备已连接"})
	return nil
}

// problemOf is httpapi.Wing.Problem.
func problemOf(err error) *problem.Problem {
	if errors.Is(err, ErrUserCode) {
		return errUserCode
	}
	return nil
}
