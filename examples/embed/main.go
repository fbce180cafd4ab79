// Command embed is a whole site in one program: users of its own (people.go),
// sessions by Tacet, and an API.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/crypto/bcrypt"

	"github.com/tacet-dev/tacet"
	"github.com/tacet-dev/tacet/examples/internal/handlers"
	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/verify"
)

func main() {
	const addr = "127.0.0.1:8080"
	users, err := newPeople(bcrypt.DefaultCost)
	if err != nil {
		log.Fatal(err)
	}
	auth, err := tacet.New(context.Background(), tacet.Config{
		PublicURL: "http://" + addr,
		DataDir:   filepath.Join(os.TempDir(), "tacet-example-embed"),
		Users:     users,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s: alice / alice-password, bob / bob-password\n", addr)
	log.Fatal(resource.Serve(ln, (&site{auth, users}).routes()))
}

type site struct {
	auth  *tacet.Server
	users *people
}

func (s *site) routes() http.Handler {
	orders, admin := &handlers.API{}, s.auth.Require("admin:people")
	api := http.NewServeMux()
	api.HandleFunc("GET /api/me", orders.Me)
	api.Handle("GET /api/orders", s.auth.Require("orders:read")(http.HandlerFunc(orders.Orders)))
	api.Handle("POST /api/orders", s.auth.Require("orders:write")(http.HandlerFunc(orders.Order)))
	api.Handle("PUT /api/people/{id}/permissions", admin(http.HandlerFunc(s.setPermissions)))
	api.Handle("DELETE /api/people/{id}", admin(http.HandlerFunc(s.dismiss)))

	mux := http.NewServeMux()
	mux.Handle("/auth/", s.auth)        // sign-in, renewal, sign-out
	mux.Handle("/.well-known/", s.auth) // the keys, for other resource servers
	mux.Handle("/api/", s.auth.Protect(s.current(api)))
	return mux
}

// current refuses access tokens from before the last change of their user's
// permissions: clients renew, silently, and come back with the new ones. Without
// it a change would wait for the token's expiry.
func (s *site) current(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := verify.FromContext(r.Context())
		if u, err := s.users.User(r.Context(), token.Subject()); err == nil && token.GrantsVersion() < u.GrantsVersion {
			s.auth.Verifier().WriteError(w, r, verify.ErrStaleGrants)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *site) setPermissions(w http.ResponseWriter, r *http.Request) {
	var permissions []string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&permissions); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.users.SetPermissions(r.PathValue("id"), permissions); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// dismiss removes somebody: they are out with their next request, everywhere.
func (s *site) dismiss(w http.ResponseWriter, r *http.Request) {
	s.users.Remove(r.PathValue("id"))
	if err := s.auth.EndSessions(r.Context(), r.PathValue("id")); err != nil {
		http.Error(w, "the sessions could not be ended; try again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
