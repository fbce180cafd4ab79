package httpapi

import (
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

func (a *api) refreshCookieName() string {
	if a.Secure {
		return wire.CookieSecurePrefix + wire.CookieRefresh
	}
	return wire.CookieRefresh
}

func (a *api) cookie(name, value, path string, httpOnly bool, maxAge int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: path, MaxAge: maxAge,
		Secure: a.Secure, HttpOnly: httpOnly, SameSite: a.SameSite}
}

// setCookies delivers a refresh token and the CSRF token that goes with it.
// They live as long as the session would without another renewal.
func (a *api) setCookies(w http.ResponseWriter, g session.Grant, now time.Time) {
	maxAge := 0 // until the browser is closed
	if !g.ExpiresAt.IsZero() {
		maxAge = max(1, int(g.ExpiresAt.Sub(now)/time.Second))
	}
	http.SetCookie(w, a.cookie(a.refreshCookieName(), g.RefreshToken, a.BasePath, true, maxAge))
	http.SetCookie(w, a.cookie(wire.CookieCSRF, a.csrf.mint(g.Session.ID, g.Generation), "/", false, maxAge))
}

func (a *api) clearCookies(w http.ResponseWriter) {
	http.SetCookie(w, a.cookie(a.refreshCookieName(), "", a.BasePath, true, -1))
	http.SetCookie(w, a.cookie(wire.CookieCSRF, "", "/", false, -1))
}
