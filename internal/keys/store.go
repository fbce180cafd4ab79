package keys

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
)

// Use says what a key is for.
type Use string

const (
	UseSign Use = "sign" // access tokens: a private key, PKCS #8
	UseMAC  Use = "mac"  // refresh and CSRF tokens: 32 random bytes
	// UseEncrypt is for encrypted bodies: a private key, PKCS #8. There are none
	// unless Policy.Encryption asks for them.
	UseEncrypt Use = "enc"
)

// UseIDToken is for ID tokens under an algorithm: a private key, PKCS #8. There are
// none until [Ring.Ensure] asks for them.
func UseIDToken(algorithm string) Use { return useIDToken + Use(algorithm) }

const useIDToken = "id "

// idToken is the algorithm of [UseIDToken]; "" for other uses.
func (u Use) idToken() string {
	alg, ok := strings.CutPrefix(string(u), useIDToken)
	if !ok || !slices.Contains(IDTokenAlgorithms, alg) {
		return ""
	}
	return alg
}

// IDTokenAlgorithms are those that ID tokens can be signed with.
var IDTokenAlgorithms = []string{RS256, ES256, EdDSA}

// Key is a stored key. Sealed is its secret under the master key; stores never
// see it in clear.
type Key struct {
	ID        uint32
	Use       Use
	Algorithm string    // "EdDSA", "ES256", "RS256", "HS256" or "ECDH-P256"
	CreatedAt time.Time // announced from then on
	ActiveAt  time.Time // used for new tokens from then on
	RetiredAt time.Time // still accepted, no longer used; zero: not retired
	Sealed    []byte
}

// ErrConflict is returned by Store.Replace when the ring has moved on.
var ErrConflict = errors.New("keys: the stored ring is not the expected one")

// Store keeps the key ring. NewStore makes it of documents; tests have others. Writers on several nodes are serialised by version.
type Store interface {
	// Load returns the whole ring and its version (0 for a new database).
	Load(ctx context.Context) ([]Key, int64, error)
	// Replace stores ring as version+1, and appends the events, in one
	// transaction, if the stored version is still version, else ErrConflict.
	Replace(ctx context.Context, version int64, ring []Key, ev ...events.Event) error
}
