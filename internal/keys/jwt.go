package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
)

// jwtType is the typ of ID tokens (RFC 7519 §5.1), which no verifier of access
// tokens takes for one of these (RFC 9068 §4).
const jwtType = "JWT"

// maxJWT bounds what is looked at, in bytes.
const maxJWT = 16 << 10

// SignJWT signs a payload that is not that of an access token, like an ID token.
func (r *Ring) SignJWT(payload []byte) (string, error) {
	return r.signTyped(jwtType, payload)
}

// VerifyJWT returns the payload of what [Ring.SignJWT] made under any key that
// is still in the ring. It looks at no time: that is for the caller.
func (r *Ring) VerifyJWT(raw string) (payload []byte, ok bool) {
	signed := strings.LastIndexByte(raw, '.')
	head, body, two := strings.Cut(raw[:max(signed, 0)], ".")
	if len(raw) > maxJWT || !two {
		return nil, false
	}
	enc := base64.RawURLEncoding.Strict()
	header, err1 := enc.DecodeString(head)
	payload, err2 := enc.DecodeString(body)
	sum, err3 := enc.DecodeString(raw[signed+1:])
	var h joseHeader
	if err1 != nil || err2 != nil || err3 != nil || json.Unmarshal(header, &h) != nil || h.Type != jwtType {
		return nil, false
	}
	for _, s := range r.view.Load().signers {
		if s.kid == h.KeyID && s.meta.Algorithm == h.Algorithm {
			return payload, s.verifies([]byte(raw[:signed]), sum)
		}
	}
	return nil, false
}

func (s *signer) verifies(signed, sum []byte) bool {
	if len(sum) != signatureLen {
		return false
	}
	switch public := s.public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, signed, sum)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(signed)
		x, y := new(big.Int).SetBytes(sum[:signatureLen/2]), new(big.Int).SetBytes(sum[signatureLen/2:])
		return ecdsa.Verify(public, digest[:], x, y)
	}
	return false
}
