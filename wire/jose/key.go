package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
)

// Errors of keys. The texts are the predicate of a sentence about the key.
var (
	ErrKey    = errors.New("is not a JWK, or its coordinates are not those of a public key")
	ErrSecret = errors.New("contains a secret")
	ErrKind   = errors.New("is neither an Ed25519 key, nor an EC key on P-256, nor an RSA key of 2048 to 8192 bits")
)

// Key is a public key as it is written in a JWK (RFC 7517 §4, RFC 7518 §6.2,
// RFC 8037 §2), in that order.
type Key struct {
	Type       string   `json:"kty"`
	Curve      string   `json:"crv,omitempty"`
	X          string   `json:"x,omitempty"`
	Y          string   `json:"y,omitempty"`
	Modulus    string   `json:"n,omitempty"` // of an RSA key
	Exponent   string   `json:"e,omitempty"`
	ID         string   `json:"kid,omitempty"`
	Use        string   `json:"use,omitempty"`
	Algorithm  string   `json:"alg,omitempty"`
	Operations []string `json:"key_ops,omitempty"`
}

// NewKey is the JWK of an ed25519.PublicKey, an *ecdsa.PublicKey on P-256 or an
// *rsa.PublicKey, with no more than the members that it must have. The error is ErrKind.
func NewKey(public crypto.PublicKey) (Key, error) {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return Key{Type: "OKP", Curve: "Ed25519", X: Base64.EncodeToString(k)}, nil
	case *ecdsa.PublicKey:
		if point, err := k.Bytes(); err == nil && k.Curve == elliptic.P256() {
			return NewPoint(point), nil
		}
	case *rsa.PublicKey:
		if AlgorithmOf(k) == RS256 {
			return Key{Type: "RSA", Modulus: Base64.EncodeToString(k.N.Bytes()), Exponent: Base64.EncodeToString(big.NewInt(int64(k.E)).Bytes())}, nil
		}
	}
	return Key{}, ErrKind
}

// NewPoint is the JWK of a point on P-256 in uncompressed form (SEC 1 §2.3.3), 65
// bytes.
func NewPoint(point []byte) Key {
	return Key{Type: "EC", Curve: "P-256", X: Base64.EncodeToString(point[1:33]), Y: Base64.EncodeToString(point[33:])}
}

// ParseKey reads a JWK of any kind. The error is ErrKey, or ErrSecret for one with
// a private or a symmetric key in it.
func ParseKey(data []byte) (k Key, err error) {
	secret := false
	texts := map[string]*string{"kty": &k.Type, "crv": &k.Curve, "x": &k.X, "y": &k.Y, "n": &k.Modulus, "e": &k.Exponent, "kid": &k.ID, "use": &k.Use, "alg": &k.Algorithm}
	if !Members(data, func(name, value string) (ok bool) {
		switch name {
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			secret = true
		case "key_ops":
			k.Operations, ok = Strings(value)
			return ok
		}
		if text := texts[name]; text != nil {
			*text, ok = String(value)
			return ok
		}
		return true
	}) {
		return Key{}, ErrKey
	}
	if secret {
		return Key{}, ErrSecret
	}
	return k, nil
}

// Public is the ed25519.PublicKey, the *ecdsa.PublicKey on P-256 or the *rsa.PublicKey. The error is
// ErrKey or ErrKind.
func (k *Key) Public() (crypto.PublicKey, error) {
	switch {
	case k.Type == "OKP" && k.Curve == "Ed25519":
		x, ok := Decode(k.X)
		if !ok || len(x) != ed25519.PublicKeySize {
			return nil, ErrKey
		}
		return ed25519.PublicKey(x), nil
	case k.Type == "EC" && k.Curve == "P-256":
		point, err := k.Point()
		if err != nil {
			return nil, err
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil, ErrKey
		}
		return public, nil
	case k.Type == "RSA":
		return k.rsa()
	}
	return nil, ErrKind
}

func (k *Key) rsa() (crypto.PublicKey, error) {
	n, okN := Decode(k.Modulus)
	e, okE := Decode(k.Exponent)
	if !okN || !okE || len(n) == 0 || len(e) == 0 || len(e) > 4 || n[0] == 0 || e[0] == 0 { // RFC 7518 §6.3.1.1
		return nil, ErrKey
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if AlgorithmOf(public) == "" {
		return nil, ErrKind
	}
	return public, nil
}

// Point is the point on P-256, as [NewPoint] takes it. Whether it is on the curve
// is not checked. The error is ErrKey or ErrKind.
func (k *Key) Point() ([]byte, error) {
	if k.Type != "EC" || k.Curve != "P-256" {
		return nil, ErrKind
	}
	x, okX := Decode(k.X)
	y, okY := Decode(k.Y)
	if !okX || !okY || len(x) != 32 || len(y) != 32 {
		return nil, ErrKey
	}
	return slices.Concat([]byte{4}, x, y), nil
}

// Thumbprint is that of RFC 7638 with SHA-256, in base64url, of a key for which
// Public returns no error. Coordinates have one text, so a key has one thumbprint.
func (k *Key) Thumbprint() string {
	if k.Type == "RSA" {
		sum := sha256.Sum256([]byte(`{"e":"` + k.Exponent + `","kty":"RSA","n":"` + k.Modulus + `"}`))
		return Base64.EncodeToString(sum[:])
	}
	required := `{"crv":"` + k.Curve + `","kty":"` + k.Type + `","x":"` + k.X // in this order
	if k.Type == "EC" {
		required += `","y":"` + k.Y
	}
	sum := sha256.Sum256([]byte(required + `"}`))
	return Base64.EncodeToString(sum[:])
}

// MarshalKeys is the JWK Set (RFC 7517 §5) with these keys.
func MarshalKeys(keys ...Key) []byte {
	if keys == nil {
		keys = []Key{}
	}
	b, err := json.Marshal(struct {
		Keys []Key `json:"keys"`
	}{keys})
	if err != nil {
		panic(err) // texts can be encoded
	}
	return b
}
