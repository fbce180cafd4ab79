package session

import (
	"errors"
	"strings"
	"time"
)

// Client is who makes a request (RFC 6749 §2). The zero Client: the request
// names none.
type Client struct {
	ID string
	// Authenticated is whether the client has shown its secret (RFC 6749 §2.3).
	Authenticated bool
}

// Binding is what the tokens of a response are bound to. The zero Binding: to
// nothing.
type Binding struct {
	// ProofKey is the thumbprint (RFC 7638) of the key that the caller has proved
	// to have (RFC 9449 §6.1).
	ProofKey string
	// EncryptionKey is the thumbprint of the key that the request is encrypted
	// under (docs/encryption.md).
	EncryptionKey string
	// Carried puts the refresh token into the access token, as the claim "chain"
	// ([FromCarried]).
	Carried bool
	// KeepsGrants is for clients that can't renew at a 401 (wire.AccessClaims).
	KeepsGrants bool
	// Lifetime is how long the access token lives, as Lifetimes.Access; 0: that.
	Lifetime time.Duration
}

// Constraint is what a refresh token of a session must be presented with
// (sender constraint, RFC 9700 §2.2.2): "" for nothing, [ByClient], or [ByProof] of
// a key. It is fixed at the sign-in, and stored as it is.
type Constraint string

// ByClient: the client authenticates (RFC 6749 §6).
const ByClient Constraint = "client"

const proofPrefix = "proof "

// ByProof asks for a proof of possession of the key with this thumbprint (RFC 9449
// §5).
func ByProof(key string) Constraint { return Constraint(proofPrefix + key) }

// ProofKey is the key of [ByProof]; "" for other constraints.
func (c Constraint) ProofKey() string {
	key, ok := strings.CutPrefix(string(c), proofPrefix)
	if !ok {
		return ""
	}
	return key
}

// Errors of checks that are made before a decision. They change nothing: the
// token is as good as before, and nobody can end a session with an old copy.
var (
	// ErrClient: the token belongs to a client that has not authenticated, or to
	// another one than the request names.
	ErrClient = errors.New("session: the refresh token belongs to a client that must authenticate, or to another client")
	// ErrProof: the token is bound to a key that the caller has not proved to have.
	ErrProof = errors.New("session: the refresh token is bound to a key that the caller has not proved to have")
	// ErrScope: the request asks for more than was granted at the sign-in (RFC 6749 §6).
	ErrScope = errors.New("session: the request asks for more than was granted at the sign-in")
	// ErrAudience: the request asks for tokens for another audience (RFC 8707 §2.2).
	ErrAudience = errors.New("session: the request asks for tokens for another audience than the session has")
	// ErrOwner: the request names a user who does not own the token.
	ErrOwner = errors.New("session: the refresh token does not belong to the user that the request names")
)

// constraint is that of a session which is started by this client with this
// binding. A client with a secret shows that for every renewal, and may change
// keys (RFC 9449 §5).
func (c Client) constraint(b Binding) Constraint {
	switch {
	case c.Authenticated:
		return ByClient
	case b.ProofKey != "":
		return ByProof(b.ProofKey)
	}
	return ""
}

// mayUse returns ErrClient if a client may not use the tokens of a session.
// Those who name no client may use the tokens of public ones (RFC 6749 §6).
func (c Client) mayUse(s Session) error {
	if s.Constraint == ByClient && !c.Authenticated || c.ID != "" && c.ID != s.ClientID {
		return ErrClient
	}
	return nil
}

// unmet is the error for who shows c where want is asked for, or nil.
func (c Constraint) unmet(want Constraint) error {
	switch {
	case want == "", want == c:
		return nil
	case want == ByClient:
		return ErrClient
	}
	return ErrProof
}
