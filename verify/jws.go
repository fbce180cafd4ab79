package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
)

// The two algorithms (RFC 8037 §3.1, RFC 7518 §3.4); both signatures are 64
// bytes. There is no other, and none is chosen by the token alone: see algorithmOf.
const (
	algEdDSA = "EdDSA"
	algES256 = "ES256"

	signatureBytes = 64
	maxHeader      = 1024 // base64url characters
	maxKeyID       = 256
)

// compact is a JWS in compact serialization (RFC 7515 §7.1), taken apart.
type compact struct {
	alg, kid  string
	signed    string // header.payload, as it was signed
	payload   string // base64url
	signature [signatureBytes]byte
}

var b64 = base64.RawURLEncoding.Strict()

// parseCompact takes a token apart and checks its header; nothing of it is
// trusted yet. Sizes are limited by the caller.
func parseCompact(raw string) (c compact, err error) {
	header, rest, ok := strings.Cut(raw, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || len(header) > maxHeader || len(signature) != b64.EncodedLen(signatureBytes) {
		return c, ErrMalformed
	}
	// base64 skips line breaks, and a token has none.
	if strings.ContainsAny(raw, "\r\n") {
		return c, ErrMalformed
	}
	if n, err := b64.Decode(c.signature[:], []byte(signature)); err != nil || n != signatureBytes {
		return c, ErrMalformed
	}
	c.payload, c.signed = payload, raw[:len(header)+1+len(payload)]
	h, err := b64.DecodeString(header)
	if err != nil {
		return c, ErrMalformed
	}
	return c, c.header(h)
}

// header reads the members that matter. jwk, jku, x5u and x5c are not among
// them: a token does not get to say which key verifies it.
func (c *compact) header(data []byte) error {
	var typ string
	err := members(data, func(name, value string) error {
		ok := true
		switch name {
		case "alg":
			c.alg, ok = stringValue(value)
		case "kid":
			c.kid, ok = stringValue(value)
		case "typ":
			typ, ok = stringValue(value)
		case "crit", "b64": // extensions that must be understood (RFC 7515 §4.1.11, RFC 7797)
			ok = false
		}
		if !ok {
			return ErrMalformed
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case c.alg != algEdDSA && c.alg != algES256:
		return ErrAlgorithm
	// RFC 9068 §4: with or without "application/"; media types have no case.
	case !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt"):
		return ErrType
	case c.kid == "" || len(c.kid) > maxKeyID:
		return ErrMalformed
	}
	return nil
}

// algorithmOf is the one algorithm that a key is for, or "" if it cannot be
// used. The token's alg must be that one: so no key is ever used in another
// algorithm than its own (RFC 8725 §3.1).
func algorithmOf(key crypto.PublicKey) string {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return algEdDSA
		}
	case *ecdsa.PublicKey:
		if k != nil && k.Curve == elliptic.P256() {
			return algES256
		}
	}
	return ""
}

// verify checks the signature.
func (c *compact) verify(key crypto.PublicKey) error {
	if algorithmOf(key) != c.alg {
		return ErrAlgorithm
	}
	good := false
	switch k := key.(type) {
	case ed25519.PublicKey:
		good = ed25519.Verify(k, []byte(c.signed), c.signature[:])
	case *ecdsa.PublicKey:
		digest := sha256.Sum256([]byte(c.signed))
		r := new(big.Int).SetBytes(c.signature[:32])
		s := new(big.Int).SetBytes(c.signature[32:])
		good = ecdsa.Verify(k, digest[:], r, s)
	}
	if !good {
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
	}
	return false
}
