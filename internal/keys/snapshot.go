package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
	"github.com/tacet-dev/tacet/wire/jose"
)

// snapshot is one view of the ring with its secrets in clear. It never changes:
// readers need no lock.
type snapshot struct {
	ring    []Key // as stored, secrets sealed
	version int64
	macs    []mac
	signers []signer
	ids     []signer // for ID tokens
	sealers []sealer
	maxID   uint32
	jwks    []byte
}

type mac struct {
	meta Key
	key  rotation.Key
}

type signer struct {
	meta   Key
	kid    string
	header string // of access tokens, encoded once
	key    crypto.Signer
	jwk    jose.Key
}

// rsaBits is the size of RSA keys: what RFC 7518 §3.3 asks for, and clients take.
const rsaBits = 2048

// newSecret makes the secret of a key that Plan announced, in the form that is
// sealed.
func newSecret(k Key, random io.Reader) ([]byte, error) {
	var seed [32]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("keys: random source: %w", err)
	}
	switch {
	case k.Use == UseMAC:
		return seed[:], nil
	case k.Algorithm == RS256:
		priv, err := rsa.GenerateKey(random, rsaBits)
		if err != nil {
			return nil, fmt.Errorf("keys: make an %s key: %w", k.Algorithm, err)
		}
		return x509.MarshalPKCS8PrivateKey(priv)
	case k.Algorithm == EdDSA:
		return x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	default:
		priv, err := ecdsa.GenerateKey(elliptic.P256(), random)
		if err != nil {
			return nil, fmt.Errorf("keys: make an %s key: %w", k.Algorithm, err)
		}
		return x509.MarshalPKCS8PrivateKey(priv)
	}
}

// newSnapshot opens every key of a stored ring.
func newSnapshot(ring []Key, version int64, m *Master) (*snapshot, error) {
	s := &snapshot{ring: ring, version: version}
	foreign := 0
	for _, k := range ring {
		s.maxID = max(s.maxID, k.ID)
		switch err := s.add(k, m); {
		case errors.Is(err, errSealed):
			foreign++
		case err != nil:
			return nil, err
		}
	}
	switch {
	case foreign > 0 && foreign == len(ring):
		return nil, fmt.Errorf("%w than the one given; give the master key that this store was first used with", ErrWrongMaster)
	case foreign > 0:
		return nil, fmt.Errorf("keys: %d of %d stored keys cannot be opened, the others can: the stored ring is damaged; restore it from a backup", foreign, len(ring))
	}
	var set []jose.Key
	for _, k := range slices.Concat(s.signers, s.ids) {
		set = append(set, k.jwk)
	}
	s.jwks = jose.MarshalKeys(append(set, s.published()...)...)
	return s, nil
}

func (s *snapshot) add(k Key, m *Master) error {
	if k.Use != UseSign && k.Use != UseMAC && k.Use != UseEncrypt && k.Use.idToken() == "" {
		return fmt.Errorf("keys: key %d has the unknown use %q; was it stored by a newer version of this program?", k.ID, k.Use)
	}
	secret, err := m.open(k)
	if err != nil {
		return err
	}
	if k.Use == UseMAC {
		e := mac{meta: k, key: rotation.Key{ID: rotation.KeyID(k.ID)}}
		if copy(e.key.Secret[:], secret) != len(secret) || len(secret) != len(e.key.Secret) || k.Algorithm != HS256 {
			return fmt.Errorf("keys: key %d is not a %s key of 32 bytes", k.ID, HS256)
		}
		s.macs = append(s.macs, e)
		return nil
	}
	if k.Use == UseEncrypt {
		e, err := newSealer(k, secret)
		if err != nil {
			return fmt.Errorf("keys: key %d: %w", k.ID, err)
		}
		s.sealers = append(s.sealers, e)
		return nil
	}
	e, err := newSigner(k, secret)
	if err != nil {
		return fmt.Errorf("keys: key %d: %w", k.ID, err)
	}
	if k.Use == UseSign {
		s.signers = append(s.signers, e)
	} else {
		s.ids = append(s.ids, e)
	}
	return nil
}

func newSigner(k Key, pkcs8 []byte) (signer, error) {
	priv, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return signer{}, err
	}
	key, ok := priv.(crypto.Signer)
	if !ok {
		return signer{}, fmt.Errorf("unknown kind of private key %T", priv)
	}
	e := signer{meta: k, key: key}
	if e.jwk, err = jose.NewKey(key.Public()); err != nil {
		return signer{}, fmt.Errorf("the key %w", err)
	}
	if err := wantAlgorithm(k, jose.AlgorithmOf(key.Public())); err != nil {
		return signer{}, err
	}
	// The key's thumbprint as its name (RFC 7638): another key never has the
	// same one, also not after a store was restored and ids came again.
	e.kid = e.jwk.Thumbprint()
	e.jwk.ID, e.jwk.Use, e.jwk.Algorithm = e.kid, "sig", k.Algorithm
	e.header = e.headerOf(wire.AccessTokenType)
	return e, nil
}

func wantAlgorithm(k Key, alg string) error {
	if k.Algorithm != alg {
		return fmt.Errorf("stored as %s, but its secret is an %s key", k.Algorithm, alg)
	}
	return nil
}

// mac is the MAC key for new tokens at now.
func (s *snapshot) mac(now time.Time) *mac {
	best := &s.macs[0]
	for i := range s.macs[1:] {
		if k := &s.macs[i+1]; better(&k.meta, &best.meta, now) {
			best = k
		}
	}
	return best
}

// signer is the signing key for new tokens at now.
func (s *snapshot) signer(now time.Time) *signer { return newest(s.signers, now) }

// idToken is the key for new ID tokens under an algorithm; nil: there is none.
func (s *snapshot) idToken(algorithm string, now time.Time) *signer {
	list := slices.DeleteFunc(slices.Clone(s.ids), func(k signer) bool { return k.meta.Algorithm != algorithm })
	if len(list) == 0 {
		return nil
	}
	return newest(list, now)
}

func newest(list []signer, now time.Time) *signer {
	best := &list[0]
	for i := range list[1:] {
		if k := &list[i+1]; better(&k.meta, &best.meta, now) {
			best = k
		}
	}
	return best
}

func (s *snapshot) macKey(id rotation.KeyID) (rotation.Key, bool) {
	for i := range s.macs {
		if s.macs[i].key.ID == id {
			return s.macs[i].key, true
		}
	}
	return rotation.Key{}, false
}
