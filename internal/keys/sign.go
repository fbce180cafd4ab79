package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/tacet-dev/tacet/wire"
)

const accessTokenType = wire.AccessTokenType

type joseHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// Sign returns the access token (RFC 9068) with these claims, under the current
// signing key.
func (r *Ring) Sign(c wire.AccessClaims) (string, error) {
	return r.SignPayload(appendClaims(make([]byte, 0, 512), &c))
}

// SignPayload is [Ring.Sign] for claims that are encoded already.
//
// The header is encoded once per key, so a token costs hardly more than its
// signature; libraries encode it every time.
func (r *Ring) SignPayload(payload []byte) (string, error) {
	return r.view.Load().signer(r.clock()).sign(payload)
}

// SignAs signs other claims than those of access tokens, under the same keys.
// typ must tell them apart from these (RFC 8725 §3.11).
func (r *Ring) SignAs(typ string, c wire.AccessClaims) (string, error) {
	return r.signTyped(typ, appendClaims(nil, &c))
}

// signTyped signs a payload under a header that is not that of access tokens.
func (r *Ring) signTyped(typ string, payload []byte) (string, error) {
	s := *r.view.Load().signer(r.clock())
	header, err := json.Marshal(joseHeader{Algorithm: s.meta.Algorithm, KeyID: s.kid, Type: typ})
	if err != nil {
		return "", fmt.Errorf("keys: encode the header of a token of type %s: %w", typ, err)
	}
	s.header = base64.RawURLEncoding.EncodeToString(header) + "."
	return s.sign(payload)
}

const signatureLen = 64 // of EdDSA (RFC 8032) and ES256 (RFC 7518 §3.4)

// sign makes the JWS compact serialisation (RFC 7515 §7.1).
func (s *signer) sign(payload []byte) (string, error) {
	enc := base64.RawURLEncoding
	buf := make([]byte, 0, len(s.header)+enc.EncodedLen(len(payload))+1+enc.EncodedLen(signatureLen))
	buf = append(buf, s.header...)
	buf = enc.AppendEncode(buf, payload)
	var sig [signatureLen]byte
	if s.ed != nil {
		copy(sig[:], ed25519.Sign(s.ed, buf))
	} else {
		digest := sha256.Sum256(buf)
		x, y, err := ecdsa.Sign(rand.Reader, s.ec, digest[:])
		if err != nil {
			return "", fmt.Errorf("keys: sign with key %d: %w", s.meta.ID, err)
		}
		x.FillBytes(sig[:signatureLen/2])
		y.FillBytes(sig[signatureLen/2:])
	}
	buf = append(buf, '.')
	return string(enc.AppendEncode(buf, sig[:])), nil
}
