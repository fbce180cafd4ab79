// Command zitadel serves the example server of zitadel/oidc, which keeps
// everything in memory, on a loopback port. It stops when its stdin ends.
//
// What it does: POST /oauth/token, the refresh grant for a native client, with
// rotation. Access tokens are opaque; each answer also carries an ID token, signed
// with RS256. What it does not do: nothing is durable, and a refresh token that was
// used already is refused without a trace: a repeated request signs its sender
// out, a stolen token raises no alarm. Its logging of every request is left out.
package main

import (
	"encoding/json"
	"log"
	"log/slog"
	"net/http"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/tacet-dev/tacet/bench/peers/loopback"
)

const (
	issuer   = "http://localhost:9998/" // fixed: nothing here depends on the port
	clientID = "native"
)

func main() {
	storage.RegisterClients(storage.NativeClient(clientID))
	store := storage.NewStorage(storage.NewUserStore(issuer))
	mux := http.NewServeMux()
	mux.Handle("/", exampleop.SetupServer(issuer, store, slog.New(slog.DiscardHandler), false))
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { login(w, r, store) })
	if err := loopback.Serve(mux); err != nil {
		log.Fatal("zitadel: ", err)
	}
}

// login stands for the pages of the code flow: it does to the storage what they
// do, so that a sign-in is one call.
func login(w http.ResponseWriter, r *http.Request, store *storage.Storage) {
	request, err := store.CreateAuthRequest(r.Context(), &oidc.AuthRequest{
		ClientID: clientID, ResponseType: oidc.ResponseTypeCode, RedirectURI: "http://localhost/auth/callback",
		Scopes: oidc.SpaceDelimitedArray{oidc.ScopeOpenID, oidc.ScopeOfflineAccess},
	}, "")
	if err == nil {
		err = store.CheckUsernamePassword("test-user@localhost", "verysecure", request.GetID())
	}
	var refresh string
	if err == nil {
		_, refresh, _, err = store.CreateAccessAndRefreshTokens(r.Context(), request, "")
	}
	if err == nil {
		err = store.DeleteAuthRequest(r.Context(), request.GetID())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"refresh_token": refresh})
}
