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

// ErrInvalidCredentials is the one answer to a wrong password, an unknown name
// and a disabled user.
var ErrInvalidCredentials = errors.New("session: wrong username or password")

// Throttled is returned when failed sign-ins have used up what a name or an
// address may try.
type Throttled struct{ RetryAfter time.Duration }

func (t *Throttled) Error() string {
	return fmt.Sprintf("session: too many failed sign-ins; try again in %s", t.RetryAfter)
}

// Authenticator proves who somebody is.
type Authenticator interface {
	// Authenticate returns the id of the user, ErrInvalidCredentials, or
	// another error for an outage. from is where the attempt comes from.
	Authenticate(ctx context.Context, username, password string, from Contact) (userID string, err error)
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
	UserID  string
	Client  Client
	Contact Contact
	Binding Binding // of the tokens, and where the client has no secret, of the session
	Origin  Origin  // zero: the user has signed in here
	Details Details
	// Replaces are sessions that the browser had before: they end with this sign-in.
	Replaces []rotation.SessionID
}

// SignIn checks a password and starts a session of the user who has it. The error
// is ErrInvalidCredentials, a *Throttled, or wraps ErrUnavailable.
func (s *Service) SignIn(ctx context.Context, username, password string, in SignIn) (_ Grant, err error) {
	if in.UserID, err = s.Authenticate(ctx, username, password, in.Contact); err != nil {
		return Grant{}, err
	}
	g, err := s.Start(ctx, in)
	if errors.Is(err, ErrNoUser) { // disabled between the two steps
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
func (s *Service) Start(ctx context.Context, in SignIn) (Grant, error) {
	user, err := s.cfg.Directory.User(ctx, in.UserID)
	if err != nil {
		return Grant{}, unavailable(err)
	}
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
	if in.Origin != (Origin{}) {
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
func (s *Service) Authenticate(ctx context.Context, username, password string, c Contact) (userID string, err error) {
	if wait, ok := s.cfg.Throttle.Allow(username, c.Address); !ok {
		s.cfg.Logger.Warn("sign-in throttled", "address", c.Address.String(), "retry_after", wait.String())
		return "", &Throttled{wait}
	}
	userID, err = s.cfg.Authenticator.Authenticate(ctx, username, password, c)
	switch {
	case errors.Is(err, ErrInvalidCredentials):
		s.cfg.Throttle.Failed(username, c.Address)
		s.cfg.Logger.Info("sign-in refused", "address", c.Address.String())
		return "", ErrInvalidCredentials
	case err != nil:
		s.cfg.Throttle.Released(username, c.Address)
		return "", unavailable(err)
	}
	s.cfg.Throttle.Succeeded(username, c.Address)
	return userID, nil
}
