package profiles

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Config is what the dialects share with the native surface. All fields but
// Known are required.
type Config struct {
	Sessions  *session.Service
	Directory session.Directory
	// Verify checks an access token for a request.
	Verify func(ctx context.Context, raw string) (*verify.Token, error)
	// VerifySignature checks only that this server made the access token, however
	// old it is: signing out must work with what the client has left.
	VerifySignature func(ctx context.Context, raw string) (*verify.Token, error)
	// Caller is the living session and user of a verified access token.
	Caller func(ctx context.Context, t *verify.Token) (session.Session, session.User, error)
	// Known are all permissions that exist, to spell out wildcards for
	// front-ends that look names up. Nil: only what is granted is listed.
	Known   func(ctx context.Context) []string
	Contact func(*http.Request) session.Contact
	// Binding is what the tokens of the response are bound to.
	Binding func(*http.Request) session.Binding
	// SameOrigin refuses requests that a foreign page made the browser send.
	SameOrigin func(*http.Request) error
	// Explain translates any error to words in the caller's language.
	Explain func(r *http.Request, err error) Problem
	// Language is the caller's, as explained in.
	Language func(*http.Request) string
	// Cookie makes an HttpOnly cookie; CookieName is how one of ours is called here.
	Cookie     func(name, value, path string, maxAge int) *http.Cookie
	CookieName func(name string) string
	// SetCookies and ClearCookies are for the cookies of the native surface.
	SetCookies   func(http.ResponseWriter, session.Grant)
	ClearCookies func(http.ResponseWriter)
	// BrowserSessions are the sessions whose refresh tokens the cookies of a name hold.
	BrowserSessions func(r *http.Request, cookie string) ([]rotation.SessionID, error)
	ClientID        string
}

// Errors that the interpreter adds to those of session and verify. Explain must
// know them.
var (
	ErrNoRefreshToken = errors.New("profiles: no refresh token in the request")
	ErrMediaType      = errors.New("profiles: the body is not of a type that the route takes")
	ErrMalformed      = errors.New("profiles: the body is not what the route takes")
	ErrUnreadable     = errors.New("profiles: the body could not be read to its end")
	ErrTooLarge       = errors.New("profiles: the body is too large")
)

// MissingError says which members a login lacks.
type MissingError struct{ Members []string }

func (e *MissingError) Error() string { return "profiles: members are missing or empty" }

// Surface is a Set with everything it needs to answer.
type Surface struct {
	Config
	set *Set
}

// Bind makes handlers of a Set.
func (s *Set) Bind(cfg Config) *Surface { return &Surface{cfg, s} }

// Endpoint is one route, ready to serve.
type Endpoint struct {
	Method, Path string
	Profile      string
	http.Handler
	// Mark is the member of a JSON body by which requests for this endpoint are
	// known on a path that others have too; empty: there is none.
	Mark string
}

// Endpoints are all routes, in the order of the files.
func (s *Surface) Endpoints() []Endpoint {
	var out []Endpoint
	for _, p := range s.set.Profiles {
		for _, r := range p.Routes {
			d := &dialect{Surface: s, p: p, route: r}
			out = append(out, Endpoint{r.Method, r.Path, p.Name, d, p.mark(r)})
		}
	}
	return out
}

// dialect serves one route of one profile.
type dialect struct {
	*Surface
	p     *Profile
	route *Route
}

// ServeHTTP is http.Handler.
func (d *dialect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch d.route.Operation {
	case OpLogin:
		err = d.login(w, r)
	case OpRefresh:
		err = d.refresh(w, r)
	case OpLogout:
		err = d.logout(w, r)
	case OpUser, OpConfig:
		err = d.user(w, r)
	case OpFixed:
		d.write(w, &d.route.answer, &values{language: d.Language(r)})
	}
	if err != nil {
		d.refuse(w, r, err)
	}
}

func (d *dialect) login(w http.ResponseWriter, r *http.Request) error {
	in, err := d.read(r, d.route.form)
	if err != nil {
		return err
	}
	if d.p.Refresh.inCookie() {
		// A foreign page must not sign a visitor in as somebody else.
		if err := d.SameOrigin(r); err != nil {
			return err
		}
	}
	username, password, missing := in[d.route.username], in[d.route.password], []string(nil)
	if username == "" {
		missing = append(missing, d.route.username)
	}
	if password == "" {
		missing = append(missing, d.route.password)
	}
	if missing != nil {
		return &MissingError{missing}
	}
	replaces, err := d.browserSessions(r)
	if err != nil {
		return err
	}
	g, err := d.Sessions.SignIn(r.Context(), username, password, session.SignIn{
		Client: session.Client{ID: d.ClientID}, Contact: d.Contact(r), Binding: d.binding(r, d.p), Replaces: replaces})
	if err != nil {
		return err
	}
	d.grant(w, r, g)
	return nil
}

// binding is what the tokens of a response to a client of this profile are bound to.
func (s *Surface) binding(r *http.Request, p *Profile) session.Binding {
	b := s.Binding(r)
	b.Carried, b.Lifetime, b.KeepsGrants = p.Refresh.Carried, p.Lifetime, p.KeepsGrants
	return b
}

