package bounded

import (
	"context"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

type sessions struct {
	next                                session.Store
	create, get, move, end, list, sweep *operation
}

// Sessions bounds a session store.
func (c *Config) Sessions(next session.Store) session.Store {
	return &sessions{next,
		c.brief("sessions.create"), c.brief("sessions.get"),
		// A decision has its own limit of time (session.Service), shared by many.
		c.operation("sessions.move", c.Renewals, 0),
		c.brief("sessions.end"), c.brief("sessions.list"),
		c.operation("sessions.sweep", c.Others, 0)}
}

// Create is session.Store.
func (s *sessions) Create(ctx context.Context, sess session.Session) error {
	return run(ctx, s.create, func(ctx context.Context) error { return s.next.Create(ctx, sess) })
}

// Get is session.Store.
func (s *sessions) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	return do(ctx, s.get, func(ctx context.Context) (session.Session, error) { return s.next.Get(ctx, id) })
}

// Move is session.Store.
func (s *sessions) Move(ctx context.Context, m session.Move) (session.Session, error) {
	return do(ctx, s.move, func(ctx context.Context) (session.Session, error) { return s.next.Move(ctx, m) })
}

// End is session.Store.
func (s *sessions) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	err := run(ctx, s.end, func(ctx context.Context) error { return s.next.End(ctx, id, e, ev...) })
	if err == nil {
		s.end.Ended(id, e, ev)
	}
	return err
}

// List is session.Store.
func (s *sessions) List(ctx context.Context, userID string, before rotation.SessionID, limit int) ([]session.Session, error) {
	return do(ctx, s.list, func(ctx context.Context) ([]session.Session, error) {
		return s.next.List(ctx, userID, before, limit)
	})
}

// Sweep is session.Store.
func (s *sessions) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (next rotation.SessionID, deleted int, err error) {
	err = run(ctx, s.sweep, func(ctx context.Context) (err error) {
		next, deleted, err = s.next.Sweep(ctx, from, limit, dead)
		return err
	})
	s.sweep.Swept(deleted)
	return next, deleted, err
}
