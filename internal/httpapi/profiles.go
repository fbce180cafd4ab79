package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/tacet-dev/tacet/internal/httpapi/profiles"
	"github.com/tacet-dev/tacet/verify"
)

// bindProfiles gives the dialects what they share with the native surface.
func (a *api) bindProfiles() *profiles.Surface {
	if a.Profiles == nil {
		a.Profiles = &profiles.Set{}
	}
	return a.Profiles.Bind(profiles.Config{
		Sessions:   a.Sessions,
		Directory:  a.Directory,
		Verify:     a.Verify,
		Issued:     a.Issued,
		Caller:     a.callerOf,
		Known:      a.Known,
		Contact:    a.contact,
		SameOrigin: a.sameOrigin,
		Explain:    a.explain,
		Language:   func(r *http.Request) string { return contentLanguage[callerLanguage(r)] },
		Cookie: func(name, value, path string, maxAge int) *http.Cookie {
			return a.cookie(name, value, path, true, maxAge)
		},
		DefaultCookie: a.refreshCookieName(),
		ClientID:      a.ClientID,
	})
}

// addProfiles puts the routes of the dialects beside our own, and returns the
// paths that only they have. Where a path is shared, a member of the body tells
// for whom a request is.
func (a *api) addProfiles(routes map[string]map[string]http.Handler, s *profiles.Surface) (theirs []string, err error) {
	shared := map[string]*either{}
	for _, e := range s.Endpoints() {
		methods := routes[e.Path]
		if methods == nil {
			methods = map[string]http.Handler{}
			routes[e.Path] = methods
			theirs = append(theirs, e.Path)
		}
		key := e.Method + " " + e.Path
		switch first := methods[e.Method]; {
		case first == nil && !slices.Contains(theirs, e.Path):
			return nil, fmt.Errorf("profile %s: the path %s is one of ours: set base-path to another path", e.Profile, e.Path)
		case first == nil:
			// Requests without a mark go to the first, who answers what is wrong.
			shared[key] = &either{choices: []choice{{e.Mark, e.Handler}}, other: e.Handler}
		case shared[key] == nil && (e.Mark == "" || nativeMembers[e.Mark]):
			return nil, fmt.Errorf("profile %s: %s is one of our own calls, and nothing in the body tells the two apart: set base-path to another path", e.Profile, key)
		case shared[key] == nil:
			shared[key] = &either{choices: []choice{{e.Mark, e.Handler}}, other: first}
		default:
			shared[key].choices = append(shared[key].choices, choice{e.Mark, e.Handler})
		}
		methods[e.Method] = shared[key]
	}
	return theirs, nil
}

// nativeMembers are those of the bodies of our own calls.
var nativeMembers = map[string]bool{"username": true, "password": true, "delivery": true, "refresh_token": true, "everywhere": true}

// either serves a path that several dialects have.
type either struct {
	choices []choice
	other   http.Handler
}

type choice struct {
	mark string
	http.Handler
}

// ServeHTTP is http.Handler.
func (e *either) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(e.choices) == 1 && e.choices[0].Handler == e.other {
		e.other.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body) // of limited length
	rest := io.Reader(http.NoBody)
	if err != nil {
		rest = failing{err}
	}
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), rest))
	e.choose(body).ServeHTTP(w, r)
}

// choose goes by the members of a JSON object. A body that is none will be
// refused by whoever gets it, so a name that occurs in it is good enough.
func (e *either) choose(body []byte) http.Handler {
	var members map[string]json.RawMessage
	broken := json.Unmarshal(body, &members) != nil
	for _, c := range e.choices {
		if _, ok := members[c.mark]; ok || broken && c.mark != "" && bytes.Contains(body, []byte(`"`+c.mark+`"`)) {
			return c.Handler
		}
	}
	return e.other
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// explain translates an error for a dialect; kinds are finer than codes where
// the native surface tells the difference in words only.
func (a *api) explain(r *http.Request, err error) profiles.Problem {
	p, kind := profileProblem(err)
	if p == nil {
		p = translate(err)
		kind = p.code
		if k, ok := finerKinds[p]; ok {
			kind = k
		}
	}
	a.logFailure(r, p, err)
	lang := callerLanguage(r)
	out := profiles.Problem{Kind: kind, Status: p.status, Code: p.code,
		Title: p.title.in(lang), Detail: fmt.Sprintf(p.detail.in(lang), p.args...), Header: http.Header{}}
	if p.header != nil {
		p.header(out.Header)
	}
	var missing *profiles.MissingError
	if errors.As(err, &missing) {
		out.Missing = missing.Members
	}
	return out
}

var finerKinds = map[*problem]string{
	errNoRefreshToken: profiles.KindMissing,
	errNotAuthentic:   profiles.KindNotAuthentic,
	errExpired:        profiles.KindExpired,
	errEnded:          profiles.KindEnded,
	errReused:         profiles.KindReused,
	errForeignUser:    profiles.KindForeignUser,
	errGrantsChanged:  profiles.KindGrants,
}

// profileProblem knows the errors that only dialects have.
func profileProblem(err error) (*problem, string) {
	switch {
	case errors.Is(err, profiles.ErrNoRefreshToken):
		return errNoRefreshToken, profiles.KindMissing
	case errors.Is(err, profiles.ErrForeignUser):
		return errForeignUser, profiles.KindForeignUser
	case errors.Is(err, profiles.ErrMediaType):
		return errMediaType, profiles.KindMediaType
	case errors.Is(err, profiles.ErrMalformed):
		return errMalformedJSON, profiles.KindRequest
	case errors.Is(err, profiles.ErrUnreadable):
		return errBodyUnreadable, profiles.KindRequest
	case errors.Is(err, profiles.ErrTooLarge):
		return errTooLarge, profiles.KindTooLarge
	case errors.As(err, new(*profiles.MissingError)):
		return errNoCredentials, profiles.KindRequest
	case errors.Is(err, verify.ErrStaleGrants):
		return errGrantsChanged, profiles.KindGrants
	case errors.Is(err, verify.ErrNoCredential), errors.Is(err, verify.ErrInvalidToken):
		return errAccessToken, profiles.KindToken
	case errors.Is(err, verify.ErrUnavailable):
		return errUnavailable, profiles.KindUnavailable
	}
	return nil, ""
}
