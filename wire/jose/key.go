package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
)

// Errors of keys. The texts are the predicate of a sentence about the key.
var (
	ErrKey    = errors.New("is not a JWK, or its coordinates are not those of a public key")
	ErrSecret = errors.New("contains a secret")
	ErrKind   = errors.New("is neither an Ed25519 key nor an EC key on P-256")
)

// Key is a public key as it is written in a JWK (RFC 7517 §4, RFC 7518 §6.2,
// RFC 8037 §2), in that order.
type Key struct {
	Type       string   `json:"kty"`
	Curve      string   `json:"crv"`
	X          string   `json:"x"`
	Y          string   `json:"y,omitempty"`
	ID         string   `json:"kid,omitempty"`
	Use        string   `json:"use,omitempty"`
	Algorithm  string   `json:"alg,omitempty"`
	Operations []string `json:"key_ops,omitempty"`
}

// NewKey is the JWK of an ed25519.PublicKey or an *ecdsa.PublicKey on P-256, with
// no more than the members that it must have. The error is ErrKind.
func NewKey(public crypto.PublicKey) (Key, error) {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return Key{Type: "OKP", Curve: "Ed25519", X: Base64.EncodeToString(k)}, nil
	case *ecdsa.PublicKey:
		if point, err := k.Bytes(); err == nil && k.Curve == elliptic.P256() {
			return NewPoint(point), nil
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
	texts := map[string]*string{"kty": &k.Type, "crv": &k.Curve, "x": &k.X, "y": &k.Y, "kid": &k.ID, "use": &k.Use, "alg": &k.Algorithm}
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

// Public is the ed25519.PublicKey or the *ecdsa.PublicKey on P-256. The error is
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
	}
	return nil, ErrKind
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
