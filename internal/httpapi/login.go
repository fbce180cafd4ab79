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
	switch {
	case req.Ticket != "" && (req.Username != "" || req.Password != ""):
		return errTicketAlone
	case req.Ticket == "" && (req.Username == "" || req.Password == ""):
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
	var g session.Grant
	var err error
	if req.Ticket != "" {
		g, err = a.signInWithTicket(r.Context(), req.Ticket, in)
	} else {
		g, err = a.Sessions.SignIn(r.Context(), req.Username, req.Password, in)
	}
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, a.SignedIn(w, g, req.Delivery))
}
