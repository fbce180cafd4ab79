package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// flight is one renewal and what came of it. grant and err are set before done
// is closed.
type flight struct {
	stale  *grant // what it replaces
	cancel context.CancelCauseFunc
	done   chan struct{}
	grant  *grant
	err    error
}

// errSigningOut cancels a renewal that a sign-out overtakes.
var errSigningOut = errors.New("signing out")

// takeOff starts the renewal of stale. s.mu is held and there is no flight.
func (s *Source) takeOff(stale *grant) *flight {
	ctx, cancel := context.WithCancelCause(s.ctx)
	f := &flight{stale: stale, cancel: cancel, done: make(chan struct{})}
	s.flight.Store(f)
	s.work.Go(func() {
		defer cancel(nil)
		ctx, stop := context.WithTimeout(ctx, s.renewTimeout)
		defer stop()
		if err := s.renew(ctx, f); err != nil {
			s.fail(f, err, context.Cause(ctx))
		}
	})
	return f
}

// land publishes g as the flight's result. Only a grant that is still the one
// that the flight set out to replace is replaced: what a sign-in or a sign-out
// did meanwhile stands.
func (s *Source) land(f *flight, g *grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.forced, g.strikes = f.stale.refused.Load(), f.stale.strikesAfter()
	cur := s.cur.Load()
	switch {
	case s.closed:
		f.err = ErrClosed
	case cur == f.stale:
		s.cur.Store(g)
		s.session, s.backoff = g.token.Session, backoff{}
		f.grant = g
	case cur.token.AccessToken != "": // signed in anew
		f.grant = cur
	default:
		f.err = &SignedOutError{Session: g.token.Session}
	}
	s.flight.Store(nil)
	close(f.done)
}

// fail ends the flight with an error that all its waiters share.
func (s *Source) fail(f *flight, err, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, final := errors.AsType[*SignedOutError](err)
	switch {
	case s.closed:
		err = ErrClosed
	case errors.Is(cause, errSigningOut):
		err = &SignedOutError{Session: f.stale.token.Session}
	case final:
		if s.cur.Load() == f.stale {
			s.cur.Store(none())
			s.backoff = backoff{}
			s.tellSignedOut(out)
		}
	default:
		err = s.failed(err, time.Now())
	}
	f.err = err
	s.flight.Store(nil)
	close(f.done)
}

// tellSignedOut calls the hook if the session's end is news. s.mu is held.
func (s *Source) tellSignedOut(err *SignedOutError) {
	known := s.session != ""
	s.session = ""
	if known && s.onSignedOut != nil {
		go s.onSignedOut(err) // not waited for: it may call Close
	}
}

// renew gives the flight a grant other than the stale one, or returns why not.
func (s *Source) renew(ctx context.Context, f *flight) error {
	// Another process may have renewed already; then there is no need for the
	// lock, which a third may hold while it waits for the server.
	if r, err := s.load(ctx); err == nil && s.adopt(f, r) {
		return nil
	}
	unlock, err := s.store.Lock(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // another process is slow, no more
		return &TemporaryError{Op: callRenew.op, Err: &StoreError{"lock", err}}
	} else if err != nil {
		return &StoreError{"lock", err}
	}
	defer unlock()
	for {
		r, err := s.load(ctx)
		if err != nil {
			return err
		}
		if s.adopt(f, r) {
			return nil
		}
		calm := s.know(r.Session.ID)
		renewed, tries, err := s.present(ctx, r)
		if errors.Is(err, errMoved) {
			continue
		} else if err != nil {
			return err
		}
		s.land(f, s.grantOf(renewed, time.Now()))
		if s.confirm && calm && tries == 1 && renewed.RefreshToken != r.RefreshToken {
			// Best effort: without it the token is confirmed by its next use.
			// Not after trouble: an older request may still be on its way, and
			// it is welcome only until its successor is in use.
			_, _ = s.once(ctx, callConfirm, wire.RefreshRequest{RefreshToken: renewed.RefreshToken})
		}
		return nil
	}
}

// adopt lands the flight with the access token in the store if that is usable
// and not the one to replace.
func (s *Source) adopt(f *flight, r record) bool {
	if r.AccessToken == f.stale.token.AccessToken {
		return false
	}
	now := time.Now()
	g := s.grantOf(r, now)
	if !g.usable(now) {
		return false
	}
	s.land(f, g)
	return true
}

// know remembers which session the store holds, and reports whether the last
// renewal went well.
func (s *Source) know(session string) (calm bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
	return s.backoff.failures == 0
}

// errMoved: a refused token is no longer the one in the store.
var errMoved = errors.New("client: the store holds another token now")

// present renews r at the server and stores what came back, before anybody can
// use it. The store's lock is held.
func (s *Source) present(ctx context.Context, r record) (renewed record, tries int, err error) {
	a, tries, err := s.call(ctx, callRenew, wire.RefreshRequest{RefreshToken: r.RefreshToken})
	if err != nil {
		return record{}, tries, err
	}
	if a.problem != nil {
		return record{}, tries, s.refused(ctx, r, a.problem)
	}
	if a.tokens.RefreshToken == "" {
		// The response to a slow duplicate: the refresh token to keep is the
		// newest one that was stored.
		if r, err = s.load(ctx); err != nil {
			return record{}, tries, err
		}
	}
	renewed = r.with(a.tokens, time.Now())
	if err := s.store.Save(ctx, renewed.encode()); err != nil {
		return record{}, tries, &StoreError{"save", err}
	}
	return renewed, tries, nil
}

// refused says what the server's clear no to r means. The store is cleared only
// of the token that was refused.
func (s *Source) refused(ctx context.Context, r record, p *ProblemError) error {
	if p.Code != wire.CodeInvalidGrant {
		return &TemporaryError{Op: callRenew.op, Status: p.Status, Err: p}
	}
	stored, err := s.load(ctx)
	if err == nil && stored.RefreshToken != r.RefreshToken {
		return errMoved
	}
	out := &SignedOutError{Session: r.Session.ID, Err: p}
	if err == nil {
		if err := s.store.Clear(ctx); err != nil {
			out.Err = errors.Join(p, &StoreError{"clear", err})
		}
	}
	return out
}

// load reads the store. That it is empty is a *SignedOutError.
func (s *Source) load(ctx context.Context) (record, error) {
	b, err := s.store.Load(ctx)
	if err != nil {
		return record{}, &StoreError{"load", err}
	}
	if b == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return record{}, &SignedOutError{Session: s.session, Err: ErrNotSignedIn}
	}
	r, err := decodeRecord(b)
	if err != nil {
		return record{}, &StoreError{"load", err}
	}
	if r.Server != s.server.base {
		return record{}, &StoreError{"load", fmt.Errorf("the stored session belongs to %q, but Config.URL is %q; its tokens are not sent there. Correct the URL, use another store, or sign in again", printable(r.Server), s.server.base)}
	}
	return r, nil
}
