package profiles

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// A slow duplicate of a renewal is answered without a refresh token, because the
// browser holds a newer one already (PROTOCOL.md). Clients of the dialects whose
// token travels in the body store whatever the answer has, or lacks, and would
// lose the newer one that way: two tabs are enough. Hence each new token is also
// kept in an HttpOnly cookie, and the slow
// duplicate is given a name for it instead of a token. A client that comes back
// with the name renews with what its cookie jar holds, the newest. The name is no
// secret: it is worth nothing without the cookie, and to a foreign page nothing
// with it (guard). Without the cookie in the request there is no name either, and
// the member is left out.

// keptPrefix begins such a name; the id of the session follows.
const keptPrefix = "kept-in-cookie."

const keptCookie = "tacet_kept"

func (d *dialect) keeps() bool { return d.p.Refresh.Body != "" || d.p.Refresh.Query != "" }

// keep puts a new refresh token into the cookie beside the body.
func (d *dialect) keep(w http.ResponseWriter, value string, maxAge int) {
	if d.p.routeOf(OpRefresh) != nil && d.keeps() {
		http.SetCookie(w, d.Cookie(d.CookieName(keptCookie), value, "/", maxAge))
	}
}

// keptName is what a slow duplicate gets for a token; empty: nothing.
func (d *dialect) keptName(r *http.Request, g session.Grant) string {
	if _, ok := d.keptToken(r, g.Session.ID); ok && d.keeps() {
		return keptPrefix + g.Session.ID.String()
	}
	return ""
}

// resolve finds the kept token of a name, and says whether it did.
func (d *dialect) resolve(r *http.Request, presented string) (t rotation.Token, kept bool) {
	name, ok := strings.CutPrefix(presented, keptPrefix)
	if !ok || !d.keeps() {
		return rotation.Token{}, false
	}
	id, err := rotation.ParseSessionID(name)
	if err != nil {
		return rotation.Token{}, false
	}
	return d.keptToken(r, id)
}

// keptToken is the token in the cookie, if it is one of this session: the cookie
// of another sign-in must not take the place of the caller's.
func (d *dialect) keptToken(r *http.Request, id rotation.SessionID) (rotation.Token, bool) {
	tokens, err := d.Sessions.OpenAll(r.Context(), httpapi.CookieValues(r, d.CookieName(keptCookie)))
	if err != nil {
		return rotation.Token{}, false
	}
	i := slices.IndexFunc(tokens, func(t rotation.Token) bool { return t.Session == id })
	if i < 0 {
		return rotation.Token{}, false
	}
	return tokens[i], true
}
