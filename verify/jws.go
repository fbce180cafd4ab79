package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"strings"

	"github.com/tacet-dev/tacet/wire"
	"github.com/tacet-dev/tacet/wire/jose"
)

const (
	maxHeader = 1024 // base64url characters
	maxKeyID  = 256
)

// parseCompact takes a token apart and checks its header; nothing of it is
// trusted yet. The caller has limited its size.
func parseCompact(raw string) (jose.JWS, error) {
	if strings.IndexByte(raw, '.') > maxHeader {
		return jose.JWS{}, ErrMalformed
	}
	c, ok := jose.ParseJWS(raw)
	switch {
	case !ok || c.SignatureLen != jose.SignatureSize && c.Algorithm != jose.RS256:
		return c, ErrMalformed
	case c.Algorithm != jose.EdDSA && c.Algorithm != jose.ES256 && c.Algorithm != jose.RS256:
		return c, ErrAlgorithm
	case !c.IsType(wire.AccessTokenType): // RFC 9068 §4
		return c, ErrType
	case c.KeyID == "" || len(c.KeyID) > maxKeyID:
		return c, ErrMalformed
	}
	return c, nil
}

// checkSignature returns ErrAlgorithm or ErrSignature.
func checkSignature(c *jose.JWS, key crypto.PublicKey) error {
	switch err := c.Verify(key); {
	case errors.Is(err, jose.ErrAlgorithm):
		return ErrAlgorithm
	case err != nil:
		return ErrSignature
	}
	return nil
}

// sameKey reports whether a and b are the same public key.
func sameKey(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case ed25519.PublicKey:
		return a.Equal(b)
	case *ecdsa.PublicKey:
		return a.Equal(b)
	case *rsa.PublicKey:
		return a.Equal(b)
	}
	return false
}
