package accounts

import (
	"context"
	"slices"

	"github.com/tacet-dev/tacet/internal/directory"
)

// Roles returns all roles in order of name.
func (a *Accounts) Roles(ctx context.Context) ([]directory.Role, error) {
	roles, err := a.directory.Roles(ctx)
	return roles, settle(err)
}

// Role returns a role by name.
func (a *Accounts) Role(ctx context.Context, name string) (directory.Role, error) {
	roles, err := a.Roles(ctx)
	if err != nil {
		return directory.Role{}, err
	}
	known := make([]string, len(roles))
	for i, r := range roles {
		if r.Name == name {
			return r, nil
		}
		known[i] = r.Name
	}
	return directory.Role{}, &directory.NoRoleError{Role: name, Known: known}
}

// AddRole makes a role that nobody holds yet.
func (a *Accounts) AddRole(ctx context.Context, by Actor, name string, permissions ...string) error {
	if err := by.reaches(permissions); err != nil {
		return err
	}
	return settle(a.directory.AddRole(ctx, name, permissions...))
}

// SetPermissions replaces what a role grants.
func (a *Accounts) SetPermissions(ctx context.Context, by Actor, role string, permissions ...string) error {
	next := func([]string) []string { return permissions }
	return a.changeRole(ctx, by, role, next, func() error { return a.directory.SetPermissions(ctx, role, permissions...) })
}

// ChangePermissions takes permissions from a role and adds others.
func (a *Accounts) ChangePermissions(ctx context.Context, by Actor, role string, add, remove []string) error {
	next := func(now []string) []string { return directory.Changed(now, add, remove) }
	return a.changeRole(ctx, by, role, next, func() error { return a.directory.ChangePermissions(ctx, role, add, remove) })
}

// RemoveRole deletes a role and takes it from everybody who holds it.
func (a *Accounts) RemoveRole(ctx context.Context, by Actor, role string) error {
	nothing := func([]string) []string { return nil }
	return a.changeRole(ctx, by, role, nothing, func() error { return a.directory.DeleteRole(ctx, role) })
}

// changeRole applies a change of a role, if its permissions before it and after it
// (next) allow by to.
func (a *Accounts) changeRole(ctx context.Context, by Actor, name string, next func(now []string) []string, apply func() error) error {
	a.taking.Lock()
	defer a.taking.Unlock()
	role, err := a.Role(ctx, name)
	if err != nil {
		return err
	}
	after := next(role.Permissions)
	if err := by.reaches(slices.Concat(role.Permissions, after)); err != nil {
		return err
	}
	if lessens(role.Permissions, after) {
		if err := a.leavesAdministration(ctx, by, withPermissions(name, after)); err != nil {
			return err
		}
	}
	return settle(apply())
}
