package httpapi

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// login is POST /auth/login.
func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	var req wire.LoginRequest
	if err := ReadJSON(r, &req); err != nil {
		return err
	}
	switch req.Delivery {
	case "":
		req.Delivery = wire.DeliveryCookie
	case wire.DeliveryCookie, wire.DeliveryBody:
	default:
		return errDelivery
	}
	if req.Username == "" || req.Password == "" {
		return ErrNoCredentials
	}
	in := session.SignIn{Client: session.Client{ID: a.ClientID}, Contact: a.Contact(r), Binding: Encrypted(r)}
	if req.Delivery == wire.DeliveryCookie {
		// A foreign page must not sign a visitor in as somebody else.
		err := a.SameOrigin(r)
		if err == nil {
			in.Replaces, err = a.BrowserSessions(r, a.CookieName(wire.CookieRefresh))
		}
		if err != nil {
			return err
		}
	}
	g, err := a.Sessions.SignIn(r.Context(), req.Username, req.Password, in)
	if err != nil {
		return err
	}
	return a.granted(w, g, req.Delivery, true)
}
