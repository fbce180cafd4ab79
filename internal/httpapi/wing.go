package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/cors"

	"github.com/tacet-dev/tacet/internal/httpapi/page"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// Routes are path → method → handler. Paths are patterns of http.ServeMux
// without a method.
type Routes map[string]map[string]http.Handler

// Wing is what one optional feature brings to the HTTP surface. Empty fields
// bring nothing.
type Wing struct {
	// Routes are below [Config.BasePath], or at paths of [OwnPaths].
	Routes Routes
	// Prefixes are paths that get every request at or below them, with any method
	// and without CORS: what proxies call, not pages.
	Prefixes map[string]http.Handler
	// Overlay puts further handlers into the routes of all other wings, and returns
	// the paths that it added.
	Overlay func(Routes) (added []string, err error)
	// Fallback gets all requests that are for no route. One wing at most has it.
	Fallback http.Handler
	// Instead are paths that Fallback serves although an overlay has a route there, if
	// that only reads: GET and nothing else.
	Instead []string

	// Problem is the row of the catalogue for an error of this wing, else nil.
	Problem func(error) *problem.Problem
	// Middleware is put around the routes, and around Fallback.
	Middleware func(http.Handler) http.Handler
	// Outer is put around everything, before a route is chosen.
	Outer func(http.Handler) http.Handler
	// RequestHeaders may be sent by pages of other origins, and ResponseHeaders may
	// be read by them (CORS).
	RequestHeaders, ResponseHeaders []string

	// Public are paths of Routes that pages of every origin may call, without
	// credentials of the browser.
	Public []string

	// Program says which program presents a bearer credential at a call of
	// administration. ok is whether the credential is one of those that this wing
	// makes, good or not; an error refuses it.
	Program func(ctx context.Context, bearer string) (by Administrator, ok bool, err error)
	// SignInWithTicket starts the session of the user whom a ticket is for, for the
	// browser that in describes, once. One wing at most has it.
	SignInWithTicket func(ctx context.Context, ticket string, in session.SignIn) (session.Grant, error)

	// SignIn offers other ways to sign in on a page, for a purpose that is gone on
	// with afterwards.
	SignIn func(Purpose, problem.Text, *page.View)
	// Purposes are the purposes of sign-ins that this wing goes on with, by
	// [Purpose.Kind].
	Purposes map[string]Continuation

	// Run is background work. It ends with the context.
	Run func(context.Context)
}

// Builder makes a wing for a surface.
type Builder func(*API) (Wing, error)

// Purpose is what somebody signs in for.
type Purpose struct {
	Kind string `json:"kind"`
	Data string `json:"data,omitempty"`
	// Form is [page.Mark] of the form that the purpose comes from, if only the
	// browser of that form may go on with it.
	Form string `json:"form,omitempty"`
}

// Continuation goes on with the purpose of a sign-in.
type Continuation struct {
	// Arrived handles the request with which a user comes back, who is now known.
	Arrived func(w http.ResponseWriter, r *http.Request, who session.Identity, from session.Origin, data string) error
	// Back is the address of the page that the purpose began at.
	Back func(data string) string
}

// Continuation returns who goes on with a purpose.
func (a *API) Continuation(kind string) (Continuation, bool) {
	for _, w := range a.wings {
		if c, ok := w.Purposes[kind]; ok {
			return c, true
		}
	}
	return Continuation{}, false
}

// LabelSignInWith is the usual label of [API.OfferSignIn].
var LabelSignInWith = problem.Text{EN: "Sign in with {}", ZH: "使用 {} 登录"}

// OfferSignIn adds the ways to sign in that wings have to a page. In label, {} is
// the name of the way.
func (a *API) OfferSignIn(purpose Purpose, label problem.Text, v *page.View) {
	for _, w := range a.wings {
		if w.SignIn != nil {
			w.SignIn(purpose, label, v)
		}
	}
}

// OwnPaths are served here beside all that is below the base path.
var OwnPaths = []string{wire.PathJWKS, "/livez", "/readyz",
	wire.PathAuthorize, wire.PathToken, wire.PathRevoke, wire.PathIntrospect, wire.PathDeviceAuthorization, wire.PathDevice,
	wire.PathUserInfo, wire.PathEndSession, wire.PathOAuthMetadata, wire.PathOpenIDMetadata}

// Names for measurements where there is no route of ours.
const (
	anyMethod     = "*"
	routeNone     = "(none)"
	routeFallback = "(gateway)"
)

// assemble makes the handler of the routes of the kernel and of all wings.
func (a *API) assemble() (http.Handler, error) {
	routes, overlaid, err := a.allRoutes()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	fallback := a.fallback()
	for path, methods := range routes {
		var allow []string
		for method, h := range methods {
			mux.Handle(method+" "+path, a.Measure(method, path, h))
			allow = append(allow, method)
		}
		if slices.Contains(overlaid, path) && fallback != nil {
			continue // a page of the application may be there: GET /login
		}
		mux.Handle(path, a.Measure(anyMethod, path, a.methodNotAllowed(allow)))
	}
	mux.Handle(a.BasePath+"/", a.Measure(anyMethod, routeNone, a.problem(problem.NotFound)))

	var own http.Handler = a.limits(a.through(mux))
	if len(a.CORSOrigins) > 0 {
		own = a.public(own, cors.New(a.corsOptions()).Handler(own))
	} else {
		own = a.public(own, own)
	}
	h := a.dispatch(mux, own, fallback)
	for _, w := range a.wings {
		if w.Outer != nil {
			h = w.Outer(h)
		}
	}
	return a.recovered(h), nil
}

