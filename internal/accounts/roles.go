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
	err := a.mayChangeRole(ctx, by, role, func([]string) []string { return permissions })
	if err != nil {
		return err
	}
	return settle(a.directory.SetPermissions(ctx, role, permissions...))
}

// ChangePermissions takes permissions from a role and adds others.
func (a *Accounts) ChangePermissions(ctx context.Context, by Actor, role string, add, remove []string) error {
	err := a.mayChangeRole(ctx, by, role, func(now []string) []string { return directory.Changed(now, add, remove) })
	if err != nil {
		return err
	}
	return settle(a.directory.ChangePermissions(ctx, role, add, remove))
}

// RemoveRole deletes a role and takes it from everybody who holds it.
func (a *Accounts) RemoveRole(ctx context.Context, by Actor, role string) error {
	if err := a.mayChangeRole(ctx, by, role, func([]string) []string { return nil }); err != nil {
		return err
	}
	return settle(a.directory.DeleteRole(ctx, role))
}

// mayChangeRole checks a change of a role's permissions before it is made.
func (a *Accounts) mayChangeRole(ctx context.Context, by Actor, name string, change func(now []string) []string) error {
	role, err := a.Role(ctx, name)
	if err != nil {
		return err
	}
	next := change(role.Permissions)
	if err := by.reaches(slices.Concat(role.Permissions, next)); err != nil {
		return err
	}
	return a.keeps(ctx, by, func(_ *directory.User, roles []directory.Role) {
		for i := range roles {
			if roles[i].Name == name {
				roles[i].Permissions = next
			}
		}
	})
}
