package session

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
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
	Settings      map[string]any
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
}

// Config is what a Service needs. All fields but Links, Confidential, Observe and
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
	// Confidential, if set, reports whether the sessions of a client are renewed
	// only for callers who have proved to be that client ([ClientProved]).
	Confidential func(ctx context.Context, clientID string) (bool, error)
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

// Grant is a successful answer to a sign-in or a renewal.
type Grant struct {
	AccessToken string
	ExpiresIn   int64 // seconds
	// RefreshToken is empty when the presentation was a slow duplicate: the
	// client holds a newer one already.
	RefreshToken string
	Generation   uint32 // of RefreshToken
	// Carried is whether the access token carries the refresh token; then
	// RefreshToken is empty.
	Carried   bool
	Session   Session
	ExpiresAt time.Time // zero: no limit
	User      User
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
	Config
	inFlight singleflight.Group
	patience patience
	herd     *herd
}

// New returns a Service.
func New(cfg Config) *Service {
	cfg.Store = boundSessions{cfg.Store}
	return &Service{Config: cfg, herd: newHerd()}
}

// maxAttempts bounds the compare-and-swap loop. Every conflict means that some
// other presentation of the same session made progress.
const maxAttempts = 16

// Start opens a session for a user who has just proved who they are.
func (s *Service) Start(ctx context.Context, userID, clientID string, c Contact, how ...Option) (Grant, error) {
	user, err := s.Directory.User(ctx, userID)
	if err != nil {
		return Grant{}, unavailable(err)
	}
	key, err := s.binding(ctx, clientID)
	if err != nil {
		return Grant{}, err
	}
	now := s.now()
	var tag rotation.Tag
	s.random(tag[:])
	sess := Session{
		ID:       marked(s.newID(now), key != ""),
		UserID:   user.ID,
		ClientID: clientID,
		Key:      key,
		State:    rotation.State{Head: rotation.Root(tag), HeadAt: now, CreatedAt: now},
		Contact:  c,
	}
	if err := s.Store.Create(ctx, sess); err != nil {
		return Grant{}, unavailable(err)
	}
	g, minted, err := s.grant(ctx, sess, nil, user, now, true, how...)
	if err != nil {
		return Grant{}, err
	}
	s.observe(Decided{Session: sess.ID, Started: true, Minted: minted, Contact: c, At: now})
	return g, nil
}

