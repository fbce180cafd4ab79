package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/problem"
)

// jwksDeadline is how long the published key set waits for the stored one. A
// verifier gives up after 5 s (package verify), and one that got an old set asks
// again only after its cooldown: so a busy store is waited for.
const jwksDeadline = 3 * time.Second

// jwks is GET /.well-known/jwks.json. New keys are announced well before they
// sign, so a short public cache is safe. After a rotation at once, whoever has met
// a new key on one node may ask another one for it: that one looks first.
func (a *API) jwks(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), jwksDeadline)
	defer cancel()
	_ = a.Keys.Current(ctx) // while the store is away the keys at hand are published
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(a.Keys.JWKS())
	return nil
}

// livez says that the process responds; readyz that it can do its work.
func (a *API) livez(w http.ResponseWriter, _ *http.Request) error {
	return WriteJSON(w, http.StatusOK, health{Status: "ok"})
}

type health struct {
	Status string `json:"status"`
}

func (a *API) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := a.Ready(r.Context()); err != nil {
		a.Logger.Warn("not ready", "error", err)
		return problem.Unavailable
	}
	return WriteJSON(w, http.StatusOK, health{Status: "ok"})
}