// allRoutes are the routes of the kernel and of the wings, and those of them that
// only an overlay has.
func (a *API) allRoutes() (routes Routes, overlaid []string, err error) {
	routes = a.routes()
	for _, w := range a.wings {
		for path, methods := range w.Routes {
			if !strings.HasPrefix(path, a.BasePath+"/") && !slices.Contains(OwnPaths, path) {
				return nil, nil, fmt.Errorf("httpapi: the route %s must be in OwnPaths, so that no upstream is put before it", path)
			}
			if routes[path] == nil {
				routes[path] = map[string]http.Handler{}
			}
			for method, h := range methods {
				if routes[path][method] != nil {
					return nil, nil, fmt.Errorf("httpapi: two wings have the route %s %s", method, path)
				}
				routes[path][method] = h
			}
		}
	}
	for _, w := range a.wings {
		if w.Overlay == nil {
			continue
		}
		added, err := w.Overlay(routes)
		if err != nil {
			return nil, nil, err
		}
		overlaid = append(overlaid, added...)
	}
	for _, w := range a.wings {
		for _, path := range w.Instead {
			if slices.Contains(overlaid, path) && len(routes[path]) == 1 && routes[path][http.MethodGet] != nil {
				delete(routes, path)
			}
		}
	}
	return routes, overlaid, nil
}

// through is next behind the middleware of all wings.
func (a *API) through(next http.Handler) http.Handler {
	for _, w := range a.wings {
		if w.Middleware != nil {
			next = w.Middleware(next)
		}
	}
	return next
}

// fallback is what gets the requests that are for no route; nil: there is none.
func (a *API) fallback() http.Handler {
	for _, w := range a.wings {
		if w.Fallback == nil {
			continue
		}
		h := a.through(w.Fallback)
		if len(a.CORSOrigins) > 0 {
			h = cors.New(cors.Options{
				AllowedOrigins:   a.CORSOrigins,
				AllowCredentials: true,
				AllowedMethods:   []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"},
				AllowedHeaders:   []string{"*"},
				ExposedHeaders:   a.exposedHeaders(),
				MaxAge:           600,
			}).Handler(h)
		}
		return a.Measure(anyMethod, routeFallback, h)
	}
	return nil
}

// dispatch sends a request where it belongs: to the prefixes of wings, to a
// route, or to the fallback.
func (a *API) dispatch(own *http.ServeMux, native, fallback http.Handler) http.Handler {
	prefixes := map[string]http.Handler{}
	for _, w := range a.wings {
		for path, h := range w.Prefixes {
			prefixes[path] = a.Measure(anyMethod, path, a.limits(h))
		}
	}
	if fallback == nil {
		fallback = a.Measure(anyMethod, routeNone, native)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for path, h := range prefixes {
			if r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/") {
				h.ServeHTTP(w, r)
				return
			}
		}
		if _, pattern := own.Handler(r); pattern != "" {
			native.ServeHTTP(w, r)
		} else {
			fallback.ServeHTTP(w, r)
		}
	})
}

// public lets pages of every origin call the public paths of next. Origins of
// [Config.CORSOrigins], and all other paths, get to others.
func (a *API) public(next, others http.Handler) http.Handler {
	paths := []string{wire.PathJWKS}
	for _, w := range a.wings {
		paths = append(paths, w.Public...)
	}
	o := a.corsOptions()
	o.AllowedOrigins, o.AllowCredentials = []string{"*"}, false
	next = cors.New(o).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(paths, r.URL.Path) && !slices.Contains(a.CORSOrigins, r.Header.Get("Origin")) {
			next.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

func (a *API) corsOptions() cors.Options {
	o := cors.Options{
		AllowedOrigins:   a.CORSOrigins,
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   []string{"Authorization", "Content-Type", "Accept-Language", "If-None-Match", "Last-Event-ID", wire.HeaderCSRF, wire.HeaderXSRF},
		ExposedHeaders:   append([]string{"ETag", "Location"}, a.exposedHeaders()...),
		MaxAge:           600,
	}
	for _, w := range a.wings {
		o.AllowedHeaders = append(o.AllowedHeaders, w.RequestHeaders...)
	}
	return o
}

// exposedHeaders are those of every response that pages of other origins may
// read (CORS).
func (a *API) exposedHeaders() []string {
	h := []string{"Retry-After", "WWW-Authenticate", "Date"}
	for _, w := range a.wings {
		h = append(h, w.ResponseHeaders...)
	}
	return h
}
