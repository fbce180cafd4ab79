// Package encryption lets clients that ask for it encrypt the bodies of their
// requests (docs/encryption.md). The format is package seal's.
package encryption

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Settings are the settings of this wing.
type Settings struct {
	Encryption bool     `help:"Take encrypted bodies from clients that ask for them; see docs/encryption.md."`
	Encrypt    []string `help:"Below this path, the gateway takes encrypted requests only." placeholder:"PREFIX"`
}

// surface is the wing over HTTP.
type surface struct{ *httpapi.API }

// Wing lets encrypted requests through as if they were in plain text. e is nil if
// encryption is not switched on.
func Wing(e *verify.Encryption) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		a := &surface{api}
		agree := a.Handle(func(http.ResponseWriter, *http.Request) error { return problem.NotFound })
		w := httpapi.Wing{}
		if e != nil {
			agree = e.Require(a.Handle(a.agree))
			w.Middleware = e.Middleware
			w.RequestHeaders, w.ResponseHeaders = []string{wire.HeaderSeal}, []string{wire.HeaderSeal}
		}
		w.Routes = httpapi.Routes{a.BasePath + wire.PathEncryption: {"POST": a.Protect(agree)}}
		return w, nil
	}
}

// agree is POST /auth/encryption: from now on, the client encrypts. There
// is nothing to store: what was agreed stands in the token.
func (a *surface) agree(w http.ResponseWriter, r *http.Request) error {
	t, ok := verify.FromContext(r.Context())
	if !ok {
		return problem.InvalidToken
	}
	sess, user, err := a.CallerOf(r.Context(), t)
	if err != nil {
		return err
	}
	b := httpapi.Encrypted(r)
	b.ProofKey = t.ProofKey()
	token, err := a.Sessions.Rebind(sess, user, b, t.Chain(), t.ExpiresAt())
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, http.StatusOK, wire.EncryptionResponse{AccessToken: token, TokenType: session.TokenType(b.ProofKey),
		ExpiresIn: max(0, int64(t.ExpiresAt().Sub(a.Sessions.Now()).Seconds()))})
}
