package accounts

import (
	"context"
	"errors"
	"slices"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

// Actor is who asks for a change.
type Actor struct {
	userID      string // empty for the operator and for programs
	permissions []string
	operator    bool
	evenLast    bool
}

// Operator is who has the data directory at hand, and so every permission. The
// last administrator stays all the same, but for OperatorEvenLast.
var (
	Operator         = Actor{operator: true}
	OperatorEvenLast = Actor{operator: true, evenLast: true}
)

// Caller is a user of the HTTP API with the permissions that the user has now, or,
// without a userID, a program with those of its API key.
func Caller(userID string, permissions []string) Actor {
	return Actor{userID: userID, permissions: permissions}
}

// MissingError says that the call takes a permission that the caller lacks.
type MissingError struct{ Permission string }

func (e *MissingError) Error() string { return "accounts: this takes the permission " + e.Permission }

// AboveError says that the change would give, or is about somebody or something
// that has, a permission that the caller lacks.
type AboveError struct{ Permission string }

func (e *AboveError) Error() string {
	return "accounts: the one who asks lacks the permission " + e.Permission + ", which this would give or change"
}

// OwnError says that the caller would have lost a permission of administration.
type OwnError struct{ Permission string }

func (e *OwnError) Error() string {
	return "accounts: this would take the permission " + e.Permission + " from the one who asks"
}

// ErrLastAdmin says that after the change no enabled user would have every
// permission of administration, and before it one has.
var ErrLastAdmin = errors.New("accounts: nobody would be left who has every permission of administration (admin:*)")

func (by Actor) is(userID string) bool { return by.userID != "" && by.userID == userID }

func (by Actor) has(permission string) bool {
	return by.operator || covered(by.permissions, permission)
}

// reaches reports whether by may give these permissions, or change who has them:
// by has each of them, or the permission to go beyond.
func (by Actor) reaches(permissions []string) error {
	if by.has(wire.PermissionEscalate) {
		return nil
	}
	for _, p := range permissions {
		if !by.has(p) {
			return &AboveError{p}
		}
	}
	return nil
}

// reachesUser returns what the user may do, or would if not disabled, if by may
// change that user.
func (a *Accounts) reachesUser(ctx context.Context, by Actor, id string) ([]string, error) {
	u, err := a.User(ctx, id)
	if err != nil {
		return nil, err
	}
	roles, err := a.Roles(ctx)
	if err != nil {
		return nil, err
	}
	permissions := directory.PermissionsOf(u, roles)
	return permissions, by.reaches(permissions)
}

func (a *Accounts) reachesRole(ctx context.Context, by Actor, name string) error {
	role, err := a.Role(ctx, name)
	if err != nil {
		return err
	}
	return by.reaches(role.Permissions)
}

func covered(granted []string, wanted string) bool {
	return slices.ContainsFunc(granted, func(g string) bool { return wire.Covers(g, wanted) })
}
