package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Keys finds the issuer's public keys.
type Keys interface {
	// Key returns the key with that id: an ed25519.PublicKey, or an
	// *ecdsa.PublicKey on P-256. It returns ErrUnknownKey if the issuer has no
	// such key, and ErrKeysUnavailable if that cannot be told. It is called for
	// every token and should as a rule answer from memory.
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

// jwk are the members of a JWK that matter here (RFC 7517 §4, RFC 7518 §6.2,
// RFC 8037 §2).
type jwk struct {
	Kty    string          `json:"kty"`
	Crv    string          `json:"crv"`
	Kid    string          `json:"kid"`
	Use    string          `json:"use"`
	Alg    string          `json:"alg"`
	KeyOps []string        `json:"key_ops"`
	X      string          `json:"x"`
	Y      string          `json:"y"`
	D      json.RawMessage `json:"d"`
	K      json.RawMessage `json:"k"`
}

// ParseJWKS reads a JWK Set (RFC 7517 §5). Keys of other kinds or for other uses
// are left out. A set is refused as a whole if it holds no usable key, two keys of
// one id, a broken key, or secrets, which means that the issuer is misconfigured.
func ParseJWKS(data []byte) (StaticKeys, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("verify: the key set is not a JWK Set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("verify: the key set holds %d keys, more than %d", len(set.Keys), maxKeys)
	}
	keys := StaticKeys{}
	for i, k := range set.Keys {
		if len(k.D) > 0 || len(k.K) > 0 {
			return nil, fmt.Errorf("verify: key %d of the key set contains a secret: withdraw that key at the issuer", i+1)
		}
		key, err := k.public()
		if err != nil {
			return nil, fmt.Errorf("verify: key %d (kid %.40q) of the key set: %w", i+1, k.Kid, err)
		}
		if key == nil {
			continue
		}
		if _, twice := keys[k.Kid]; twice {
			return nil, fmt.Errorf("verify: the key set holds two keys with kid %.40q", k.Kid)
		}
		keys[k.Kid] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("verify: the key set holds no EdDSA or ES256 key with a kid")
	}
	return keys, nil
}

// public returns the key, or nil if it is not for verifying EdDSA or ES256.
func (k *jwk) public() (crypto.PublicKey, error) {
	if k.Kid == "" || k.Use != "" && k.Use != "sig" || len(k.KeyOps) > 0 && !slices.Contains(k.KeyOps, "verify") {
		return nil, nil
	}
	switch {
	case k.Kty == "OKP" && k.Crv == "Ed25519" && (k.Alg == "" || k.Alg == algEdDSA || k.Alg == "Ed25519"): // RFC 9864 §2.2
		x, err := b64.DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("x is not an Ed25519 public key")
		}
		return ed25519.PublicKey(x), nil
	case k.Kty == "EC" && k.Crv == "P-256" && (k.Alg == "" || k.Alg == algES256):
		x, errX := b64.DecodeString(k.X)
		y, errY := b64.DecodeString(k.Y)
		if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
			return nil, errors.New("x and y are not coordinates on P-256")
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	}
	return nil, nil
}
