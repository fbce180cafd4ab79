package httpapi

import (
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/wire"
)

// routes is the route table of the kernel.
func (a *API) routes() Routes {
	b := a.BasePath
	type m = map[string]http.Handler
	routes := Routes{
		b + wire.PathLogin:              {"POST": a.Handle(a.login)},
		b + wire.PathRefresh:            {"POST": a.Handle(a.refresh)},
		b + wire.PathConfirm:            {"POST": a.Handle(a.confirm)},
		b + wire.PathLogout:             {"POST": a.Handle(a.logout)},
		b + wire.PathMe:                 {"GET": a.Protect(a.Handle(a.me))},
		b + wire.PathSessions:           {"GET": a.Protect(a.Handle(a.sessions))},
		b + wire.PathSessions + "/{id}": {"DELETE": a.Protect(a.Handle(a.endSession))},
		b + wire.PathEvents:             {"GET": a.eventsRoute()},
		b + wire.PathOpenAPI:            {"GET": a.Handle(a.openapi)},
		wire.PathJWKS:                   {"GET": a.Handle(a.jwks)},
		"/livez":                        {"GET": a.Handle(a.livez)},
		"/readyz":                       {"GET": a.Handle(a.readyz)},
	}
	if a.FeedToken != "" {
		routes[b+wire.PathFeed] = m{"GET": a.Handle(a.feed)}
	}
	return routes
}

func (a *API) problem(p *problem.Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.Fail(w, r, p) })
}

func (a *API) methodNotAllowed(allow []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		a.Fail(w, r, problem.Method)
	})
}

func (a *API) limits(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Cache-Control"] = noStore
		h["X-Content-Type-Options"] = noSniff
		r.Body = http.MaxBytesReader(w, r.Body, problem.MaxBody)
		next.ServeHTTP(w, r)
	})
}

var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

func (a *API) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				a.Logger.Error("a request made the server panic; this is a bug, please report it", "method", r.Method, "path", r.URL.Path, "panic", v)
				a.Fail(w, r, problem.Server)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
