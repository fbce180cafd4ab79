package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// The algorithms (RFC 8037 §3.1, RFC 7518 §3.3, §3.4). EdDSA, always with Ed25519,
// has this second name (RFC 9864 §2.2). RS256 is for ID tokens, which clients expect
// under it (OpenID Connect Core §15.1), and for tokens of others.
const (
	EdDSA   = "EdDSA"
	Ed25519 = "Ed25519"
	ES256   = "ES256"
	RS256   = "RS256"
)

// SignatureSize is the length of a signature under EdDSA and ES256, in bytes.
const SignatureSize = 64

// The size of RSA keys that can be used, in bits: at least that of RFC 7518 §3.3, at
// most what a signature can be checked with in a millisecond.
const minRSA, maxRSA = 2048, 8192

// Errors of [JWS.Verify].
var (
	ErrAlgorithm = errors.New("jose: alg is not the algorithm of the key")
	ErrSignature = errors.New("jose: the signature is wrong")
)

// Header holds the members of a header that mean something here. jku, x5u and x5c
// are not among them: a token does not get to say which key verifies it.
type Header struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid,omitempty"`
	Type      string          `json:"typ,omitempty"`
	Key       json.RawMessage `json:"jwk,omitempty"` // for proofs of possession (RFC 9449 §4.2)
}

// Encode is the header as the first part of a JWS.
func (h Header) Encode() string {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // Key was encoded here
	}
	return Base64.EncodeToString(b)
}

// IsType reports whether typ is a media type application/…, with or without the
// prefix, in any case (RFC 7515 §4.1.9).
func (h *Header) IsType(typ string) bool {
	const prefix = "application/"
	given := h.Type
	if len(given) > len(prefix) && strings.EqualFold(given[:len(prefix)], prefix) {
		given = given[len(prefix):]
	}
	return strings.EqualFold(given, typ)
}

// JWS is a JWS in compact serialization (RFC 7515 §7.1), taken apart. Nothing of it
// is to be trusted before [JWS.Verify].
type JWS struct {
	Header
	SignatureLen    int    // as it came, in bytes
	signed, payload string // header.payload and payload, in base64url
	signature       [SignatureSize]byte
	long            []byte // a signature of another length
}

// ParseJWS takes a JWS apart; false: it is none, or it has an extension that must
// be understood (RFC 7515 §4.1.11, RFC 7797). The caller limits the size.
func ParseJWS(raw string) (j JWS, ok bool) {
	header, rest, ok1 := strings.Cut(raw, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.ContainsAny(raw, "\r\n") { // which base64 would skip
		return j, false
	}
	j.payload, j.signed = payload, raw[:len(header)+1+len(payload)]
	if len(signature) == Base64.EncodedLen(SignatureSize) {
		n, err := Base64.Decode(j.signature[:], []byte(signature))
		if j.SignatureLen = n; err != nil {
			return j, false
		}
	} else {
		other, ok := Decode(signature)
		if j.SignatureLen, j.long = len(other), other; !ok {
			return j, false
		}
	}
	h, ok := Decode(header)
	return j, ok && Members(h, j.member)
}

func (j *JWS) member(name, value string) (ok bool) {
	switch name {
	case "alg":
		j.Algorithm, ok = String(value)
	case "kid":
		j.KeyID, ok = String(value)
	case "typ":
		j.Type, ok = String(value)
	case "jwk":
		j.Key, ok = json.RawMessage(value), true
	case "crit", "b64":
		ok = false
	default:
		ok = true
	}
	return ok
}

// Payload is what was signed; false: it is not base64url.
func (j *JWS) Payload() ([]byte, bool) { return Decode(j.payload) }

// AlgorithmOf is the one algorithm that a key is for, EdDSA, ES256 or RS256; empty: it
// cannot be used.
func AlgorithmOf(key crypto.PublicKey) string {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return EdDSA
		}
	case *ecdsa.PublicKey:
		if k != nil && k.Curve == elliptic.P256() {
			return ES256
		}
	case *rsa.PublicKey:
		if k != nil && k.N != nil && k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA && k.E > 1 && k.E&1 == 1 {
			return RS256
		}
	}
	return ""
}

