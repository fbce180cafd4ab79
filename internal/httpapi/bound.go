package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Bound returns an access token that we have made or verified, bound to the key
// that the request is encrypted with; as it is, if the request is in plain text.
func (a *API) Bound(r *http.Request, access string) (string, error) {
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
