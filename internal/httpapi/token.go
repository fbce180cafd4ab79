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
	raw      []string // one from the body, or what the cookies hold
	delivery wire.Delivery
	session  string // the id of the session that the caller means; empty: it does not say
}

// presentedToken finds the refresh token of a request: in the body if it is
// there, else in the cookies.
func (a *API) presentedToken(r *http.Request, fromBody, session string) presented {
	if fromBody != "" {
		return presented{[]string{fromBody}, wire.DeliveryBody, session}
	}
	return presented{a.refreshCookies(r), wire.DeliveryCookie, session}
}

// open authenticates a presented token and checks that the page meant to send
// it, before anything is read or consumed.
func (a *API) open(r *http.Request, p presented) (rotation.Token, error) {
	if len(p.raw) == 0 {
		return rotation.Token{}, ErrNoRefreshToken
	}
	tokens, err := a.Sessions.OpenAll(r.Context(), p.raw)
	if err != nil {
		return rotation.Token{}, err
	}
	t := tokens[0]
	if p.delivery == wire.DeliveryCookie {
		if t, err = a.tokenOfPage(r, tokens); err != nil {
			return rotation.Token{}, err
		}
	}
	if p.session != "" && p.session != t.Session.String() {
		return rotation.Token{}, errOtherSession
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
