package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// User is who a session belongs to, with the grants that access tokens carry.
type User struct {
	wire.User
	Roles         []string
	Permissions   []string
	Scope         string // Permissions as a token carries them (RFC 6749 §3.3)
	GrantsVersion int64
	// Credentials is the generation of the user's credentials: it moves with whatever
	// makes void what the user has approved before, as a new password does.
	Credentials int64
	Settings    map[string]any
}

// ErrNoUser is returned by a Directory for a user who is unknown or disabled:
// the session ends. Any other error of a Directory is an outage: nothing changes.
var ErrNoUser = errors.New("session: no such user, or disabled")

// Directory is where users come from.
type Directory interface {
	// User returns a user who may hold sessions, or ErrNoUser.
	User(ctx context.Context, id string) (User, error)
	// Grants is User for renewals, which happen often: it may leave out all but
	// the id and the grants, and answer from memory if that is up to date with
	// every write of this process and with what other processes had written
	// before the last write of this one.
	Grants(ctx context.Context, id string) (User, error)
}

// Keys makes and checks what the service hands out.
type Keys interface {
	// MAC is the key for new refresh tokens.
	MAC() rotation.Key
	// FindMACKey finds a key by id, also retired ones and those that another
	// node has just made. An error says nothing about the token.
	FindMACKey(context.Context, rotation.KeyID) (rotation.Key, bool, error)
	// Sign makes the access token (RFC 9068).
	Sign(wire.AccessClaims) (string, error)
}

// Lifetimes are the policy of the service. They may be changed between restarts
// without invalidating tokens.
type Lifetimes struct {
	rotation.Policy
	// Access is the lifetime of an access token, in whole seconds; each token
	// lives up to 5 % less so that fleets do not renew in step.
	Access time.Duration
	// Longest is that of the tokens that live longest (Binding.Lifetime); 0: Access.
	Longest time.Duration
}

// Config is what a Service needs. All fields but Links, Observe and
// Undecided are required.
type Config struct {
	Store         Store
	Links         Links // nil: nobody signs in by way of a provider
	Keys          Keys
	Directory     Directory
	Authenticator Authenticator
	Throttle      Throttle
	Lifetimes     Lifetimes
	Issuer        string
	Audience      string
	Clock         func() time.Time
	Rand          io.Reader
	Logger        *slog.Logger
	// Observe, if set, is called after every decision. It must not block.
	Observe func(Decided)
	// Undecided, if set, is called for every refresh token that came to no
	// decision, with an error as Open and Refresh return them. It must not block.
	Undecided func(error)
}

// Decided is one presentation and what came of it, for logs, metrics and the
// demo's picture of the chain.
type Decided struct {
	Session   rotation.SessionID
	Presented rotation.Token // zero for a sign-in
	Outcome   rotation.Outcome
	Started   bool           // a sign-in
	Minted    rotation.Token // zero if no refresh token was handed out
	Contact   Contact
	Head      rotation.Head // after the decision; zero for a sign-in
	HeadFrom  Contact       // who brought that head, or signed in
	At        time.Time
}

// Refusal is returned when a token is authentic but gives no right to anything.
type Refusal struct{ Outcome rotation.Outcome }

func (r *Refusal) Error() string { return "session: refused: " + r.Outcome.String() }

// ErrNotAuthentic is returned by Open for everything that this server's keys
// did not make.
var ErrNotAuthentic = errors.New("session: the refresh token is not authentic")

// ErrUnavailable wraps every failure that says nothing about the session: the
// caller must change and clear nothing and may try again.
var ErrUnavailable = errors.New("session: temporarily unavailable")

// Service is safe for concurrent use.
type Service struct {
	cfg      Config
	inFlight singleflight.Group
	deadline deadline
	shared   *sharedSigning
}

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg, shared: newSharedSigning()} }

// Get returns a session, living or ended. The error is ErrNotFound, or wraps
// ErrUnavailable.
func (s *Service) Get(ctx context.Context, id rotation.SessionID) (Session, error) {
	sess, err := s.cfg.Store.Get(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Session{}, unavailable(err)
	}
	return sess, err
}

// User returns a user who may hold sessions. The error is ErrNoUser, or wraps
// ErrUnavailable.
func (s *Service) User(ctx context.Context, id string) (User, error) {
	u, err := s.cfg.Directory.User(ctx, id)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return User{}, unavailable(err)
	}
	return u, err
}

// Issuer is the iss of access tokens.
func (s *Service) Issuer() string { return s.cfg.Issuer }

// AccessLifetime is how long an access token lives at most.
func (s *Service) AccessLifetime() time.Duration {
	return max(s.cfg.Lifetimes.Access, s.cfg.Lifetimes.Longest)
}

// ExpiresAt is when a session is over unless it is renewed; zero: no limit.
func (s *Service) ExpiresAt(sess Session) time.Time { return s.cfg.Lifetimes.ExpiresAt(sess.State) }

// Open authenticates a refresh token without a look at any session. The error
// is ErrNotAuthentic, or wraps ErrUnavailable.
func (s *Service) Open(ctx context.Context, raw string) (rotation.Token, error) {
	var outage error
	t, err := rotation.Open(func(id rotation.KeyID) (rotation.Key, bool) {
		k, ok, err := s.cfg.Keys.FindMACKey(ctx, id)
		outage = err
		return k, ok
	}, raw)
	switch {
	case err == nil:
		return t, nil
	case outage != nil:
		return rotation.Token{}, s.undecided(unavailable(outage))
	}
	return rotation.Token{}, s.undecided(ErrNotAuthentic)
}

// Now is the clock in the resolution that stores keep.
func (s *Service) Now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Millisecond) }

func (s *Service) random(b []byte) {
	if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
		// crypto/rand never fails (since Go 1.24); a test's reader that ends is a bug of the test.
		panic(fmt.Sprintf("session: random source failed: %v", err))
	}
}

// newID is a UUID of version 7 (RFC 9562 §5.7): ordered by time, so that new
// rows go to the end of the table.
func (s *Service) newID(now time.Time) rotation.SessionID {
	var id rotation.SessionID
	s.random(id[6:])
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

func (s *Service) undecided(err error) error {
	if s.cfg.Undecided != nil && (errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotAuthentic)) {
		s.cfg.Undecided(err)
	}
	return err
}

func (s *Service) observe(d Decided) {
	if s.cfg.Observe != nil {
		s.cfg.Observe(d)
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }
