package accounts

import (
	"context"
	"slices"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

// change is a change as tried out on copies: of any user, and of all roles.
type change func(u *directory.User, roles []directory.Role)

func withoutRole(id, role string) change {
	return func(u *directory.User, _ []directory.Role) {
		if u.ID == id {
			u.Roles = slices.DeleteFunc(slices.Clone(u.Roles), func(r string) bool { return r == role })
		}
	}
}

func disabled(id string) change {
	return func(u *directory.User, _ []directory.Role) { u.Disabled = u.Disabled || u.ID == id }
}

func withPermissions(role string, permissions []string) change {
	return func(_ *directory.User, roles []directory.Role) {
		for i := range roles {
			if roles[i].Name == role {
				roles[i].Permissions = permissions
			}
		}
	}
}

// leavesAdministration checks what a change takes away: nobody loses a permission
// of administration by their own hand, and somebody is left who has all of them.
func (a *Accounts) leavesAdministration(ctx context.Context, by Actor, c change) error {
	roles, err := a.Roles(ctx)
	if err != nil {
		return err
	}
	next := slices.Clone(roles)
	if by.userID != "" {
		own, err := a.User(ctx, by.userID)
		if err != nil {
			return err
		}
		c(&own, next)
		after := administration(own, next)
		for _, p := range wire.AdminPermissions() {
			if by.has(p) && !slices.Contains(after, p) {
				return &OwnError{p}
			}
		}
	}
	if by.evenLast {
		return nil
	}
	return a.leavesOne(ctx, c, roles, next)
}

// leavesOne returns ErrLastAdmin if somebody has every permission of
// administration with roles, and nobody with next after the change.
func (a *Accounts) leavesOne(ctx context.Context, c change, roles, next []directory.Role) error {
	const page = 1000
	had := false
	for after := ""; ; {
		users, err := a.Users(ctx, after, page)
		if err != nil {
			return err
		}
		for _, u := range users {
			had = had || administratesAll(u, roles)
			if c(&u, next); administratesAll(u, next) {
				return nil
			}
		}
		if len(users) < page {
			break
		}
		after = users[len(users)-1].Name
	}
	if had {
		return ErrLastAdmin
	}
	return nil
}

func administratesAll(u directory.User, roles []directory.Role) bool {
	return len(administration(u, roles)) == len(wire.AdminPermissions())
}

// administration is what a user may do of it; nothing while disabled.
func administration(u directory.User, roles []directory.Role) []string {
	if u.Disabled {
		return nil
	}
	granted := directory.PermissionsOf(u, roles)
	return slices.DeleteFunc(wire.AdminPermissions(), func(p string) bool { return !covered(granted, p) })
}

// lessens reports whether next covers less of administration than now.
func lessens(now, next []string) bool {
	return slices.ContainsFunc(wire.AdminPermissions(), func(p string) bool { return covered(now, p) && !covered(next, p) })
}
