package keys

import (
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/wire/jose"
)

// sealer is a key for encrypted bodies.
type sealer struct {
	meta Key
	key  *seal.ServerKey
	jwk  jose.Key
}

func newSealer(k Key, pkcs8 []byte) (sealer, error) {
	if err := wantAlgorithm(k, ECDHP256); err != nil {
		return sealer{}, err
	}
	priv, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return sealer{}, err
	}
	ec, ok := priv.(*ecdsa.PrivateKey)
	if !ok {
		return sealer{}, fmt.Errorf("unknown kind of private key %T", priv)
	}
	private, err := ec.ECDH()
	if err != nil {
		return sealer{}, err
	}
	key, err := seal.NewServerKey(private)
	if err != nil {
		return sealer{}, err
	}
	jwk := jose.NewPoint(private.PublicKey().Bytes())
	jwk.ID, jwk.Use = key.ID(), "enc"
	return sealer{k, key, jwk}, nil
}

// EncryptionKey finds a key for encrypted bodies by its kid, or returns nil.
// Retired ones are found as long as access tokens may live.
func (r *Ring) EncryptionKey(kid string) *seal.ServerKey {
	for _, s := range r.view.Load().sealers {
		if s.key.ID() == kid {
			return s.key
		}
	}
	return nil
}

// published are the keys for the key set: clients take the first (seal.ParseJWKS).
// That is the oldest that is not retired, which every node knows; the next one
// takes over when it retires. It has no alg: what is agreed with it is derived
// otherwise than under ECDH-ES.
func (s *snapshot) published() []jose.Key {
	var live []sealer
	for _, e := range s.sealers {
		if e.meta.RetiredAt.IsZero() {
			live = append(live, e)
		}
	}
	slices.SortFunc(live, func(a, b sealer) int { return a.meta.ActiveAt.Compare(b.meta.ActiveAt) })
	var out []jose.Key
	for _, e := range live {
		out = append(out, e.jwk)
	}
	return out
}
