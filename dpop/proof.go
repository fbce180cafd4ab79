package dpop

import (
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/wire/jose"
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

type claims struct {
	id, method, uri, hash string
	at                    time.Time
}

// claim takes in one claim; claims that it does not know are left alone.
func (c *claims) claim(name, value string) (ok bool) {
	switch name {
	case "jti":
		c.id, ok = jose.String(value)
	case "htm":
		c.method, ok = jose.String(value)
	case "htu":
		c.uri, ok = jose.String(value)
	case "ath":
		c.hash, ok = jose.String(value)
	case "iat":
		c.at, ok = jose.Date(value)
	default:
		ok = true
	}
	return ok
}

// Parse makes all checks of RFC 9449 §4.3 that need no memory. values are those
// of the DPoP header field. The error wraps ErrProof.
func Parse(values []string, r Request, now time.Time) (Proof, error) {
	if len(values) != 1 {
		return Proof{}, ErrMissing
	}
	if len(values[0]) > maxProof {
		return Proof{}, ErrMalformed
	}
	j, ok := jose.ParseJWS(values[0])
	payload, ok2 := j.Payload()
	var c claims
	switch {
	case !ok || !ok2 || !jose.Members(payload, c.claim):
		return Proof{}, ErrMalformed
	case !j.IsType(typ):
		return Proof{}, ErrType
	case !slices.Contains(Algorithms, j.Algorithm):
		return Proof{}, ErrAlgorithm
	}
	// One that holds a secret is refused, too (RFC 9449 §4.3, point 7).
	key, err := jose.ParseKey(j.Key)
	if err != nil {
		return Proof{}, ErrKey
	}
	public, err := key.Public()
	if err != nil {
		return Proof{}, ErrKey
	}
	switch err := j.Verify(public); {
	case errors.Is(err, jose.ErrAlgorithm):
		return Proof{}, ErrKey
	case err != nil:
		return Proof{}, ErrSignature
	}
	if c.id == "" || len(c.id) > maxID || c.at.IsZero() {
		return Proof{}, ErrMalformed
	}
	switch {
	case c.method != r.Method:
		return Proof{}, ErrMethod
	case !sameURI(c.uri, r.URI):
		return Proof{}, ErrURI
	case now.Sub(c.at) > MaxAge || c.at.Sub(now) > MaxAhead:
		return Proof{}, ErrTime
	case r.AccessToken != "" && c.hash != Hash(r.AccessToken):
		return Proof{}, ErrToken
	}
	return Proof{Key: key.Thumbprint(), id: c.id}, nil
}

// Hash is the ath of an access token (RFC 9449 §4.2).
func Hash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return jose.Base64.EncodeToString(sum[:])
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
