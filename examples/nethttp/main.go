// Command nethttp is an API on net/http. Package verify is made for it: no
// adapter is needed.
package main

import (
	"net"
	"net/http"

	"github.com/tacet-dev/tacet/examples/internal/handlers"
	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/verify"
)

func main() { resource.Main(serve) }

func serve(ln net.Listener, v *verify.Verifier) error { return resource.Serve(ln, routes(v)) }

func routes(v *verify.Verifier) http.Handler {
	api := &handlers.API{}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", v.Optional(http.HandlerFunc(api.Hello)))
	mux.Handle("GET /me", v.Middleware(http.HandlerFunc(api.Me)))
	mux.Handle("GET /orders", v.Require("orders:read")(http.HandlerFunc(api.Orders)))
	mux.Handle("POST /orders", v.Require("orders:write")(http.HandlerFunc(api.Order)))

	admin := http.NewServeMux()
	admin.HandleFunc("GET /admin/orders", api.All)
	mux.Handle("/admin/", v.Require("admin:read")(admin)) // a whole subtree
	return mux
}
