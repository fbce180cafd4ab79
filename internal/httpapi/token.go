package httpapi

import (
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// presented is a refresh token as it came in.
type presented struct {
	raw      string
	delivery wire.Delivery
}

// presentedToken finds the refresh token of a request: in the body if it is
// there, else in the cookie. raw is empty if there is none.
func (a *API) presentedToken(r *http.Request, fromBody string) presented {
	if fromBody != "" {
		return presented{fromBody, wire.DeliveryBody}
	}
	if c, err := r.Cookie(a.RefreshCookieName()); err == nil {
		return presented{c.Value, wire.DeliveryCookie}
	}
	return presented{"", wire.DeliveryCookie}
}

// open authenticates a presented token and checks that the page meant to send
// it, before anything is read or consumed.
func (a *API) open(r *http.Request, p presented) (rotation.Token, error) {
	if p.raw == "" {
		return rotation.Token{}, ErrNoRefreshToken
	}
	t, err := a.Sessions.Open(r.Context(), p.raw)
	if err != nil {
		return rotation.Token{}, err
	}
	if p.delivery == wire.DeliveryCookie {
		if err := a.checkCSRF(r, t.Session); err != nil {
			return rotation.Token{}, err
		}
	}
	return t, nil
}

// answer writes the tokens of a sign-in (withUser) or a renewal.
func (a *API) answer(w http.ResponseWriter, g session.Grant, d wire.Delivery, withUser bool) error {
	resp := wire.TokenResponse{
		AccessToken: g.AccessToken,
		TokenType:   "Bearer",
		ExpiresIn:   g.ExpiresIn,
		Session:     tokenSession(g.Session.ID, g.ExpiresAt),
	}
	if withUser {
		resp.User = &g.User.User
	}
	if g.RefreshToken != "" {
		if d == wire.DeliveryBody {
			resp.RefreshToken = g.RefreshToken
		} else {
			a.SetCookies(w, g, a.Sessions.Clock())
		}
	}
	return WriteJSON(w, http.StatusOK, resp)
}

func tokenSession(id rotation.SessionID, expires time.Time) wire.TokenSession {
	return wire.TokenSession{ID: id.String(), ExpiresAt: Timestamp(expires)}
}

// Timestamp is RFC 3339 in UTC, or empty for the zero time.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
