package oauth

import (
	"net/http"
	"net/url"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/wire"
)

// routes are those of the standard OAuth surface (wire.md §2).
func (a *surface) routes() httpapi.Routes {
	metadata := a.Handle(a.metadata)
	userInfo := a.Verifier.ForAnyAudience().Middleware(a.Handle(a.userInfo))
	return httpapi.Routes{
		wire.PathAuthorize:           {"GET": a.Page(a.authorize), "POST": a.Page(a.authorizeForm)},
		wire.PathToken:               {"POST": a.call(a.token)},
		wire.PathRevoke:              {"POST": a.call(a.revoke)},
		wire.PathIntrospect:          {"POST": a.call(a.introspect)},
		wire.PathDeviceAuthorization: {"POST": a.call(a.startDevice)},
		wire.PathDevice:              {"GET": a.Page(a.device), "POST": a.Page(a.deviceForm)},
		wire.PathUserInfo:            {"GET": userInfo, "POST": userInfo},
		wire.PathEndSession:          {"GET": a.Page(a.endSessionPage), "POST": a.Page(a.endSessionPage)},
		wire.PathOAuthMetadata:       {"GET": metadata},
		wire.PathOpenIDMetadata:      {"GET": metadata},
	}
}

// call is a call that clients make: parameters in a form, the client
// identified, errors as RFC 6749 §5.2 has them. client is nil if the request
// names none.
func (a *surface) call(f func(w http.ResponseWriter, r *http.Request, client *Client, p form.Params) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Pragma", "no-cache") // RFC 6749 §5.1
		p, err := form.Read(r)
		var client *Client
		if err == nil {
			client, err = a.client(r, p)
		}
		if err == nil {
			err = f(w, r, client, p)
		}
		if err != nil {
			a.FailOAuth(w, r, err)
		}
	})
}

// client is the client that a request is from, by HTTP Basic or by
// parameters (RFC 6749 §2.3.1); nil if it names none.
func (a *surface) client(r *http.Request, p form.Params) (*Client, error) {
	cred := Credentials{ID: p["client_id"], Secret: p["client_secret"]}
	if form.UsesBasic(r) {
		id, secret, err := basicCredentials(r)
		switch {
		case err != nil:
			return nil, err
		case cred.Secret != "" || cred.ID != "" && cred.ID != id:
			return nil, &form.Error{Code: form.CodeInvalidRequest, Description: "the client is identified in more than one way"}
		}
		cred = Credentials{ID: id, Secret: secret}
	}
	if cred == (Credentials{}) {
		return nil, nil
	}
	c, err := a.server.Client(r.Context(), cred)
	return &c, err
}

func basicCredentials(r *http.Request) (id, secret string, err error) {
	rawID, rawSecret, ok := r.BasicAuth()
	id, err1 := url.QueryUnescape(rawID)
	secret, err2 := url.QueryUnescape(rawSecret)
	if !ok || err1 != nil || err2 != nil {
		return "", "", &form.Error{Code: form.CodeInvalidClient, Description: "the Basic credentials can not be read"}
	}
	return id, secret, nil
}
