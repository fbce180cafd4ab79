package httpapi

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// refresh is POST /auth/refresh. A refusal clears no cookie: by the time it
// arrives the browser may hold the fresh one of another tab or of a new sign-in.
func (a *api) refresh(w http.ResponseWriter, r *http.Request) error {
	var req wire.RefreshRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	p := a.presentedToken(r, req.RefreshToken)
	t, err := a.open(r, p)
	if err != nil {
		return err
	}
	g, err := a.renew(r, t)
	if err != nil {
		return err
	}
	return a.answer(w, g, p.delivery, false)
}

// renew answers a presentation outside the OAuth surface, where nobody shows the
// secret that belongs to the tokens of some clients.
func (a *api) renew(r *http.Request, t rotation.Token) (session.Grant, error) {
	g, err := a.Sessions.Refresh(r.Context(), t, a.contact(r))
	if err != nil || a.OAuth == nil {
		return g, err
	}
	ok, err := a.OAuth.Renewable(r.Context(), g.Session.ClientID)
	if err == nil && !ok {
		err = errConfidential
	}
	return g, err
}

var errConfidential = invalidGrant(text{"The refresh token belongs to a client with a secret; renew it at /oauth/token.", "此刷新令牌属于持有密钥的客户端，请在 /oauth/token 续期。"})

// confirm is POST /auth/confirm: the client has stored the token.
func (a *api) confirm(w http.ResponseWriter, r *http.Request) error {
	var req wire.RefreshRequest
	if err := readJSON(r, &req); err != nil {
		return err
	}
	t, err := a.open(r, a.presentedToken(r, req.RefreshToken))
	if err != nil {
		return err
	}
	if err := a.Sessions.Confirm(r.Context(), t, a.contact(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