// refresh renews. The access token, which has usually expired, is not looked at.
func (d *dialect) refresh(w http.ResponseWriter, r *http.Request) error {
	in, err := d.read(r, false)
	if err != nil {
		return err
	}
	p, err := d.presented(r, in)
	if err != nil {
		return err
	}
	p.Binding = d.binding(r, d.p)
	if d.route.user != "" {
		p.Owner = owner(in[d.route.user])
	}
	g, err := d.Sessions.Refresh(r.Context(), p)
	if err != nil {
		return err
	}
	if body := d.route.answer.body; body.uses(profileReferences...) {
		if g.User, err = d.Directory.User(r.Context(), g.Session.UserID); err != nil {
			return errors.Join(session.ErrUnavailable, err) // the token in hand still renews
		}
	}
	d.grant(w, r, g)
	return nil
}

// owner reports whether a user is the one that the client names: otherwise
// whoever has got hold of a token could be served under any name.
func owner(named string) func(userID string) bool {
	return func(userID string) bool {
		return named != "" && (named == userID || GUID(named) == GUID(userID))
	}
}

// guard stands in for the CSRF token of the native surface, which the clients of
// these dialects do not send: a call that a cookie authenticates must not come
// from a foreign page (Origin, Sec-Fetch-Site), must not be of a type that pages
// can send without the browser asking first, and the cookie is SameSite.
func (d *dialect) guard(r *http.Request) error {
	if contentType := r.Header.Get("Content-Type"); contentType != "" && !isJSON(contentType) {
		return ErrMediaType
	}
	if r.Method == http.MethodGet { // a dialect that refreshes by GET, which is not safe then
		post := *r
		post.Method, r = http.MethodPost, &post
	}
	return d.SameOrigin(r)
}

// logout ends every session of which the request holds a token, dead or alive.
func (d *dialect) logout(w http.ResponseWriter, r *http.Request) error {
	in, err := d.read(r, false)
	if err != nil {
		return err
	}
	if d.p.Refresh.inCookie() {
		if err := d.guard(r); err != nil {
			return err
		}
	}
	p, err := d.presented(r, in)
	if err == nil {
		err = d.Sessions.SignOut(r.Context(), p, false)
	}
	if err != nil && !errors.Is(err, session.ErrNotAuthentic) && !errors.Is(err, ErrNoRefreshToken) {
		return err
	}
	if err := d.endOf(r, d.credential(r)); err != nil {
		return err
	}
	switch {
	case d.p.Refresh.Cookie == DefaultCookie:
		d.ClearCookies(w)
	case d.p.Refresh.inCookie():
		http.SetCookie(w, d.Cookie(d.p.Refresh.Cookie, "", "/", -1))
	}
	d.keep(w, "", -1)
	d.write(w, &d.route.answer, &values{language: d.Language(r)})
	return nil
}

// endOf ends the session of an access token, dead or alive.
func (d *dialect) endOf(r *http.Request, access string) error {
	if access == "" {
		return nil
	}
	t, err := d.VerifySignature(r.Context(), access)
	if errors.Is(err, verify.ErrUnavailable) {
		return errors.Join(session.ErrUnavailable, err)
	}
	if err != nil {
		return nil // not one of ours
	}
	id, err := rotation.ParseSessionID(t.SessionID())
	if err != nil {
		return nil
	}
	if err := d.Sessions.End(r.Context(), id, wire.ReasonSignedOut); !errors.Is(err, session.ErrNotFound) {
		return err
	}
	return nil
}

// user answers who is signed in. A credential that is presented must be good,
// also where none is needed: a client whose token has expired learns so.
func (d *dialect) user(w http.ResponseWriter, r *http.Request) error {
	raw := d.credential(r)
	if raw == "" && d.route.Operation == OpConfig {
		d.write(w, d.route.anonymous, &values{language: d.Language(r)})
		return nil
	}
	if raw == "" {
		return verify.ErrNoCredential
	}
	t, err := d.Verify(r.Context(), raw)
	if err != nil {
		return err
	}
	sess, user, err := d.Caller(r.Context(), t)
	if err != nil {
		return err
	}
	d.write(w, &d.route.answer, &values{
		user: user, sess: sess, known: d.known(r), language: d.Language(r),
		expires: t.ExpiresAt(), ends: d.Sessions.ExpiresAt(sess),
	})
	return nil
}

func (d *dialect) known(r *http.Request) func() []string {
	if d.Known == nil {
		return nil
	}
	return func() []string { return d.Known(r.Context()) }
}

// grant answers a sign-in or a renewal.
func (d *dialect) grant(w http.ResponseWriter, r *http.Request, g session.Grant) {
	v := d.granted(&g)
	if g.RefreshToken != "" {
		maxAge := 0 // until the browser is closed
		if !g.ExpiresAt.IsZero() {
			maxAge = max(1, int(g.ExpiresAt.Sub(d.Sessions.Now())/time.Second))
		}
		switch {
		case d.p.Refresh.Cookie == DefaultCookie:
			d.SetCookies(w, g)
		case d.p.Refresh.inCookie():
			http.SetCookie(w, d.Cookie(d.p.Refresh.Cookie, g.RefreshToken, "/", maxAge))
		}
		d.keep(w, g.RefreshToken, maxAge)
	} else {
		v.keptName = d.keptName(r, g)
	}
	v.known, v.language = d.known(r), d.Language(r)
	d.write(w, &d.route.answer, v)
}

func (s *Surface) granted(g *session.Grant) *values {
	return &values{grant: g, user: g.User, sess: g.Session, ends: g.ExpiresAt,
		expires: s.Sessions.Now().Add(time.Duration(g.ExpiresIn) * time.Second)}
}

func (d *dialect) cookieName() string {
	if d.p.Refresh.Cookie == DefaultCookie {
		return d.CookieName(wire.CookieRefresh)
	}
	return d.p.Refresh.Cookie
}
