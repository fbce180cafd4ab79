package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// decrypted lets encrypted requests through as if they were in plain text.
func (a *api) decrypted(next http.Handler) http.Handler {
	if a.Encryption == nil {
		return next
	}
	return a.Encryption.Middleware(next)
}

func (a *api) encryptionRoute() http.Handler {
	if a.Encryption == nil {
		return a.Protect(problemHandler(a, errNotFound))
	}
	return a.Protect(a.Encryption.Require(a.handler((*api).encryption)))
}

// encryption is POST /auth/encryption: from now on, the client encrypts. There
// is nothing to store: what was agreed stands in the token.
func (a *api) encryption(w http.ResponseWriter, r *http.Request) error {
	t, ok := verify.FromContext(r.Context())
	raw, err := verify.Bearer(r.Header)
	if err != nil || !ok {
		return errInvalidToken
	}
	token, err := a.bound(r, raw)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wire.EncryptionResponse{AccessToken: token, TokenType: "Bearer",
		ExpiresIn: max(0, int64(t.ExpiresAt().Sub(a.Sessions.Clock()).Seconds()))})
}

// bound returns an access token that we have made or verified, bound to the key
// that the request is encrypted with; as it is, if the request is in plain text.
func (a *api) bound(r *http.Request, access string) (string, error) {
	key, ok := verify.EncryptedWith(r.Context())
	if !ok {
		return access, nil
	}
	_, payload, _ := strings.Cut(access, ".")
	payload, _, _ = strings.Cut(payload, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", err
	}
	var claims wire.AccessClaims
	if err := json.Unmarshal(b, &claims); err != nil {
		return "", err
	}
	claims.EncryptionKey = key
	return a.Keys.Sign(claims)
}
