package accounts

import (
	"context"
	"errors"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// EndSession ends a session of a user whose permissions by has. It works for users
// that are kept elsewhere, too. The error is session.ErrNotFound, an *AboveError, or
// wraps session.ErrUnavailable.
func EndSession(ctx context.Context, s *session.Service, by Actor, id rotation.SessionID) error {
	sess, err := s.Get(ctx, id)
	if err != nil {
		return settle(err)
	}
	if err := reachesHolder(ctx, s, by, sess.UserID); err != nil {
		return err
	}
	return s.End(ctx, id, wire.ReasonEndedByAdmin)
}

// EndSessions ends all sessions of a user whose permissions by has. Errors are those
// of EndSession; a user without sessions is none.
func EndSessions(ctx context.Context, s *session.Service, by Actor, userID string) error {
	if err := reachesHolder(ctx, s, by, userID); err != nil {
		return err
	}
	return s.EndAll(ctx, userID, wire.ReasonEndedByAdmin, rotation.SessionID{})
}

// reachesHolder is reachesUser for the user of a session. One who is unknown or
// disabled has no permissions.
func reachesHolder(ctx context.Context, s *session.Service, by Actor, userID string) error {
	if by.has(wire.PermissionEscalate) {
		return nil
	}
	u, err := s.User(ctx, userID)
	if errors.Is(err, session.ErrNoUser) {
		return nil
	}
	if err != nil {
		return settle(err)
	}
	return by.reaches(u.Permissions)
}
