package session

import (
	"context"
	"errors"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// SignOut ends the session of a presented token, dead or alive. With everywhere,
// it ends all sessions of the user, if the session lives, the token is the head
// or newer, and everything is shown that a renewal needs: an old or a stolen
// token ends its own session at most. The error is Forged of the presentation, or
// wraps ErrUnavailable.
func (s *Service) SignOut(ctx context.Context, p Presentation, everywhere bool) error {
	if p.Forged != nil {
		return p.Forged
	}
	sess, err := s.Get(ctx, p.Token.Session)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case everywhere && p.check(sess, s.cfg.Audience) == nil && rotation.Decide(sess.State, p.Token, s.cfg.Lifetimes.Policy, s.Now()).Outcome.Mints():
		return s.EndAll(ctx, sess.UserID, wire.ReasonSignedOut, rotation.SessionID{})
	}
	return s.end(ctx, sess, wire.ReasonSignedOut)
}

// Revoke ends a session for a client (RFC 7009 §2.1). One that is over is no
// error. The error is ErrClient, or wraps ErrUnavailable.
func (s *Service) Revoke(ctx context.Context, id rotation.SessionID, c Client) error {
	sess, err := s.Living(ctx, id)
	if errors.As(err, new(*Refusal)) {
		return nil
	}
	if err == nil {
		err = c.mayUse(sess)
	}
	if err != nil {
		return err
	}
	return s.end(ctx, sess, wire.ReasonSignedOut)
}
