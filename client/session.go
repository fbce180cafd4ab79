package client

import (
	"context"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// Session is who is signed in.
type Session struct {
	ID string
	// ExpiresAt is when it ends if it is not renewed again, by the server's
	// clock; zero if the server sets no limit.
	ExpiresAt time.Time
	User      wire.User
}

// SignIn starts a session with a name and a password and puts it in the store,
// in place of one that may be there; that one goes on at the server (call
// SignOut first to end it). Refused: a [*ProblemError] with code
// wire.CodeInvalidCredentials. Throttled: a [*TemporaryError] with RetryAfter.
// It is tried once.
func (s *Source) SignIn(ctx context.Context, username, password string) (Session, error) {
	if s.ctx.Err() != nil {
		return Session{}, ErrClosed
	}
	a, terr := s.once(ctx, callSignIn, wire.LoginRequest{Username: username, Password: password, Delivery: wire.DeliveryBody})
	switch {
	case terr != nil:
		return Session{}, terr
	case a.problem != nil:
		return Session{}, a.problem
	case a.tokens.RefreshToken == "":
		return Session{}, &TemporaryError{Op: callSignIn.op, Status: a.status, Err: errors.New("the response has no refresh token; does the server know body delivery?")}
	}
	r := record{Version: recordVersion, Server: s.server.base}.with(a.tokens, time.Now())
	if err := s.keep(ctx, r); err != nil {
		// A session that cannot be kept is ended, as far as that is possible.
		_, _ = s.once(context.WithoutCancel(ctx), callSignOut, wire.LogoutRequest{RefreshToken: r.RefreshToken})
		return Session{}, err
	}
	return r.whose(), nil
}

// keep puts a session that was just started in the store and in use.
func (s *Source) keep(ctx context.Context, r record) error {
	unlock, err := s.store.Lock(ctx)
	if err != nil {
		return &StoreError{"lock", err}
	}
	defer unlock()
	if err := s.store.Save(ctx, r.encode()); err != nil {
		return &StoreError{"save", err}
	}
	s.replace(s.grantOf(r, time.Now()), r.Session.ID)
	return nil
}

// SignOut forgets the session at once, giving up a renewal that is running, and
// then ends it at the server. If the server could not be told, the error is a
// [*TemporaryError]: the session stays there, without anyone who could use it,
// until it expires. Without a session SignOut does nothing.
func (s *Source) SignOut(ctx context.Context) error { return s.signOut(ctx, false) }

// SignOutEverywhere is SignOut for all sessions of the user.
func (s *Source) SignOutEverywhere(ctx context.Context) error { return s.signOut(ctx, true) }

func (s *Source) signOut(ctx context.Context, everywhere bool) error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	r, err := s.forget(ctx)
	if r.RefreshToken == "" {
		return err
	}
	a, _, told := s.call(ctx, callSignOut, wire.LogoutRequest{RefreshToken: r.RefreshToken, Everywhere: everywhere})
	if told == nil && a.problem != nil {
		told = a.problem
	}
	if told == nil {
		return err
	}
	return errors.Join(told, err)
}

// forget clears the store and returns what was in it: nothing, if nobody was
// signed in or nobody can be told.
func (s *Source) forget(ctx context.Context) (record, error) {
	s.mu.Lock()
	if f := s.flight.Load(); f != nil {
		f.cancel(errSigningOut)
	}
	s.mu.Unlock()
	unlock, err := s.store.Lock(ctx)
	if err != nil {
		return record{}, &StoreError{"lock", err}
	}
	defer unlock()
	r, err := s.load(ctx)
	if errors.Is(err, ErrNotSignedIn) {
		err = nil
	}
	if e := s.store.Clear(ctx); e != nil {
		err = errors.Join(err, &StoreError{"clear", e})
	}
	s.replace(none(), "")
	return r, err
}

// replace makes g the grant in use. The store's lock is held, and the store
// says the same.
func (s *Source) replace(g *grant, session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		g = none()
	}
	s.cur.Store(g)
	s.session, s.backoff = session, backoff{}
}

// Session returns who is signed in, from the store, without asking the server.
// An empty store is a [*SignedOutError] with [ErrNotSignedIn].
func (s *Source) Session(ctx context.Context) (Session, error) {
	if s.ctx.Err() != nil {
		return Session{}, ErrClosed
	}
	r, err := s.load(ctx)
	if err != nil {
		return Session{}, err
	}
	return r.whose(), nil
}

func (r record) whose() Session {
	w := Session{ID: r.Session.ID}
	// A time that cannot be read is one that is not known.
	w.ExpiresAt, _ = time.Parse(time.RFC3339, r.Session.ExpiresAt)
	if r.User != nil {
		w.User = *r.User
	}
	return w
}