// Open authenticates a refresh token without a look at any session. The error
// is ErrNotAuthentic, or wraps ErrUnavailable.
func (s *Service) Open(ctx context.Context, raw string) (rotation.Token, error) {
	var outage error
	t, err := rotation.Open(func(id rotation.KeyID) (rotation.Key, bool) {
		k, ok, err := s.Keys.FindMACKey(ctx, id)
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

// Refresh answers the presentation of a token that came from Open. The error is
// a *Refusal, ErrClient, ErrProof, or wraps ErrUnavailable.
func (s *Service) Refresh(ctx context.Context, t rotation.Token, c Contact, how ...Option) (Grant, error) {
	if err := s.possessed(ctx, t.Session); err != nil {
		return Grant{}, err
	}
	sess, d, herd, err := s.present(ctx, t, c)
	if err != nil {
		return Grant{}, err
	}
	now := s.now()
	seen := Decided{Session: t.Session, Presented: t, Outcome: d.Outcome, Contact: c, Head: d.Head, HeadFrom: sess.Contact, At: now}
	if !d.Outcome.Granted() {
		s.observe(seen)
		return Grant{}, &Refusal{d.Outcome}
	}
	if err := s.proved(ctx, sess.ClientID, how); err != nil {
		return Grant{}, err
	}
	user, err := s.Directory.Grants(ctx, sess.UserID)
	if errors.Is(err, ErrNoUser) {
		if err := s.End(ctx, t.Session, wire.ReasonUserDisabled); err != nil && !errors.Is(err, ErrNotFound) {
			return Grant{}, err
		}
		return Grant{}, &Refusal{rotation.Ended}
	}
	if err != nil {
		return Grant{}, unavailable(err)
	}
	var equals *rotation.Token // the usual renewal has none, and need not be remembered
	if herd {
		equals = &t
	}
	g, minted, err := s.grant(ctx, sess, equals, user, now, d.Outcome.Mints(), how...)
	if err != nil {
		return Grant{}, err
	}
	seen.Minted = minted
	s.observe(seen)
	return g, nil
}

// Confirm makes a token that the client has stored the head at once, so that
// its parent is dead (PROTOCOL.md, "Confirm"). Errors are those of Refresh.
func (s *Service) Confirm(ctx context.Context, t rotation.Token, c Contact) error {
	if err := s.possessed(ctx, t.Session); err != nil {
		return err
	}
	sess, d, _, err := s.present(ctx, t, c)
	if err != nil {
		return err
	}
	s.observe(Decided{Session: t.Session, Presented: t, Outcome: d.Outcome, Contact: c, Head: d.Head, HeadFrom: sess.Contact, At: s.now()})
	if !d.Outcome.Granted() {
		return &Refusal{d.Outcome}
	}
	return nil
}

// present decides on a token and applies the decision. Equal presentations that
// are in flight together are answered by one decision.
// herd says whether this one has equals.
func (s *Service) present(ctx context.Context, t rotation.Token, c Contact) (sess Session, d rotation.Decision, herd bool, err error) {
	type result struct {
		sess Session
		d    rotation.Decision
	}
	v, err, shared := s.inFlight.Do(flightKey(t), func() (any, error) {
		sess, d, err := s.decide(within{s.patience.context(), ctx}, t, c)
		return result{sess, d}, err
	})
	if err != nil {
		return Session{}, rotation.Decision{}, false, s.undecided(err)
	}
	r := v.(result)
	return r.sess, r.d, shared || r.d.Outcome != rotation.Advanced, nil
}

func flightKey(t rotation.Token) string {
	var k [16 + 4 + 8 + 8]byte
	copy(k[:], t.Session[:])
	binary.BigEndian.PutUint32(k[16:], t.Generation)
	copy(k[20:], t.Tag[:])
	copy(k[28:], t.Parent[:])
	return string(k[:])
}

func (s *Service) decide(ctx context.Context, t rotation.Token, c Contact) (Session, rotation.Decision, error) {
	now := s.now()
	head := rotation.Head{Generation: t.Generation, Tag: t.Tag, Parent: t.Parent}
	move := Move{ID: t.Session, Head: head, At: now, Contact: c}

	// The usual renewal is one conditional write, without a read before it.
	if guard, ok := rotation.Expect(t, s.Lifetimes.Policy, now); ok {
		move.Guard = guard
		sess, err := s.Store.Move(ctx, move)
		if err == nil {
			return sess, rotation.Decision{Outcome: rotation.Advanced, Head: head}, nil
		}
		if !errors.Is(err, ErrConflict) {
			return Session{}, rotation.Decision{}, unavailable(err)
		}
	}
	for range maxAttempts {
		sess, err := s.Store.Get(ctx, t.Session)
		if errors.Is(err, ErrNotFound) {
			return Session{}, rotation.Decision{Outcome: rotation.Ended}, nil
		}
		if err != nil {
			return Session{}, rotation.Decision{}, unavailable(err)
		}
		d := rotation.Decide(sess.State, t, s.Lifetimes.Policy, now)
		switch {
		case d.Outcome.Moves():
			move.Guard = sess.State.Guard()
			sess, err = s.Store.Move(ctx, move)
		case d.Outcome == rotation.Reused:
			err = s.revoke(ctx, sess, c, now)
		}
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return Session{}, rotation.Decision{}, unavailable(err)
		}
		if d.Outcome == rotation.CaughtUp {
			s.Logger.Warn("the store had forgotten acknowledged renewals; a token signed by this server proved the newer state",
				"event", "caught_up", "session", t.Session.String(), "generation", t.Generation)
		}
		return sess, d, nil
	}
	return Session{}, rotation.Decision{}, unavailable(fmt.Errorf("session %s changed %d times while one decision was made", t.Session, maxAttempts))
}

// grant signs the answer. The session must be as it is after the decision. Equals
// is the token that was presented, if others present it as well (herd).
func (s *Service) grant(ctx context.Context, sess Session, equals *rotation.Token, u User, now time.Time, mint bool, how ...Option) (Grant, rotation.Token, error) {
	ttl := s.accessSeconds()
	var jti [16]byte
	s.random(jti[:])
	claims := wire.AccessClaims{
		Issuer:        s.Issuer,
		Subject:       u.ID,
		Audience:      s.Audience,
		IssuedAt:      now.Unix(),
		ExpiresAt:     now.Unix() + ttl, // at most ttl from now, as the client is told
		ID:            base64.RawURLEncoding.EncodeToString(jti[:]),
		ClientID:      sess.ClientID,
		SessionID:     sess.ID.String(),
		Roles:         u.Roles,
		Scope:         u.Scope,
		GrantsVersion: u.GrantsVersion,
		Confirmation:  confirmation(ctx),
	}
	g := Grant{
		ExpiresIn: ttl,
		Session:   sess,
		ExpiresAt: s.Lifetimes.ExpiresAt(sess.State),
		User:      u,
	}
	var child rotation.Token
	if mint {
		var tag rotation.Tag
		s.random(tag[:])
		child = rotation.Child(sess.ID, sess.State.Head, tag)
		g.Generation = child.Generation
		if g.Carried = slices.Contains(how, Carried); g.Carried {
			claims.Chain = carry(child)
		} else {
			g.RefreshToken = rotation.Seal(s.Keys.MAC(), child)
		}
	}
	var err error
	if equals == nil || g.Carried {
		g.AccessToken, err = s.Keys.Sign(claims)
	} else {
		g.AccessToken, claims, err = s.herd.sign(*equals, claims, s.Keys.Sign)
		g.ExpiresIn = claims.ExpiresAt - claims.IssuedAt
	}
	if err != nil {
		return Grant{}, rotation.Token{}, unavailable(fmt.Errorf("sign access token: %w", err))
	}
	return g, child, nil
}

// accessSeconds is the lifetime of the next access token: up to 5 % under the
// configured one where that is at least a second's worth.
func (s *Service) accessSeconds() int64 {
	ttl := max(1, int64(s.Lifetimes.Access/time.Second))
	spread := ttl / 20
	if spread == 0 {
		return ttl
	}
	var r [8]byte
	s.random(r[:])
	return ttl - int64(binary.BigEndian.Uint64(r[:])%uint64(spread+1))
}

// now is the clock in the resolution that stores keep.
func (s *Service) now() time.Time { return s.Clock().UTC().Truncate(time.Millisecond) }

func (s *Service) random(b []byte) {
	if _, err := io.ReadFull(s.Rand, b); err != nil {
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
	if s.Undecided != nil {
		s.Undecided(err)
	}
	return err
}

func (s *Service) observe(d Decided) {
	if s.Observe != nil {
		s.Observe(d)
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }
