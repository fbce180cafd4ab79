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
	if err := checkRole(name); err != nil {
		return err
	}
	switch err := d.rolesExist(ctx, name); {
	case err == nil:
		return fmt.Errorf("there is a role %q already: %w", name, ErrExists)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	return d.updateRole(ctx, name, permissions, func(now []string) ([]string, error) {
		if len(now) > 0 { // somebody else was faster
			return nil, fmt.Errorf("there is a role %q already: %w", name, ErrExists)
		}
		return permissions, nil
	})
}

// SetPermissions replaces the permissions of a role. The error is an
// [*InvalidError] or wraps [ErrNotFound].
func (d *Directory) SetPermissions(ctx context.Context, role string, permissions ...string) error {
	return d.changeRole(ctx, role, permissions, func([]string) []string { return permissions })
}

// AddPermissions adds permissions to a role. Errors are those of SetPermissions.
func (d *Directory) AddPermissions(ctx context.Context, role string, permissions ...string) error {
	return d.changeRole(ctx, role, permissions, func(now []string) []string { return slices.Concat(now, permissions) })
}

// RemovePermissions takes permissions from a role.
func (d *Directory) RemovePermissions(ctx context.Context, role string, permissions ...string) error {
	return d.changeRole(ctx, role, nil, func(now []string) []string {
		return slices.DeleteFunc(slices.Clone(now), func(p string) bool { return slices.Contains(permissions, p) })
	})
}

func (d *Directory) changeRole(ctx context.Context, role string, added []string, change func(now []string) []string) error {
	if err := d.rolesExist(ctx, role); err != nil {
		return err
	}
	return d.updateRole(ctx, role, added, func(now []string) ([]string, error) {
		next := sorted(change(now))
		if slices.Equal(next, sorted(now)) {
			return nil, errUnchanged
		}
		return next, nil
	})
}

// updateRole stores what change makes of a role's permissions and tells every
// holder.
func (d *Directory) updateRole(ctx context.Context, role string, added []string, change func(now []string) ([]string, error)) error {
	for _, p := range added {
		if err := checkPermission(p); err != nil {
			return err
		}
	}
	var refused error
	err := d.store.UpdateRole(ctx, role, func(r *Role) error {
		next, err := change(r.Permissions)
		if refused = err; err == nil {
			r.Permissions = sorted(next)
		}
		return err
	}, d.grantsChanged)
	if refused != nil {
		if errors.Is(refused, errUnchanged) {
			return nil
		}
		return refused
	}
	d.Invalidate() // also after an error, see update
	return err
}

// GrantRole gives a user a role that exists, RevokeRole takes one away. To do
// it twice changes nothing more. Errors wrap [ErrNotFound].
func (d *Directory) GrantRole(ctx context.Context, userID, role string) error {
	if err := d.rolesExist(ctx, role); err != nil {
		return err
	}
	return d.update(ctx, userID, func(u *User) bool {
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
		if slices.Contains(known, n) {
			continue
		}
		if len(known) == 0 {
			return fmt.Errorf("there is no role %q, nor any other yet; add it first: %w", n, ErrNotFound)
		}
		return fmt.Errorf("there is no role %q, only %s: %w", n, strings.Join(known, ", "), ErrNotFound)
	}
	return nil
}
