package bounded

import (
	"context"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
)

type users struct {
	next                                                                                              directory.Store
	byName, byID, byExternal, list, create, update, remove, roles, createRole, updateRole, deleteRole *operation
}

// Directory bounds a directory store.
func (c *Config) Directory(next directory.Store) directory.Store {
	return &users{next,
		c.brief("users.by_name"), c.brief("users.by_id"), c.brief("users.by_external"), c.brief("users.list"), c.brief("users.create"), c.brief("users.update"), c.brief("users.delete"),
		c.brief("roles.list"), c.brief("roles.create"),
		c.operation("roles.update", c.Others, 0), c.operation("roles.delete", c.Others, 0)}
}

// UserByName is directory.Store.
func (u *users) UserByName(ctx context.Context, name string) (directory.User, error) {
	return do(ctx, u.byName, func(ctx context.Context) (directory.User, error) { return u.next.UserByName(ctx, name) })
}

// UserByID is directory.Store.
func (u *users) UserByID(ctx context.Context, id string) (directory.User, error) {
	return do(ctx, u.byID, func(ctx context.Context) (directory.User, error) { return u.next.UserByID(ctx, id) })
}

// UserByExternal is directory.Store.
func (u *users) UserByExternal(ctx context.Context, issuer, subject string) (directory.User, error) {
	return do(ctx, u.byExternal, func(ctx context.Context) (directory.User, error) {
		return u.next.UserByExternal(ctx, issuer, subject)
	})
}

// Users is directory.Store.
func (u *users) Users(ctx context.Context, after string, limit int) ([]directory.User, error) {
	return do(ctx, u.list, func(ctx context.Context) ([]directory.User, error) { return u.next.Users(ctx, after, limit) })
}

// CreateUser is directory.Store.
func (u *users) CreateUser(ctx context.Context, user directory.User) error {
	return run(ctx, u.create, func(ctx context.Context) error { return u.next.CreateUser(ctx, user) })
}

// UpdateUser is directory.Store.
func (u *users) UpdateUser(ctx context.Context, id string, change func(*directory.User) ([]events.Event, error)) error {
	return run(ctx, u.update, func(ctx context.Context) error { return u.next.UpdateUser(ctx, id, change) })
}

// DeleteUser is directory.Store.
func (u *users) DeleteUser(ctx context.Context, id string) error {
	return run(ctx, u.remove, func(ctx context.Context) error { return u.next.DeleteUser(ctx, id) })
}

// Roles is directory.Store.
func (u *users) Roles(ctx context.Context) ([]directory.Role, error) {
	return do(ctx, u.roles, func(ctx context.Context) ([]directory.Role, error) { return u.next.Roles(ctx) })
}

// CreateRole is directory.Store.
func (u *users) CreateRole(ctx context.Context, r directory.Role) error {
	return run(ctx, u.createRole, func(ctx context.Context) error { return u.next.CreateRole(ctx, r) })
}

// UpdateRole is directory.Store.
func (u *users) UpdateRole(ctx context.Context, name string, change func(*directory.Role) error, changed func(directory.User) events.Event) error {
	return run(ctx, u.updateRole, func(ctx context.Context) error { return u.next.UpdateRole(ctx, name, change, changed) })
}

// DeleteRole is directory.Store.
func (u *users) DeleteRole(ctx context.Context, name string, changed func(directory.User) events.Event) error {
	return run(ctx, u.deleteRole, func(ctx context.Context) error { return u.next.DeleteRole(ctx, name, changed) })
}
