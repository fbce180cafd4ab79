package httpapi

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// refresh is POST /auth/refresh. A refusal clears no cookie: by the time it
// arrives the browser may hold the fresh one of another tab or of a new sign-in.
func (a *API) refresh(w http.ResponseWriter, r *http.Request) error {
	var req wire.RefreshRequest
	if err := ReadJSON(r, &req); err != nil {
		return err
	}
	return a.present(r, req.RefreshToken, req.Session, func(p session.Presentation) error {
		g, err := a.Sessions.Refresh(r.Context(), p)
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, a.Response(w, g, deliveryOf(req.RefreshToken)))
	})
}

// confirm is POST /auth/confirm: the client has stored the token.
func (a *API) confirm(w http.ResponseWriter, r *http.Request) error {
	var req wire.RefreshRequest
	if err := ReadJSON(r, &req); err != nil {
		return err
	}
	err := a.present(r, req.RefreshToken, req.Session, func(p session.Presentation) error {
		return a.Sessions.Confirm(r.Context(), p)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
