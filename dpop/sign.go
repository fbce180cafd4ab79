package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"math/big"
	"time"
)

// Sign makes a proof for one request, for clients: a new one for each, also when
// a request is repeated. The key is an Ed25519 key or an ECDSA key on P-256.
func Sign(key crypto.Signer, r Request, now time.Time) (string, error) {
	alg, jwk, hash := "", map[string]string(nil), crypto.Hash(0)
	switch k := key.Public().(type) {
	case ed25519.PublicKey:
		alg, jwk = "EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(k)}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil || k.Curve != elliptic.P256() {
			return "", errors.New("dpop: the curve of the key is not P-256")
		}
		alg, hash = "ES256", crypto.SHA256
		jwk = map[string]string{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:])}
	default:
		return "", errors.New("dpop: the key is neither Ed25519 nor ECDSA on P-256")
	}
	c := map[string]any{"jti": rand.Text(), "htm": r.Method, "htu": r.URI, "iat": now.Unix()}
	if r.AccessToken != "" {
		c["ath"] = Hash(r.AccessToken)
	}
	head, err1 := json.Marshal(map[string]any{"typ": typ, "alg": alg, "jwk": jwk})
	body, err2 := json.Marshal(c)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	message := []byte(b64.EncodeToString(head) + "." + b64.EncodeToString(body))
	if hash == 0 {
		signature, err := key.Sign(rand.Reader, message, hash)
		return string(message) + "." + b64.EncodeToString(signature), err
	}
	digest := sha256.Sum256(message)
	der, err := key.Sign(rand.Reader, digest[:], hash)
	if err != nil {
		return "", err
	}
	var rs struct{ R, S *big.Int } // RFC 7518 §3.4 wants the numbers side by side
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return "", err
	}
	var signature [64]byte
	rs.R.FillBytes(signature[:32])
	rs.S.FillBytes(signature[32:])
	return string(message) + "." + b64.EncodeToString(signature[:]), nil
}
