package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// CookieName is the name of one of our cookies: under TLS no other host can set it.
func (a *API) CookieName(name string) string {
	if a.Secure {
		return wire.CookieSecurePrefix + name
	}
	return name
}

// CookieValues are the values of all cookies of a name. Where the name has no prefix,
// another host of the domain can have set one.
func CookieValues(r *http.Request, name string) []string {
	var values []string
	for _, c := range r.CookiesNamed(name) {
		values = append(values, c.Value)
	}
	return values
}

func (a *API) refreshCookies(r *http.Request) []string {
	return CookieValues(r, a.CookieName(wire.CookieRefresh))
}

// BrowserSessions are the sessions whose refresh tokens the cookies of this name hold,
// living or not. An error is an outage.
func (a *API) BrowserSessions(r *http.Request, name string) ([]rotation.SessionID, error) {
	tokens, err := a.Sessions.OpenAll(r.Context(), CookieValues(r, name))
	if errors.Is(err, session.ErrNotAuthentic) {
		return nil, nil
	}
	var ids []rotation.SessionID
	for _, t := range tokens {
		ids = append(ids, t.Session)
	}
	return ids, err
}

// Cookie makes a cookie of this host.
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
	http.SetCookie(w, a.Cookie(a.CookieName(wire.CookieRefresh), g.RefreshToken, "/", true, maxAge))
	http.SetCookie(w, a.Cookie(a.CookieName(wire.CookieCSRF), a.csrf.mint(g.Session.ID, g.Generation), "/", false, maxAge))
}

// ClearCookies takes back what SetCookies has delivered.
func (a *API) ClearCookies(w http.ResponseWriter) {
	http.SetCookie(w, a.Cookie(a.CookieName(wire.CookieRefresh), "", "/", true, -1))
	http.SetCookie(w, a.Cookie(a.CookieName(wire.CookieCSRF), "", "/", false, -1))
}
