package verify

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tacet-dev/tacet/wire/jose"
)

// Keys finds the issuer's public keys.
type Keys interface {
	// Key returns the key with that id: an ed25519.PublicKey, an
	// *ecdsa.PublicKey on P-256, or an *rsa.PublicKey for RS256. It returns ErrUnknownKey if the issuer has no
	// such key, and ErrKeysUnavailable if that cannot be told. It is called for
	// every token and should as a rule return it from memory.
	Key(ctx context.Context, kid string) (crypto.PublicKey, error)
}

// KeysFunc is a function as [Keys], for keys that live in the same process.
type KeysFunc func(ctx context.Context, kid string) (crypto.PublicKey, error)

// Key calls f.
func (f KeysFunc) Key(ctx context.Context, kid string) (crypto.PublicKey, error) { return f(ctx, kid) }

// StaticKeys are keys by id that never change.
type StaticKeys map[string]crypto.PublicKey

// Key returns the key or ErrUnknownKey.
func (k StaticKeys) Key(_ context.Context, kid string) (crypto.PublicKey, error) {
	if key, ok := k[kid]; ok {
		return key, nil
	}
	return nil, ErrUnknownKey
}

// maxKeys bounds the entries of a key set, used or not.
const maxKeys = 100

// ParseJWKS reads a JWK Set (RFC 7517 §5). Keys of other kinds or for other uses
// are left out. A set is refused as a whole if it holds no usable key, two keys of
// one id, a broken key, or secrets, which means that the issuer is misconfigured.
func ParseJWKS(data []byte) (StaticKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("verify: the key set is not a JWK Set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("verify: the key set holds %d keys, more than %d", len(set.Keys), maxKeys)
	}
	keys := StaticKeys{}
	for i, raw := range set.Keys {
		k, err := jose.ParseKey(raw)
		var key crypto.PublicKey
		if err == nil {
			key, err = verificationKey(&k)
		}
		switch {
		case errors.Is(err, jose.ErrSecret):
			return nil, fmt.Errorf("verify: key %d of the key set contains a secret: withdraw that key at the issuer", i+1)
		case err != nil:
			return nil, fmt.Errorf("verify: key %d (kid %.40q) of the key set %w", i+1, k.ID, err)
		case key == nil:
			continue
		}
		if _, twice := keys[k.ID]; twice {
			return nil, fmt.Errorf("verify: the key set holds two keys with kid %.40q", k.ID)
		}
		keys[k.ID] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("verify: the key set holds no EdDSA, ES256 or RS256 key with a kid")
	}
	return keys, nil
}

// verificationKey returns the key, or nil if it is not for verifying EdDSA,
// ES256 or RS256. The error is jose.ErrKey.
func verificationKey(k *jose.Key) (crypto.PublicKey, error) {
	if k.ID == "" || k.Use != "" && k.Use != "sig" || len(k.Operations) > 0 && !slices.Contains(k.Operations, "verify") {
		return nil, nil
	}
	key, err := k.Public()
	algorithm := jose.AlgorithmOf(key)
	switch {
	case errors.Is(err, jose.ErrKind):
		return nil, nil
	case err != nil:
		return nil, err
	case k.Algorithm == "", k.Algorithm == algorithm, k.Algorithm == jose.Ed25519 && algorithm == jose.EdDSA:
		return key, nil
	}
	return nil, nil
}
