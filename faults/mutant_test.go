package faults

import (
	"context"
	"fmt"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// mutants are servers that are wrong, for the proof that the oracle notices.
var mutants = map[string]func(session.Store) session.Store{
	// A token from the future is taken for a stolen one.
	"no caught_up": func(s session.Store) session.Store { return noCaughtUp{s} },
	// Reuse is refused, and the session goes on.
	"no revocation": func(s session.Store) session.Store { return noRevocation{s} },
	// The compare-and-swap does not compare.
	"no comparison": func(s session.Store) session.Store { return noComparison{s} },
	// Every so often a renewal is answered and not written.
	"forgetful": func(s session.Store) session.Store { return &forgetful{Store: s} },
}

// mutate is app.Config.Sessions.
func mutate(mutant string) (func(*session.Config), error) {
	if mutant == "" {
		return nil, nil
	}
	m, ok := mutants[mutant]
	if !ok {
		return nil, fmt.Errorf("there is no mutant %q", mutant)
	}
	return func(c *session.Config) { c.Store = m(c.Store) }, nil
}

type noCaughtUp struct{ session.Store }

func (n noCaughtUp) Move(ctx context.Context, m session.Move) (session.Session, error) {
	if m.Head.Generation > m.Condition.Generation+1 {
		err := n.End(ctx, m.ID, session.End{Reason: "reuse_detected", At: m.At})
		if err == nil {
			err = session.ErrConflict
		}
		return session.Session{}, err
	}
	return n.Store.Move(ctx, m)
}

type noRevocation struct{ session.Store }

func (n noRevocation) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	if e.Reason == "reuse_detected" {
		return nil
	}
	return n.Store.End(ctx, id, e, ev...)
}

type noComparison struct{ session.Store }

func (n noComparison) Move(ctx context.Context, m session.Move) (session.Session, error) {
	s, err := n.Get(ctx, m.ID)
	if err != nil {
		return session.Session{}, session.ErrConflict
	}
	m.Condition = s.State.Condition()
	return n.Store.Move(ctx, m)
}

type forgetful struct{ session.Store }

func (f *forgetful) Move(ctx context.Context, m session.Move) (session.Session, error) {
	s, err := f.Get(ctx, m.ID)
	if err != nil || m.Head.Tag[0] >= 16 || !m.Condition.Holds(s.State) {
		return f.Store.Move(ctx, m)
	}
	s.State.Head, s.State.HeadAt, s.Contact = m.Head, m.At, m.Contact
	return s, nil
}
