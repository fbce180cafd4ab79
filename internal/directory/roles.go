package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Roles returns all roles in order of name.
func (d *Directory) Roles(ctx context.Context) ([]Role, error) { return d.store.Roles(ctx) }

// AddRole makes a role. The error is an [*InvalidError] or wraps [ErrExists].
func (d *Directory) AddRole(ctx context.Context, name string, permissions ...string) error {
	if err := errors.Join(checkRole(name), checkPermissions(permissions)); err != nil {
		return err
	}
	err := d.store.CreateRole(ctx, Role{Name: name, Permissions: sorted(permissions)})
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("there is a role %q already: %w", name, ErrExists)
	}
	d.Invalidate() // also after an error, see update
	return err
}

// DeleteRole takes a role from everybody who holds it and deletes it. The error
// wraps [ErrNotFound].
func (d *Directory) DeleteRole(ctx context.Context, name string) error {
	err := d.store.DeleteRole(ctx, name, d.grantsChanged)
	d.Invalidate()
	if errors.Is(err, ErrNotFound) {
		return d.noRole(ctx, name)
	}
	return err
}

// SetPermissions replaces the permissions of a role. The error is an
// [*InvalidError] or wraps [ErrNotFound].
func (d *Directory) SetPermissions(ctx context.Context, role string, permissions ...string) error {
	return d.changeRole(ctx, role, permissions, func([]string) []string { return permissions })
}

// ChangePermissions takes permissions from a role and adds others, in this
// order. Permissions go in the spelling in which the role has them: what a
// wildcard gives stays. Errors are those of SetPermissions.
func (d *Directory) ChangePermissions(ctx context.Context, role string, add, remove []string) error {
	return d.changeRole(ctx, role, add, func(now []string) []string { return Changed(now, add, remove) })
}

// Changed is what ChangePermissions makes of permissions.
func Changed(now, add, remove []string) []string {
	left := slices.DeleteFunc(slices.Clone(now), func(p string) bool { return slices.Contains(remove, p) })
	return sorted(append(left, add...))
}

// changeRole stores what change makes of a role's permissions and tells every
// holder, unless it is what they were.
func (d *Directory) changeRole(ctx context.Context, role string, added []string, change func(now []string) []string) error {
	if err := checkPermissions(added); err != nil {
		return err
	}
	err := d.store.UpdateRole(ctx, role, func(r *Role) error {
		next := sorted(change(r.Permissions))
		if slices.Equal(next, sorted(r.Permissions)) {
			return errUnchanged
		}
		r.Permissions = next
		return nil
	}, d.grantsChanged)
	if errors.Is(err, errUnchanged) {
		return nil
	}
	d.Invalidate()
	if errors.Is(err, ErrNotFound) {
		return d.noRole(ctx, role)
	}
	return err
}

// GrantRole gives a user a role that exists, RevokeRole takes one away. To do
// it twice changes nothing more. A role that a provider gave and that is given
// here too stays when the provider takes it back. Errors wrap [ErrNotFound].
func (d *Directory) GrantRole(ctx context.Context, userID, role string) error {
	if err := d.rolesExist(ctx, role); err != nil {
		return err
	}
	return d.update(ctx, userID, func(u *User) bool {
		u.External.Roles = without(u.External.Roles, []string{role})
		if slices.Contains(u.Roles, role) {
			return false
		}
		u.Roles = sorted(slices.Concat(u.Roles, []string{role}))
		return true
	})
}

// RevokeRole: see GrantRole. The role need not exist any more.
func (d *Directory) RevokeRole(ctx context.Context, userID, role string) error {
	return d.update(ctx, userID, func(u *User) bool {
		left := slices.DeleteFunc(slices.Clone(u.Roles), func(r string) bool { return r == role })
		changed := len(left) != len(u.Roles)
		u.Roles = left
		return changed
	})
}

// rolesExist returns an error that wraps ErrNotFound and names the first role
// that does not exist.
func (d *Directory) rolesExist(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	roles, err := d.store.Roles(ctx)
	if err != nil {
		return err
	}
	known := make([]string, len(roles))
	for i, r := range roles {
		known[i] = r.Name
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return &NoRoleError{Role: n, Known: known}
		}
	}
	return nil
}

// noRole says that there is no such role, and which there are.
func (d *Directory) noRole(ctx context.Context, name string) error {
	if err := d.rolesExist(ctx, name); err != nil {
		return err
	}
	return &NoRoleError{Role: name} // it has been made since
}

// NoRoleError says that a role does not exist, and which do. It is [ErrNotFound].
type NoRoleError struct {
	Role  string
	Known []string // in order
}

func (e *NoRoleError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("there is no role %q, nor any other yet; add it first", e.Role)
	}
	return fmt.Sprintf("there is no role %q, only %s", e.Role, strings.Join(e.Known, ", "))
}

// Unwrap returns [ErrNotFound].
func (e *NoRoleError) Unwrap() error { return ErrNotFound }

func checkPermissions(permissions []string) error {
	for _, p := range permissions {
		if err := checkPermission(p); err != nil {
			return err
		}
	}
	return nil
}
