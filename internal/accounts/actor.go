package accounts

import (
	"context"
	"slices"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

// Actor is who asks for a change.
type Actor struct {
	userID      string
	permissions []string
	operator    bool
}

// Operator is who has the data directory at hand, and so everything.
var Operator = Actor{operator: true}

// Caller is a user of the HTTP API with the permissions that the user has now.
func Caller(userID string, permissions []string) Actor {
	return Actor{userID: userID, permissions: permissions}
}

// AboveError says that what was asked for takes a permission that the caller
// lacks.
type AboveError struct{ Permission string }

func (e *AboveError) Error() string { return "accounts: this takes the permission " + e.Permission }

// OwnError says that the caller would have lost a permission of administration.
type OwnError struct{ Permission string }

func (e *OwnError) Error() string {
	return "accounts: this would take the permission " + e.Permission + " from the one who asks"
}

func (by Actor) is(userID string) bool { return !by.operator && by.userID == userID }

func (by Actor) needs(permission string) error {
	if by.operator || covered(by.permissions, permission) {
		return nil
	}
	return &AboveError{permission}
}

// reaches reports whether by may give these permissions, or change who has them.
func (by Actor) reaches(permissions []string) error {
	for _, p := range wire.AdminPermissions() {
		if covered(permissions, p) {
			if err := by.needs(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *Accounts) reachesUser(ctx context.Context, by Actor, id string) error {
	u, err := a.User(ctx, id)
	if err != nil || by.operator {
		return err
	}
	roles, err := a.Roles(ctx)
	if err != nil {
		return err
	}
	return by.reaches(directory.PermissionsOf(u, roles))
}

func (a *Accounts) reachesRole(ctx context.Context, by Actor, name string) error {
	role, err := a.Role(ctx, name)
	if err != nil {
		return err
	}
	return by.reaches(role.Permissions)
}

// keeps reports whether by has all of its permissions of administration after a
// change, which is tried out on copies.
func (a *Accounts) keeps(ctx context.Context, by Actor, change func(own *directory.User, roles []directory.Role)) error {
	if by.operator {
		return nil
	}
	u, err := a.User(ctx, by.userID)
	if err != nil {
		return err
	}
	roles, err := a.Roles(ctx)
	if err != nil {
		return err
	}
	change(&u, roles)
	after := directory.PermissionsOf(u, roles)
	for _, p := range wire.AdminPermissions() {
		if covered(by.permissions, p) && !covered(after, p) {
			return &OwnError{p}
		}
	}
	return nil
}

func without(role string) func(*directory.User, []directory.Role) {
	return func(u *directory.User, _ []directory.Role) {
		u.Roles = slices.DeleteFunc(u.Roles, func(r string) bool { return r == role })
	}
}

func covered(granted []string, wanted string) bool {
	return slices.ContainsFunc(granted, func(g string) bool { return wire.Covers(g, wanted) })
}
