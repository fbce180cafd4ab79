package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// ErrInvalidCredentials is the one response to a wrong password, an unknown name
// and a disabled user.
var ErrInvalidCredentials = errors.New("session: wrong username or password")

// Throttled is returned when failed sign-ins have used up what a name or an
// address may try.
type Throttled struct{ RetryAfter time.Duration }

func (t *Throttled) Error() string {
	return fmt.Sprintf("session: too many failed sign-ins; try again in %s", t.RetryAfter)
}

// ErrVoid says that what a user has approved is void: the credentials with which it was
// approved are not those of now.
var ErrVoid = errors.New("session: the password has changed since, or the user has signed out everywhere")

// Identity is a user who has proved who they are, and the generation of the credentials
// (User.Credentials) at that time. A session may be started with it later: what makes
// the generation move in between makes it void.
type Identity struct {
	UserID      string
	Credentials int64
}

// Authenticator proves who somebody is.
type Authenticator interface {
	// Authenticate returns the user, with the generation that the password was
	// checked against, ErrInvalidCredentials, or another error for an outage. from is
	// where the attempt comes from.
	Authenticate(ctx context.Context, username, password string, from Contact) (Identity, error)
}

// Voider is a Directory that keeps User.Credentials and moves it when the user is
// signed out everywhere. Where a Directory is none, what was approved before that
// stays good for as long as its code lives.
type Voider interface {
	// Void moves the generation. A user who does not exist is no error.
	Void(ctx context.Context, userID string) error
}

// Throttle slows down those who guess. Every attempt that Allow lets through
// must be settled with Failed, Succeeded or Released.
type Throttle interface {
	Allow(name string, from netip.Addr) (retryAfter time.Duration, ok bool)
	Failed(name string, from netip.Addr)
	Succeeded(name string, from netip.Addr)
	// Released settles an attempt that was neither: an outage says nothing
	// about the password.
	Released(name string, from netip.Addr)
}

// SignIn is how a user signs in: what a new session is made of.
type SignIn struct {
	UserID      string
	Credentials int64 // of the Identity
	Client      Client
	Contact     Contact
	Binding     Binding // of the tokens, and where the client has no secret, of the session
	Origin      Origin  // zero: the user has signed in here
	Details     Details
	// Replaces are sessions that the browser had before: they end with this sign-in.
	Replaces []rotation.SessionID
}

// SignIn checks a password and starts a session of the user who has it. The error
// is ErrInvalidCredentials, a *Throttled, or wraps ErrUnavailable.
func (s *Service) SignIn(ctx context.Context, username, password string, in SignIn) (Grant, error) {
	who, err := s.Authenticate(ctx, username, password, in.Contact)
	if err != nil {
		return Grant{}, err
	}
	in.UserID, in.Credentials = who.UserID, who.Credentials
	g, err := s.Start(ctx, in)
	if errors.Is(err, ErrNoUser) || errors.Is(err, ErrVoid) { // between the two steps
		return Grant{}, ErrInvalidCredentials
	}
	if err == nil {
		s.cfg.Logger.Info("signed in", "user", in.UserID, "session", g.Session.ID.String(), "address", in.Contact.Address.String())
	}
	return g, err
}

// Start opens a session for a user who has just proved who they are. One whose origin
// can't be stored could not be ended by the provider, and one that has not ended those
// which it replaces would leave them behind: it is not handed out.
// The error is ErrNoUser, ErrVoid, or wraps ErrUnavailable.
func (s *Service) Start(ctx context.Context, in SignIn) (Grant, error) {
	user, err := s.approved(ctx, in)
	if err != nil {
		return Grant{}, err
	}
	in.Details.limit(user)
	now := s.Now()
	var tag rotation.Tag
	s.random(tag[:])
	sess := Session{
		ID:         s.newID(now),
		UserID:     user.ID,
		ClientID:   in.Client.ID,
		Constraint: in.Client.constraint(in.Binding),
		Details:    in.Details.Encode(),
		State:      rotation.State{Head: rotation.Root(tag), HeadAt: now, CreatedAt: now},
		Contact:    in.Contact,
	}
	if err := s.cfg.Store.Create(ctx, sess); err != nil {
		return Grant{}, unavailable(err)
	}
	g, minted, err := s.grant(response{session: sess, user: user, binding: in.Binding, mints: true, now: now})
	if err != nil {
		return Grant{}, err
	}
	s.observe(Decided{Session: sess.ID, Started: true, Minted: minted, Contact: in.Contact, At: now})
	// Once more: what moved the generation meanwhile has not ended this session.
	_, err = s.approved(ctx, in)
	if err == nil && in.Origin != (Origin{}) {
		err = s.link(ctx, sess, in.Origin)
	}
	if err == nil {
		err = s.replace(ctx, in.Replaces)
	}
	if err != nil {
		_ = s.End(context.WithoutCancel(ctx), sess.ID, reasonUnfinished)
		return Grant{}, err
	}
	return g, nil
}

// approved returns the user of a sign-in, whose credentials are still those of it.
func (s *Service) approved(ctx context.Context, in SignIn) (User, error) {
	user, err := s.cfg.Directory.User(ctx, in.UserID)
	switch {
	case err != nil:
		return User{}, unavailable(err)
	case user.Credentials != in.Credentials:
		return User{}, ErrVoid
	}
	return user, nil
}

// Identify returns the identity of a user whom somebody else has vouched for. The error
// is ErrNoUser, or wraps ErrUnavailable.
func (s *Service) Identify(ctx context.Context, userID string) (Identity, error) {
	user, err := s.User(ctx, userID)
	return Identity{userID, user.Credentials}, err
}

// replace ends the sessions that a browser had before a sign-in. One whose tokens take
// more than a cookie is none of a browser.
func (s *Service) replace(ctx context.Context, ids []rotation.SessionID) error {
	for _, id := range ids {
		sess, err := s.cfg.Store.Get(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && sess.Constraint != "":
			continue
		case err != nil:
			return unavailable(err)
		}
		if err := s.end(ctx, sess, wire.ReasonReplaced); err != nil {
			return err
		}
	}
	return nil
}

// Authenticate is the first half of SignIn, with the same errors: who has this
// name and password. The session may be started later, by Start.
func (s *Service) Authenticate(ctx context.Context, username, password string, c Contact) (Identity, error) {
	if wait, ok := s.cfg.Throttle.Allow(username, c.Address); !ok {
		s.cfg.Logger.Warn("sign-in throttled", "address", c.Address.String(), "retry_after", wait.String())
		return Identity{}, &Throttled{wait}
	}
	who, err := s.cfg.Authenticator.Authenticate(ctx, username, password, c)
	switch {
	case errors.Is(err, ErrInvalidCredentials):
		s.cfg.Throttle.Failed(username, c.Address)
		s.cfg.Logger.Info("sign-in refused", "address", c.Address.String())
		return Identity{}, ErrInvalidCredentials
	case err != nil:
		s.cfg.Throttle.Released(username, c.Address)
		return Identity{}, unavailable(err)
	}
	s.cfg.Throttle.Succeeded(username, c.Address)
	return who, nil
}
