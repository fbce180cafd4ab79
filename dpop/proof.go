package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Names on the wire.
const (
	Header = "DPoP" // the header field, and the scheme of Authorization
	typ    = "dpop+jwt"
)

// Algorithms are those that proofs may be signed with, as metadata and challenges
// list them. The last two are one (RFC 9864 §2.2).
var Algorithms = []string{"ES256", "Ed25519", "EdDSA"}

const (
	// MaxAge and MaxAhead are how old a proof may be, and how far ahead the clock
	// of its maker (RFC 9449 §11.1).
	MaxAge   = time.Minute
	MaxAhead = 15 * time.Second

	maxProof = 4096 // bytes; a usual one has 500
	maxID    = 256
)

// Errors of Parse; all wrap ErrProof. Their texts repeat nothing that was sent.
var (
	ErrProof     = errors.New("dpop: the proof is not accepted")
	ErrMissing   = refusal("exactly one DPoP header is needed")
	ErrMalformed = refusal("the proof is not a JWT with the members that it needs")
	ErrType      = refusal("the typ of the proof is not dpop+jwt")
	ErrAlgorithm = refusal("the proof is not signed with ES256 or Ed25519")
	ErrKey       = refusal("the jwk of the proof is no public key for its alg")
	ErrSignature = refusal("the signature of the proof is wrong")
	ErrMethod    = refusal("htm is not the method of the request")
	ErrURI       = refusal("htu is not the URI of the request")
	ErrTime      = refusal("iat is too old or in the future")
	ErrToken     = refusal("ath is not the hash of the access token")
	ErrReplay    = refusal("the proof was used before")
)

type refused struct{ text string }

func refusal(text string) error      { return &refused{text} }
func (r *refused) Error() string     { return "dpop: " + r.text }
func (r *refused) Is(err error) bool { return err == ErrProof }

// Describe is the reason in a sentence for the client's developer, printable
// ASCII without quotes (RFC 6749 §5.2).
func Describe(err error) string {
	var r *refused
	if errors.As(err, &r) {
		return r.text
	}
	return "the proof is not accepted"
}

// Request is what a proof must be about.
type Request struct {
	Method string
	URI    string // absolute; query and fragment do not count
	// AccessToken is the token that the request carries: the proof must hold its
	// hash. Empty: none, as at the token endpoint.
	AccessToken string
}

// Proof is one that was signed by the holder of the key, for this request.
type Proof struct {
	Key string // thumbprint of the public key (RFC 7638, SHA-256, base64url)
	id  string
}

type header struct {
	Typ  string          `json:"typ"`
	Alg  string          `json:"alg"`
	JWK  json.RawMessage `json:"jwk"`
	Crit json.RawMessage `json:"crit"`
}

type claims struct {
	ID     string       `json:"jti"`
	Method string       `json:"htm"`
	URI    string       `json:"htu"`
	At     *json.Number `json:"iat"`
	Hash   string       `json:"ath"`
}

var b64 = base64.RawURLEncoding.Strict()

// Parse makes all checks of RFC 9449 §4.3 that need no memory. values are those
// of the DPoP header field. The error wraps ErrProof.
func Parse(values []string, r Request, now time.Time) (Proof, error) {
	if len(values) != 1 {
		return Proof{}, ErrMissing
	}
	raw := values[0]
	head, rest, ok := strings.Cut(raw, ".")
	body, sig, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || len(raw) > maxProof || strings.ContainsAny(raw, "\r\n") {
		return Proof{}, ErrMalformed
	}
	var h header
	var c claims
	signature, err := b64.DecodeString(sig)
	if err != nil || !decode(head, &h) || !decode(body, &c) || h.Crit != nil {
		return Proof{}, ErrMalformed
	}
	switch {
	case !strings.EqualFold(h.Typ, typ) && !strings.EqualFold(h.Typ, "application/"+typ):
		return Proof{}, ErrType
	case !slices.Contains(Algorithms, h.Alg):
		return Proof{}, ErrAlgorithm
	}
	key, thumbprint, err := publicKey(h.JWK, h.Alg)
	if err != nil {
		return Proof{}, err
	}
	if !signed(key, head+"."+body, signature) {
		return Proof{}, ErrSignature
	}
	if c.ID == "" || len(c.ID) > maxID || c.At == nil {
		return Proof{}, ErrMalformed
	}
	seconds, err := c.At.Float64()
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return Proof{}, ErrMalformed
	}
	at := time.Unix(int64(seconds), 0)
	switch {
	case c.Method != r.Method:
		return Proof{}, ErrMethod
	case !sameURI(c.URI, r.URI):
		return Proof{}, ErrURI
	case now.Sub(at) > MaxAge || at.Sub(now) > MaxAhead:
		return Proof{}, ErrTime
	case r.AccessToken != "" && c.Hash != Hash(r.AccessToken):
		return Proof{}, ErrToken
	}
	return Proof{Key: thumbprint, id: c.ID}, nil
}

// Hash is the ath of an access token (RFC 9449 §4.2).
func Hash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return b64.EncodeToString(sum[:])
}

func decode(part string, into any) bool {
	b, err := b64.DecodeString(part)
	return err == nil && json.Unmarshal(b, into) == nil
}

// publicKey reads the jwk (RFC 7518 §6.2, RFC 8037 §2) and its thumbprint. One
// that holds a secret is refused (RFC 9449 §4.3, point 7).
func publicKey(raw json.RawMessage, alg string) (crypto.PublicKey, string, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil, "", ErrKey
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if members[secret] != nil {
			return nil, "", ErrKey
		}
	}
	text := func(name string) (s string) {
		_ = json.Unmarshal(members[name], &s) // what is no text is as good as missing
		return s
	}
	coordinate := func(name string) []byte {
		b, err := b64.DecodeString(text(name))
		if err != nil || len(b) != 32 {
			return nil
		}
		return b
	}
	x, y := coordinate("x"), coordinate("y")
	switch kty, crv := text("kty"), text("crv"); {
	case alg != "ES256" && kty == "OKP" && crv == "Ed25519" && x != nil:
		return ed25519.PublicKey(x), thumbprint(`{"crv":"Ed25519","kty":"OKP","x":"` + text("x") + `"}`), nil
	case alg == "ES256" && kty == "EC" && crv == "P-256" && x != nil && y != nil:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, "", ErrKey
		}
		return key, thumbprint(`{"crv":"P-256","kty":"EC","x":"` + text("x") + `","y":"` + text("y") + `"}`), nil
	}
	return nil, "", ErrKey
}

// thumbprint is RFC 7638 §3, of the required members in order. They are base64url
// that was decoded strictly, so there is one text for a key.
func thumbprint(members string) string {
	sum := sha256.Sum256([]byte(members))
	return b64.EncodeToString(sum[:])
}

func signed(key crypto.PublicKey, message string, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, []byte(message), signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256([]byte(message))
		return ecdsa.Verify(k, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	}
	return false
}

// sameURI compares without query and fragment, by the rules of RFC 3986 §6.2.2
// and §6.2.3 that change no meaning anywhere: case of scheme and host, default
// ports, an empty path.
func sameURI(a, b string) bool {
	x, errX := normalURI(a)
	y, errY := normalURI(b)
	return errX == nil && errY == nil && x == y
}

func normalURI(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if scheme == "" || host == "" || u.User != nil {
		return "", ErrURI
	}
	if scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else if scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	}
	path := (&url.URL{Path: u.Path, RawPath: u.RawPath}).EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, nil
}
