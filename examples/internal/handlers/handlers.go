// Package handlers is the API of the examples on net/http, for the routers that
// use its handlers as they are. The middleware has put the token in the context.
package handlers

import (
	"encoding/json"
	"net/http"

	"github.com/tacet-dev/tacet/examples/internal/shop"
	"github.com/tacet-dev/tacet/verify"
)

// API answers for one shop.
type API struct{ shop shop.Shop }

// Hello is for everybody: there may be no token.
func (a *API) Hello(w http.ResponseWriter, r *http.Request) {
	who := "stranger"
	if token, ok := verify.FromContext(r.Context()); ok {
		who = token.Subject()
	}
	answer(w, http.StatusOK, map[string]string{"hello": who})
}

// Me shows who asks.
func (a *API) Me(w http.ResponseWriter, r *http.Request) {
	token, _ := verify.FromContext(r.Context())
	answer(w, http.StatusOK, map[string]any{"subject": token.Subject(), "permissions": token.Permissions()})
}

// Orders lists the caller's orders.
func (a *API) Orders(w http.ResponseWriter, r *http.Request) {
	token, _ := verify.FromContext(r.Context())
	answer(w, http.StatusOK, a.shop.Orders(token.Subject()))
}

// Order places one for the caller.
func (a *API) Order(w http.ResponseWriter, r *http.Request) {
	var in struct{ Item string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, _ := verify.FromContext(r.Context())
	answer(w, http.StatusCreated, a.shop.Place(token.Subject(), in.Item))
}

// All lists everybody's orders.
func (a *API) All(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, a.shop.Orders(""))
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
}
