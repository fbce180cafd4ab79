package profiles

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
)

// maxFormMemory is as much as a body may have: nothing goes to disk.
const maxFormMemory = 64 << 10

// read takes the members of the body that are texts, and those of objects in it, as
// "object.member". Everything else in it is
// ignored, as clients of other versions send more. The body must be a JSON
// object, or also a form where the route says so; or there is none.
func (d *dialect) read(r *http.Request, form bool) (map[string]string, error) {
	contentType := r.Header.Get("Content-Type")
	mt, _, _ := mime.ParseMediaType(contentType)
	switch {
	case form && mt == "application/x-www-form-urlencoded":
		return readForm(r, r.ParseForm())
	case form && mt == "multipart/form-data":
		return readForm(r, r.ParseMultipartForm(maxFormMemory))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err, ErrUnreadable)
	}
	// With a cookie, also an empty body must not say that it is a form: that is
	// what pages can send without being asked.
	if !isJSON(contentType) && (len(body) > 0 || contentType != "" && d.p.Refresh.inCookie()) {
		return nil, ErrMediaType
	}
	if len(body) == 0 {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return nil, ErrMalformed
	}
	out := make(map[string]string, len(members))
	for name, raw := range members {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			out[name] = s
		}
		var inner map[string]json.RawMessage
		if json.Unmarshal(raw, &inner) == nil {
			for innerName, raw := range inner {
				if json.Unmarshal(raw, &s) == nil {
					out[name+"."+innerName] = s
				}
			}
		}
	}
	return out, nil
}

func isJSON(contentType string) bool {
	mt, params, err := mime.ParseMediaType(contentType)
	return err == nil && mt == "application/json" && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8"))
}

func readForm(r *http.Request, err error) (map[string]string, error) {
	if r.MultipartForm != nil {
		defer r.MultipartForm.RemoveAll()
	}
	if err != nil {
		return nil, bodyError(err, ErrMalformed)
	}
	out := make(map[string]string, len(r.PostForm))
	for name, v := range r.PostForm {
		if len(v) > 0 {
			out[name] = v[0]
		}
	}
	return out, nil
}

func bodyError(err, other error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return ErrTooLarge
	}
	return other
}

// presented is what a request presents: the refresh token where the dialect has it, and
// what the browser keeps beside it. The error is ErrNoRefreshToken, or one of
// session.Service.OpenAll.
func (d *dialect) presented(r *http.Request, in map[string]string) (session.Presentation, error) {
	p := session.Presentation{Contact: d.Contact(r)}
	var raw []string
	switch t := d.p.Refresh; {
	case t.Body != "":
		raw = []string{in[t.Body]}
	case t.Query != "":
		raw = []string{r.URL.Query().Get(t.Query)}
	case t.inCookie():
		raw, p.Forged = httpapi.CookieValues(r, d.cookieName()), d.guard(r)
	}
	if !slices.ContainsFunc(raw, func(s string) bool { return s != "" }) {
		return p, ErrNoRefreshToken
	}
	if t, kept := d.resolve(r, raw[0]); kept {
		p.Token, p.Forged = t, d.guard(r)
		return p, nil
	}
	tokens, err := d.Sessions.OpenAll(r.Context(), raw)
	if err != nil {
		return p, err
	}
	p.Token = d.ofPage(r, tokens)
	if d.keeps() && d.guard(r) == nil {
		p.Kept, _ = d.keptToken(r, p.Token.Session)
	}
	return p, nil
}

// browserSessions are the sessions that a browser has of this dialect, for a sign-in
// that replaces them; none, if a foreign page may have made the browser send it.
func (d *dialect) browserSessions(r *http.Request) ([]rotation.SessionID, error) {
	if d.SameOrigin(r) != nil {
		return nil, nil
	}
	if d.keeps() {
		return d.BrowserSessions(r, d.CookieName(keptCookie))
	}
	return d.BrowserSessions(r, d.cookieName())
}

// ofPage is that of several tokens whose session the page has an access token of,
// however old; the first, if it has none.
func (d *dialect) ofPage(r *http.Request, tokens []rotation.Token) rotation.Token {
	if len(tokens) > 1 {
		if access, err := d.VerifySignature(r.Context(), d.credential(r)); err == nil {
			for _, t := range tokens {
				if t.Session.String() == access.SessionID() {
					return t
				}
			}
		}
	}
	return tokens[0]
}

// credential is the access token of a request, or empty.
func (d *dialect) credential(r *http.Request) string { return credential(r, d.p.Credential) }

// credential: "null" and "undefined", which front-ends send before they have a
// token, are none.
func credential(r *http.Request, header string) string {
	if header == "Authorization" {
		raw, err := verify.Bearer(r.Header)
		if err != nil {
			return ""
		}
		return raw
	}
	return bare(r, header)
}

// bare is the access token that stands alone in a header, or behind "Bearer".
func bare(r *http.Request, header string) string {
	raw := strings.TrimSpace(r.Header.Get(header))
	if scheme, token, ok := strings.Cut(raw, " "); ok && strings.EqualFold(scheme, "Bearer") {
		raw = strings.TrimSpace(token)
	}
	if raw == "null" || raw == "undefined" || strings.Contains(raw, " ") { // of another scheme
		return ""
	}
	return raw
}
