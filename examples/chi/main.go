// Command chi is an API on chi. Its middleware is that of net/http, so
// v.Middleware, v.Optional and v.Require(…) go straight into Use and With: no
// adapter is needed.
package main

import (
	"net"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/tacet-dev/tacet/examples/internal/handlers"
	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/verify"
)

func main() { resource.Main(serve) }

func serve(ln net.Listener, v *verify.Verifier) error { return resource.Serve(ln, routes(v)) }

func routes(v *verify.Verifier) http.Handler {
	api := &handlers.API{}
	r := chi.NewRouter()
	r.With(v.Optional).Get("/", api.Hello)
	r.Group(func(r chi.Router) {
		r.Use(v.Middleware) // all of these need a token
		r.Get("/me", api.Me)
		r.With(v.Require("orders:read")).Get("/orders", api.Orders)
		r.With(v.Require("orders:write")).Post("/orders", api.Order)
	})
	r.Route("/admin", func(r chi.Router) {
		r.Use(v.Require("admin:read"))
		r.Get("/orders", api.All)
	})
	return r
}
