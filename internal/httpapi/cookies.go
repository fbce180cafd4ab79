package httpapi

import (
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

func (a *API) RefreshCookieName() string {
	if a.Secure {
		return wire.CookieSecurePrefix + wire.CookieRefresh
	}
	return wire.CookieRefresh
}

func (a *API) Cookie(name, value, path string, httpOnly bool, maxAge int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: path, MaxAge: maxAge,
		Secure: a.Secure, HttpOnly: httpOnly, SameSite: a.SameSite}
}

// SetCookies delivers a refresh token and the CSRF token that goes with it.
// They live as long as the session would without another renewal.
func (a *API) SetCookies(w http.ResponseWriter, g session.Grant, now time.Time) {
	maxAge := 0 // until the browser is closed
	if !g.ExpiresAt.IsZero() {
		maxAge = max(1, int(g.ExpiresAt.Sub(now)/time.Second))
	}
	http.SetCookie(w, a.Cookie(a.RefreshCookieName(), g.RefreshToken, a.BasePath, true, maxAge))
	http.SetCookie(w, a.Cookie(wire.CookieCSRF, a.csrf.mint(g.Session.ID, g.Generation), "/", false, maxAge))
}

func (a *API) clearCookies(w http.ResponseWriter) {
	http.SetCookie(w, a.Cookie(a.RefreshCookieName(), "", a.BasePath, true, -1))
	http.SetCookie(w, a.Cookie(wire.CookieCSRF, "", "/", false, -1))
}
