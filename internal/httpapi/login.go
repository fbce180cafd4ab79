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
	if req.Delivery == wire.DeliveryCookie {
		// A foreign page must not sign a visitor in as somebody else.
		if err := a.SameOrigin(r); err != nil {
			return err
		}
	}
	if req.Username == "" || req.Password == "" {
		return ErrNoCredentials
	}
	g, err := a.Sessions.SignIn(r.Context(), req.Username, req.Password, session.SignIn{
		Client: session.Client{ID: a.ClientID}, Contact: a.Contact(r), Binding: Encrypted(r)})
	if err != nil {
		return err
	}
	return a.granted(w, g, req.Delivery, true)
}
