package oauth

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// Config is what a Server needs. All fields but the last are required.
type Config struct {
	Store    Store
	Sessions *session.Service
	Throttle session.Throttle // of passwords and device codes
	Rand     io.Reader
	Logger   *slog.Logger
	// Access verifies an access token. The error wraps ErrInactive, or is an outage.
	Access func(ctx context.Context, raw string) (wire.AccessClaims, error)
	Tokens IDTokens
	// NativeClient is the client of sessions that the native surface starts: a
	// public client that needs no registration.
	NativeClient string
	// DeviceStarts bounds how often one address may start a device authorization;
	// nil does not. It is not the throttle of passwords, whose counts it would raise.
	DeviceStarts session.Throttle
}

// IDTokens signs and checks JWTs that are no access tokens (typ "JWT").
type IDTokens interface {
	SignJWT(ctx context.Context, algorithm string, payload []byte) (string, error)
	// VerifyJWT returns the payload of what SignJWT made, also of what has expired.
	VerifyJWT(raw string) (payload []byte, ok bool)
	// Ensure makes a key for an algorithm if there is none.
	Ensure(ctx context.Context, algorithm string) error
	// IDTokenAlgorithms are those that there are keys for.
	IDTokenAlgorithms() []string
}

// Server is safe for concurrent use.
type Server struct{ Config }

// New returns a Server.
func New(cfg Config) *Server { return &Server{cfg} }

// Lifetimes of flows.
const (
	// CodeLifetime is short: a code is redeemed as soon as the browser has
	// brought it (RFC 6749 §4.1.2).
	CodeLifetime = time.Minute
	// DeviceLifetime is how long a user has to find a browser and sign in.
	DeviceLifetime = 10 * time.Minute
	// DeviceInterval is how long a device waits between polls (RFC 8628 §3.2).
	DeviceInterval = 5 * time.Second
	// keep is how long a flow that has expired is remembered, to tell expiry and
	// reuse from codes that never were.
	keep = time.Hour
)

// Answer is a successful answer of the token endpoint (RFC 6749 §5.1).
type Answer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"` // "Bearer", or "DPoP" (RFC 9449 §5)
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"` // granted, which may be less than was asked for
	IDToken      string `json:"id_token,omitempty"`
}

func answer(g session.Grant) Answer {
	return Answer{AccessToken: g.AccessToken, TokenType: g.TokenType, ExpiresIn: g.ExpiresIn,
		RefreshToken: g.RefreshToken, Scope: g.Scope}
}
