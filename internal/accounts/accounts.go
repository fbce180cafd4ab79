package accounts

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Accounts is safe for concurrent use. Its errors are *directory.InvalidError,
// *MissingError, *AboveError, *OwnError, ErrLastAdmin, or wrap directory.ErrNotFound
// (*directory.NoRoleError for a role), directory.ErrExists or session.ErrUnavailable.
type Accounts struct {
	directory *directory.Directory
	sessions  *session.Service
	// taking is held while something is taken away, so that two administrators
	// who take it from each other are told apart.
	taking sync.Mutex
}

// New returns the administration of the users of d, whose sessions are in s.
func New(d *directory.Directory, s *session.Service) *Accounts {
	return &Accounts{directory: d, sessions: s}
}

// User returns a user by id.
func (a *Accounts) User(ctx context.Context, id string) (directory.User, error) {
	u, err := a.directory.User(ctx, id)
	if errors.Is(err, directory.ErrNotFound) {
		err = fmt.Errorf("there is no user with the id %q: %w", id, directory.ErrNotFound)
	}
	return u, settle(err)
}

// UserByName returns a user by any spelling of the name.
func (a *Accounts) UserByName(ctx context.Context, name string) (directory.User, error) {
	u, err := a.directory.UserByName(ctx, name)
	return u, settle(err)
}

// Users returns users in order of name, after the name given; at most limit.
func (a *Accounts) Users(ctx context.Context, after string, limit int) ([]directory.User, error) {
	list, err := a.directory.List(ctx, after, limit)
	return list, settle(err)
}

// AddUser makes a user. To give roles takes the permission to write roles.
func (a *Accounts) AddUser(ctx context.Context, by Actor, n directory.NewUser) (directory.User, error) {
	if len(n.Roles) > 0 {
		if !by.has(wire.PermissionRolesWrite) {
			return directory.User{}, &MissingError{wire.PermissionRolesWrite}
		}
		roles, err := a.Roles(ctx)
		if err != nil {
			return directory.User{}, err
		}
		if err := by.reaches(directory.PermissionsOf(directory.User{Roles: n.Roles}, roles)); err != nil {
			return directory.User{}, err
		}
	}
	u, err := a.directory.Add(ctx, n)
	return u, settle(err)
}

// UpdateUser changes a profile. Disabling a user ends the user's sessions.
func (a *Accounts) UpdateUser(ctx context.Context, by Actor, id string, p directory.Profile) error {
	disable := p.Disabled != nil && *p.Disabled
	if disable && by.is(id) {
		return &OwnError{wire.PermissionUsersWrite}
	}
	permissions, err := a.reachesUser(ctx, by, id)
	if err != nil {
		return err
	}
	if disable && lessens(permissions, nil) {
		a.taking.Lock()
		defer a.taking.Unlock()
		if err := a.leavesAdministration(ctx, by, disabled(id)); err != nil {
			return err
		}
	}
	if err := a.directory.Update(ctx, id, p); err != nil || !disable {
		return settle(err)
	}
	return a.sessions.EndAll(ctx, id, wire.ReasonUserDisabled, rotation.SessionID{})
}

// SetPassword sets a user's password and ends all of the user's sessions, also
// the one that the caller may be using.
func (a *Accounts) SetPassword(ctx context.Context, by Actor, id, password string) error {
	if _, err := a.reachesUser(ctx, by, id); err != nil {
		return err
	}
	if err := a.directory.SetPassword(ctx, id, password); err != nil {
		return settle(err)
	}
	return a.sessions.EndAll(ctx, id, wire.ReasonPassword, rotation.SessionID{})
}

// GrantRole gives a user a role.
func (a *Accounts) GrantRole(ctx context.Context, by Actor, id, role string) error {
	if _, err := a.reachesUser(ctx, by, id); err != nil {
		return err
	}
	if err := a.reachesRole(ctx, by, role); err != nil {
		return err
	}
	return settle(a.directory.GrantRole(ctx, id, role))
}

// RevokeRole takes a role from a user, which need not exist any more.
func (a *Accounts) RevokeRole(ctx context.Context, by Actor, id, role string) error {
	permissions, err := a.reachesUser(ctx, by, id)
	if err != nil {
		return err
	}
	if lessens(permissions, nil) {
		a.taking.Lock()
		defer a.taking.Unlock()
		if err := a.leavesAdministration(ctx, by, withoutRole(id, role)); err != nil {
			return err
		}
	}
	return settle(a.directory.RevokeRole(ctx, id, role))
}

// settle gives every error that has no response of its own the one for outages.
func settle(err error) error {
	if err == nil || errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrExists) ||
		errors.As(err, new(*directory.InvalidError)) || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
}
