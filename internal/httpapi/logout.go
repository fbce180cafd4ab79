package httpapi

import (
	"errors"
	"net/http"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// logout is POST /auth/logout. It succeeds with dead tokens and with none.
func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	var req wire.LogoutRequest
	if err := ReadJSON(r, &req); err != nil {
		return err
	}
	p := a.presentedToken(r, req.RefreshToken, req.Session)
	t, err := a.open(r, p)
	switch {
	case errors.Is(err, session.ErrNotAuthentic), errors.Is(err, ErrNoRefreshToken):
		// Nothing of ours to end; a foreign page could clear the cookies at most.
		if p.delivery == wire.DeliveryCookie {
			if err := a.SameOrigin(r); err != nil {
				return err
			}
		}
	case err != nil:
		return err
	default:
		if err := a.signOut(r, t, req.Everywhere); err != nil {
			return err
		}
	}
	if p.delivery == wire.DeliveryCookie {
		a.ClearCookies(w)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) signOut(r *http.Request, t rotation.Token, everywhere bool) error {
	ctx := r.Context()
	if everywhere {
		// Only a living session may speak for the user's other ones.
		sess, err := a.Sessions.Living(ctx, t.Session)
		var refused *session.Refusal
		switch {
		case err == nil:
			return a.Sessions.EndAll(ctx, sess.UserID, wire.ReasonSignedOut, rotation.SessionID{})
		case !errors.As(err, &refused):
			return err
		}
	}
	err := a.Sessions.End(ctx, t.Session, wire.ReasonSignedOut)
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return err
}
