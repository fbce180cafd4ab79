package httpapi

import (
	"errors"
	"net/http"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// logout is POST /auth/logout. It succeeds with dead tokens and with none.
func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	var req wire.LogoutRequest
	if err := ReadJSON(r, &req); err != nil {
		return err
	}
	err := a.present(r, req.RefreshToken, req.Session, func(p session.Presentation) error {
		return a.Sessions.SignOut(r.Context(), p, req.Everywhere)
	})
	byCookie := deliveryOf(req.RefreshToken) == wire.DeliveryCookie
	if errors.Is(err, session.ErrNotAuthentic) || errors.Is(err, ErrNoRefreshToken) {
		// Nothing of ours to end; a foreign page could clear the cookies at most.
		if err = nil; byCookie {
			err = a.SameOrigin(r)
		}
	}
	if err != nil {
		return err
	}
	if byCookie {
		a.ClearCookies(w)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
