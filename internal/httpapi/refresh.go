package httpapi

import (
	"net/http"

	"github.com/tacet-dev/tacet/wire"
)

// refresh is POST /auth/refresh. A refusal clears no cookie: by the time it
// arrives the browser may hold the fresh one of another tab or of a new sign-in.
func (a *API) refresh(w http.ResponseWriter, r *http.Request) error {
	var req wire.RefreshRequest
	if err := ReadJSON(r, &req); err != nil {
		return err
	}
	p := a.presentedToken(r, req.RefreshToken, req.Session)
	t, err := a.open(r, p)
	if err != nil {
		return err
	}
	g, err := a.Sessions.Refresh(r.Context(), t, a.Contact(r))
	if err != nil {
		return err
	}
	if g.AccessToken, err = a.Bound(r, g.AccessToken); err != nil {
		return err
	}
	return a.answer(w, g, p.delivery, false)
}

// confirm is POST /auth/confirm: the client has stored the token.
func (a *API) confirm(w http.ResponseWriter, r *http.Request) error {
	var req wire.RefreshRequest
	if err := ReadJSON(r, &req); err != nil {
		return err
	}
	t, err := a.open(r, a.presentedToken(r, req.RefreshToken, req.Session))
	if err != nil {
		return err
	}
	if err := a.Sessions.Confirm(r.Context(), t, a.Contact(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
