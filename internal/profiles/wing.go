package profiles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
)

// Settings are the settings of this wing.
type Settings struct {
	// Names are those of built-in profiles, or paths of files.
	Names []string `name:"profile" help:"Also speak the dialects of front-ends that exist, so that they need no change: names as tacet profile list has them, or paths of files of your own." placeholder:"NAME"`
	// TTL is the lifetime of access tokens in all dialects; 0: as the profile says, or else AccessTTL.
	TTL time.Duration `name:"profile-ttl" help:"Lifetime of an access token in the dialects of --profile, instead of what the profile says." placeholder:"TIME"`
}

// binding is the set of profiles of one server.
type binding struct {
	*httpapi.API
}

// Wing is the dialects of a set beside the native surface. known are all permissions
// that exist; nil: unknown.
func Wing(set *Set, known func(context.Context) []string) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		b := binding{api}
		s := set.Bind(Config{
			Sessions:        b.Sessions,
			Directory:       b.Directory,
			Verify:          b.Verifier.Verify,
			VerifySignature: b.Verifier.VerifySignature,
			Caller:          b.CallerOf,
			Known:           known,
			Contact:         b.Contact,
			Binding:         httpapi.Encrypted,
			SameOrigin:      b.SameOrigin,
			Explain:         b.explain,
			Language:        func(r *http.Request) string { return problem.Name(problem.Language(r)) },
			Cookie: func(name, value, path string, maxAge int) *http.Cookie {
				return b.Cookie(name, value, path, true, maxAge)
			},
			CookieName:   b.CookieName,
			SetCookies:   func(w http.ResponseWriter, g session.Grant) { b.SetCookies(w, g, b.Sessions.Now()) },
			ClearCookies: b.ClearCookies, BrowserSessions: b.BrowserSessions,
			ClientID: b.ClientID,
		})
		return httpapi.Wing{
			Overlay:         s.overlay,
			Outer:           s.Credentials,
			Middleware:      s.Renewals,
			RequestHeaders:  set.RequestHeaders(),
			ResponseHeaders: set.ResponseHeaders(),
		}, nil
	}
}

// overlay puts the routes of the dialects beside our own, and returns the
// paths that only they have. Where a path is shared, a member of the body tells
// for whom a request is.
func (s *Surface) overlay(routes httpapi.Routes) (theirs []string, err error) {
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
var nativeMembers = map[string]bool{"username": true, "password": true, "delivery": true, "refresh_token": true, "everywhere": true, "session": true}

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
func (b binding) explain(r *http.Request, err error) Problem {
	p, kind := profileProblem(err)
	if p == nil {
		p = b.API.Problem(err)
		kind = p.Code
		if k, ok := finerKinds[p]; ok {
			kind = k
		}
	}
	b.LogFailure(r, p, err)
	lang := problem.Language(r)
	out := Problem{Kind: kind, Status: p.Status, Code: p.Code,
		Title: p.Title.In(lang), Detail: fmt.Sprintf(p.Detail.In(lang), p.Args...), Header: http.Header{}}
	if p.Header != nil {
		p.Header(out.Header)
	}
	var missing *MissingError
	if errors.As(err, &missing) {
		out.Missing = missing.Members
	}
	return out
}

var finerKinds = map[*problem.Problem]string{
	httpapi.ErrNoRefreshToken: KindMissing,
	httpapi.ErrNotAuthentic:   KindNotAuthentic,
	httpapi.ErrExpired:        KindExpired,
	httpapi.ErrEnded:          KindEnded,
	httpapi.ErrReused:         KindReused,
	httpapi.ErrForeignUser:    KindForeignUser,
	httpapi.ErrGrantsChanged:  KindGrants,
}

// profileProblem knows the errors that only dialects have.
func profileProblem(err error) (*problem.Problem, string) {
	switch {
	case errors.Is(err, ErrNoRefreshToken):
		return httpapi.ErrNoRefreshToken, KindMissing
	case errors.Is(err, ErrMediaType):
		return problem.MediaType, KindMediaType
	case errors.Is(err, ErrMalformed):
		return problem.MalformedJSON, KindRequest
	case errors.Is(err, ErrUnreadable):
		return problem.BodyUnreadable, KindRequest
	case errors.Is(err, ErrTooLarge):
		return problem.TooLarge, KindTooLarge
	case errors.As(err, new(*MissingError)):
		return httpapi.ErrNoCredentials, KindRequest
	case errors.Is(err, verify.ErrStaleGrants):
		return httpapi.ErrGrantsChanged, KindGrants
	case errors.Is(err, verify.ErrNoCredential), errors.Is(err, verify.ErrInvalidToken):
		return httpapi.ErrAccessToken, KindToken
	case errors.Is(err, verify.ErrUnavailable):
		return problem.Unavailable, KindUnavailable
	}
	return nil, ""
}
