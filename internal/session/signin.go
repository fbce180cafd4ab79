package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
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
	// another error for an outage.
	Authenticate(ctx context.Context, username, password string) (userID string, err error)
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

// SignIn checks a password and starts a session. The error is
// ErrInvalidCredentials, a *Throttled, or wraps ErrUnavailable.
func (s *Service) SignIn(ctx context.Context, username, password, clientID string, c Contact, how ...Option) (Grant, error) {
	userID, err := s.Authenticate(ctx, username, password, c)
	if err != nil {
		return Grant{}, err
	}
	g, err := s.Start(ctx, userID, clientID, c, how...)
	if errors.Is(err, ErrNoUser) { // disabled between the two steps
		return Grant{}, ErrInvalidCredentials
	}
	if err == nil {
		s.Logger.Info("signed in", "user", userID, "session", g.Session.ID.String(), "address", c.Address.String())
	}
	return g, err
}

// Authenticate is the first half of SignIn, with the same errors: who has this
// name and password. The session may be started later, by Start.
func (s *Service) Authenticate(ctx context.Context, username, password string, c Contact) (userID string, err error) {
	if wait, ok := s.Throttle.Allow(username, c.Address); !ok {
		s.Logger.Warn("sign-in throttled", "address", c.Address.String(), "retry_after", wait.String())
		return "", &Throttled{wait}
	}
	userID, err = s.Authenticator.Authenticate(ctx, username, password)
	switch {
	case errors.Is(err, ErrInvalidCredentials):
		s.Throttle.Failed(username, c.Address)
		s.Logger.Info("sign-in refused", "address", c.Address.String())
		return "", ErrInvalidCredentials
	case err != nil:
		s.Throttle.Released(username, c.Address)
		return "", unavailable(err)
	}
	s.Throttle.Succeeded(username, c.Address)
	return userID, nil
}
