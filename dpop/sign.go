package dpop

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/wire/jose"
)

// Sign makes a proof for one request, for clients: a new one for each, also when
// a request is repeated. The key is an Ed25519 key or an ECDSA key on P-256.
func Sign(key crypto.Signer, r Request, now time.Time) (string, error) {
	k, err := jose.NewKey(key.Public())
	if err != nil {
		return "", errors.New("dpop: the key " + err.Error())
	}
	jwk, err := json.Marshal(k)
	if err != nil {
		return "", err
	}
	c := map[string]any{"jti": rand.Text(), "htm": r.Method, "htu": r.URI, "iat": now.Unix()}
	if r.AccessToken != "" {
		c["ath"] = Hash(r.AccessToken)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	header := jose.Header{Algorithm: jose.AlgorithmOf(key.Public()), Type: typ, Key: jwk}
	return jose.Sign(key, header.Encode(), payload)
}
