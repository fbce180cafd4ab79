// Command scs serves sessions of alexedwards/scs in memory, on a loopback port.
// It stops when its stdin ends.
//
// What it does: POST /login starts a session that carries the user's id, POST
// /refresh gives it a new token (RenewToken) in a cookie; the old one is gone at
// once. What it does not do: there is nothing durable, no signed token that others
// could check, and nothing that tells a copy of a token from a repeat.
package main

import (
	"log"
	"net/http"

	"github.com/alexedwards/scs/v2"

	"github.com/tacet-dev/tacet/bench/peers/loopback"
)

const userKey = "user"

func main() {
	sessions := scs.New() // memstore
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), userKey, "usr_bench")
		answer(w)
	})
	mux.HandleFunc("POST /refresh", func(w http.ResponseWriter, r *http.Request) {
		if sessions.GetString(r.Context(), userKey) == "" {
			http.Error(w, `{"code":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, `{"code":"server_error"}`, http.StatusInternalServerError)
			return
		}
		answer(w)
	})
	if err := loopback.Serve(sessions.LoadAndSave(mux)); err != nil {
		log.Fatal("scs: ", err)
	}
}

func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"expires_in":900}`))
}
