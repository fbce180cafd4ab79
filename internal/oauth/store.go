package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Client is a registered client (RFC 6749 §2).
type Client struct {
	ID   string
	Name string // shown to the user who signs in
	// SecretHash is the SHA-256 of the secret, which has 256 random bits. Empty:
	// a public client (RFC 6749 §2.1).
	SecretHash []byte
	// OldSecretHash is the secret before the last rotation, good until OldSecretUntil.
	OldSecretHash  []byte    `json:",omitzero"`
	OldSecretUntil time.Time `json:",omitzero"`
	// Scopes are all that the client may ever ask for: identity scopes and
	// permissions.
	Scopes []string
	// Audiences are whom access tokens of the client may be for (RFC 8707); the first
	// is the default. Only one of Tacet's own makes a token good for its own calls.
	Audiences []string `json:",omitzero"`
	// RedirectURIs are where codes may go. None: no authorization code grant.
	RedirectURIs []string
	// LogoutURIs are where the browser may go after signing out.
	LogoutURIs []string
	// IDTokenAlg is the algorithm of its ID tokens; empty: DefaultIDTokenAlg.
	IDTokenAlg string `json:",omitzero"`
	// Device allows the device grant (RFC 8628), which phishing likes.
	Device    bool
	CreatedAt time.Time
}

// Public reports whether the client has no secret.
func (c Client) Public() bool { return len(c.SecretHash) == 0 }

// Key names a flow: the SHA-256 of its code, which nobody can compute backwards.
type Key [sha256.Size]byte

// KeyOf is the key of a code.
func KeyOf(code string) Key { return sha256.Sum256([]byte(code)) }

// Flow is a sign-in under way: an authorization code that waits to be redeemed,
// or a device that waits for its user.
type Flow struct {
	Key      Key    `json:"-"`
	UserCode string // what the user of a device types (normalised); empty for codes
	ClientID string
	// RedirectURI is that of the authorization request, empty if it had none.
	RedirectURI string
	Challenge   string // S256 code challenge; empty for devices
	ProofKey    string `json:",omitzero"` // dpop_jkt (RFC 9449 §10); empty: none
	Scope       string // asked for, as far as the client may have it
	Resource    string `json:",omitzero"` // asked for (RFC 8707); empty: none
	Nonce       string
	UserID      string         // who signed in; empty: nobody yet
	Credentials int64          `json:",omitzero"` // of the user at that time (session.Identity)
	Origin      session.Origin `json:",omitzero"` // who vouched for the user
	SignedInAt  time.Time
	ExpiresAt   time.Time
	Denied      bool // by the user of a device

	Used    bool               // redeemed, or being redeemed
	Reused  bool               // redeemed again
	Session rotation.SessionID // what it was redeemed for

	PolledAt time.Time     // by a device
	Interval time.Duration // between its polls
}

// Errors of a Store. Any other error means that the store could not be reached
// or could not make the write durable.
var (
	ErrNotFound = errors.New("oauth: not found")
	ErrExists   = errors.New("oauth: exists already")
)

// Store keeps clients and flows. NewStore makes it of documents; tests have others.
// Writes are durable when they return; times are
// stored to the millisecond.
type Store interface {
	// Client returns ErrNotFound if there is none.
	Client(ctx context.Context, id string) (Client, error)
	// Clients returns all clients in order of id.
	Clients(ctx context.Context) ([]Client, error)
	// AddClient returns ErrExists if the id is taken.
	AddClient(ctx context.Context, c Client) error
	// UpdateClient loads a client, lets change alter the copy (but for ID), and stores
	// it, in one transaction. ErrNotFound if there is none; an error from change is
	// returned as it is and stores nothing.
	UpdateClient(ctx context.Context, id string, change func(*Client) error) error
	// RemoveClient returns ErrNotFound if there is none.
	RemoveClient(ctx context.Context, id string) error

	// AddFlow adds a flow, which is kept for an hour longer than it can be used.
	// ErrExists if the key, or a UserCode that is not empty, is taken.
	AddFlow(ctx context.Context, f Flow) error
	// FlowByUserCode returns the flow of a device, or ErrNotFound.
	FlowByUserCode(ctx context.Context, code string) (Flow, error)
	// UpdateFlow loads a flow, lets change alter the copy (but for Key, UserCode
	// and ExpiresAt), and stores it, in one transaction. ErrNotFound if there is
	// none; an error from change is returned as it is and stores nothing.
	UpdateFlow(ctx context.Context, k Key, change func(*Flow) error) error
}