// Verify checks the signature. The error is ErrSignature, or ErrAlgorithm if alg is
// not the algorithm of the key: so no key is ever used in another algorithm than
// its own (RFC 8725 §3.1).
func (j *JWS) Verify(key crypto.PublicKey) error {
	algorithm := AlgorithmOf(key)
	if algorithm == "" || j.Algorithm != algorithm && (algorithm != EdDSA || j.Algorithm != Ed25519) {
		return ErrAlgorithm
	}
	good := false
	switch k := key.(type) {
	case ed25519.PublicKey:
		good = ed25519.Verify(k, []byte(j.signed), j.signature[:])
	case *ecdsa.PublicKey:
		digest := sha256.Sum256([]byte(j.signed))
		r := new(big.Int).SetBytes(j.signature[:SignatureSize/2])
		s := new(big.Int).SetBytes(j.signature[SignatureSize/2:])
		good = ecdsa.Verify(k, digest[:], r, s)
	case *rsa.PublicKey:
		digest := sha256.Sum256([]byte(j.signed))
		if rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], j.long) != nil {
			return ErrSignature
		}
		return nil
	}
	if !good || j.SignatureLen != SignatureSize {
		return ErrSignature
	}
	return nil
}

// Sign makes the JWS of a payload. The header is from [Header.Encode]: whoever signs
// often keeps it, so that a token costs hardly more than its signature. The key is
// an Ed25519 key, an ECDSA key on P-256 or an RSA key.
func Sign(key crypto.Signer, header string, payload []byte) (string, error) {
	buf := make([]byte, 0, len(header)+1+Base64.EncodedLen(len(payload))+1+Base64.EncodedLen(SignatureSize))
	buf = append(append(buf, header...), '.')
	buf = Base64.AppendEncode(buf, payload)
	if AlgorithmOf(key.Public()) == RS256 {
		digest := sha256.Sum256(buf)
		s, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return "", fmt.Errorf("jose: sign: %w", err)
		}
		return string(Base64.AppendEncode(append(buf, '.'), s)), nil
	}
	var signature [SignatureSize]byte
	if err := sign(key, buf, &signature); err != nil {
		return "", fmt.Errorf("jose: sign: %w", err)
	}
	buf = append(buf, '.')
	return string(Base64.AppendEncode(buf, signature[:])), nil
}

func sign(key crypto.Signer, message []byte, signature *[SignatureSize]byte) error {
	if k, ok := key.(ed25519.PrivateKey); ok { // the usual case, without an allocation
		copy(signature[:], ed25519.Sign(k, message))
		return nil
	}
	switch AlgorithmOf(key.Public()) {
	case EdDSA:
		s, err := key.Sign(rand.Reader, message, crypto.Hash(0))
		copy(signature[:], s)
		return err
	case ES256:
		digest := sha256.Sum256(message)
		der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return err
		}
		var rs struct{ R, S *big.Int } // RFC 7518 §3.4 wants the numbers side by side
		if _, err := asn1.Unmarshal(der, &rs); err != nil {
			return err
		}
		rs.R.FillBytes(signature[:SignatureSize/2])
		rs.S.FillBytes(signature[SignatureSize/2:])
		return nil
	}
	return errors.New("the key " + ErrKind.Error())
}

// UnverifiedPayload is the payload of a JWS that somebody else verifies; nil if it
// is none.
func UnverifiedPayload(raw string) []byte {
	_, rest, ok1 := strings.Cut(raw, ".")
	payload, _, ok2 := strings.Cut(rest, ".")
	if b, ok := Decode(payload); ok && ok1 && ok2 {
		return b
	}
	return nil
}
