package session

import (
	"context"

	"github.com/tacet-dev/tacet/rotation"
)

// Peek returns the session of a token (from Open) that Refresh would accept,
// else a *Refusal. It changes nothing, whatever it finds: reading with a cookie
// is no renewal, and a copy that turns up here is found out when it renews.
func (s *Service) Peek(ctx context.Context, t rotation.Token) (Session, error) {
	sess, err := s.Living(ctx, t.Session)
	if err != nil {
		return Session{}, err
	}
	if d := rotation.Decide(sess.State, t, s.Lifetimes.Policy, s.now()); !d.Outcome.Granted() {
		return Session{}, &Refusal{d.Outcome}
	}
	return sess, nil
}
