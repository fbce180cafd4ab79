package keys

import (
	"context"
	"fmt"

	"github.com/tacet-dev/tacet/wire"
	"github.com/tacet-dev/tacet/wire/jose"
)

// jwtType is the typ of ID tokens (RFC 7519 §5.1), which no verifier of access
// tokens takes for one of these (RFC 9068 §4).
const jwtType = "JWT"

// maxJWT bounds what is looked at, in bytes.
const maxJWT = 16 << 10

// Sign returns the access token (RFC 9068) with these claims, under the current
// signing key.
func (r *Ring) Sign(c wire.AccessClaims) (string, error) {
	s := r.signer()
	return s.sign(s.header, appendClaims(make([]byte, 0, 512), &c))
}

// SignAs signs other claims than those of access tokens, under the same keys.
// typ must tell them apart from these (RFC 8725 §3.11).
func (r *Ring) SignAs(typ string, c wire.AccessClaims) (string, error) {
	s := r.signer()
	return s.sign(s.headerOf(typ), appendClaims(nil, &c))
}

// SignJWT signs a payload that is not that of an access token, an ID token, under one
// of [IDTokenAlgorithms].
func (r *Ring) SignJWT(ctx context.Context, algorithm string, payload []byte) (string, error) {
	s := r.view.Load().idToken(algorithm, r.clock())
	if s == nil {
		if err := r.Ensure(ctx, algorithm); err != nil {
			return "", err
		}
		s = r.view.Load().idToken(algorithm, r.clock())
	}
	return s.sign(s.headerOf(jwtType), payload)
}

// VerifyJWT returns the payload of what [Ring.SignJWT] made under any key that
// is still in the ring. It looks at no time: that is for the caller.
func (r *Ring) VerifyJWT(raw string) (payload []byte, ok bool) {
	if len(raw) > maxJWT {
		return nil, false
	}
	j, ok := jose.ParseJWS(raw)
	if !ok || j.Type != jwtType {
		return nil, false
	}
	for _, s := range r.view.Load().ids {
		if s.kid == j.KeyID && s.meta.Algorithm == j.Algorithm && j.Verify(s.key.Public()) == nil {
			return j.Payload()
		}
	}
	return nil, false
}

func (r *Ring) signer() *signer { return r.view.Load().signer(r.clock()) }

func (s *signer) headerOf(typ string) string {
	return jose.Header{Algorithm: s.meta.Algorithm, KeyID: s.kid, Type: typ}.Encode()
}

func (s *signer) sign(header string, payload []byte) (string, error) {
	token, err := jose.Sign(s.key, header, payload)
	if err != nil {
		return "", fmt.Errorf("keys: key %d: %w", s.meta.ID, err)
	}
	return token, nil
}
