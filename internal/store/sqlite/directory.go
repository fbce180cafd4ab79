package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	sqlite3 "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
)

// Directory returns the store of users and roles. Names are ordered by their
// UTF-8 bytes.
func (db *DB) Directory() directory.Store { return users{db} }

type users struct{ db *DB }

const selectUser = `SELECT u.id, u.name, u.display_name, u.email, u.password_hash, u.disabled, u.grants_version, u.credentials, u.created_at,
	u.issuer, u.subject, u.provider_roles, (SELECT json_group_array(role ORDER BY role) FROM user_roles WHERE user_id = u.id) FROM users u `

func (st users) UserByName(ctx context.Context, name string) (directory.User, error) {
	return read(ctx, st.db, func(c *conn) (directory.User, error) { return c.user("WHERE u.name = ?", name) })
}

func (st users) UserByID(ctx context.Context, id string) (directory.User, error) {
	return read(ctx, st.db, func(c *conn) (directory.User, error) { return c.user("WHERE u.id = ?", id) })
}

func (st users) UserByExternal(ctx context.Context, issuer, subject string) (directory.User, error) {
	if issuer == "" {
		return directory.User{}, directory.ErrNotFound
	}
	return read(ctx, st.db, func(c *conn) (directory.User, error) {
		return c.user("WHERE u.issuer <> '' AND u.issuer = ? AND u.subject = ?", issuer, subject)
	})
}

func (st users) Users(ctx context.Context, after string, limit int) ([]directory.User, error) {
	return read(ctx, st.db, func(c *conn) ([]directory.User, error) {
		return c.users("WHERE u.name > ? ORDER BY u.name LIMIT ?", after, int64(max(limit, 0)))
	})
}

func (c *conn) users(where string, args ...any) (list []directory.User, err error) {
	err = c.query(context.Background(), selectUser+where, args, func(r *row) error {
		u := directory.User{ID: r.text(), Name: r.text(), DisplayName: r.text(), Email: r.text(), PasswordHash: r.text(),
			Disabled: r.int() != 0, GrantsVersion: r.int(), Credentials: r.int(), CreatedAt: instant(r.int())}
		u.External.Issuer, u.External.Subject = r.text(), r.text()
		given, roles := r.text(), r.text()
		if err := errors.Join(json.Unmarshal([]byte(given), &u.External.Roles), json.Unmarshal([]byte(roles), &u.Roles)); err != nil {
			return err
		}
		list = append(list, u)
		return nil
	})
	return list, err
}

func (c *conn) user(where string, args ...any) (directory.User, error) {
	list, err := c.users(where, args...)
	if err != nil {
		return directory.User{}, err
	}
	if len(list) == 0 {
		return directory.User{}, directory.ErrNotFound
	}
	return list[0], nil
}

func (st users) CreateUser(ctx context.Context, u directory.User) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		given, err := rolesText(u.External.Roles)
		if err != nil {
			return struct{}{}, err
		}
		_, err = w.exec(`INSERT INTO users (id, name, display_name, email, password_hash, disabled, grants_version, credentials, created_at,
			issuer, subject, provider_roles) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			u.ID, u.Name, u.DisplayName, u.Email, u.PasswordHash, flag(u.Disabled), u.GrantsVersion, u.Credentials, millis(u.CreatedAt),
			u.External.Issuer, u.External.Subject, given)
		if err != nil {
			return struct{}{}, taken(err)
		}
		return struct{}{}, w.setRoles(u)
	})
	return err
}

func (st users) UpdateUser(ctx context.Context, id string, change func(*directory.User) ([]events.Event, error)) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		u, err := w.user("WHERE u.id = ?", id)
		if err != nil {
			return struct{}{}, err
		}
		ev, err := change(&u)
		if err != nil {
			return struct{}{}, err
		}
		if u.ID != id {
			return struct{}{}, errImmutable("id", id)
		}
		given, err := rolesText(u.External.Roles)
		if err != nil {
			return struct{}{}, err
		}
		_, err = w.exec(`UPDATE users SET name = ?, display_name = ?, email = ?, password_hash = ?, disabled = ?,
			grants_version = ?, credentials = ?, created_at = ?, issuer = ?, subject = ?, provider_roles = ? WHERE id = ?`,
			u.Name, u.DisplayName, u.Email, u.PasswordHash, flag(u.Disabled), u.GrantsVersion, u.Credentials, millis(u.CreatedAt),
			u.External.Issuer, u.External.Subject, given, id)
		if err != nil {
			return struct{}{}, taken(err)
		}
		if err := w.setRoles(u); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, w.append(ev)
	})
	return err
}

func (st users) DeleteUser(ctx context.Context, id string) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		if _, err := w.user("WHERE u.id = ?", id); err != nil {
			return struct{}{}, err
		}
		if _, err := w.exec("DELETE FROM user_roles WHERE user_id = ?", id); err != nil {
			return struct{}{}, err
		}
		_, err := w.exec("DELETE FROM users WHERE id = ?", id)
		return struct{}{}, err
	})
	return err
}

// rolesText is the stored form of the roles that a provider gave.
func rolesText(roles []string) (string, error) {
	b, err := json.Marshal(append([]string{}, roles...))
	return string(b), err
}

func (w *writer) setRoles(u directory.User) error {
	if _, err := w.exec("DELETE FROM user_roles WHERE user_id = ?", u.ID); err != nil {
		return err
	}
	for _, role := range u.Roles {
		if _, err := w.exec("INSERT OR IGNORE INTO user_roles (user_id, role) VALUES (?, ?)", u.ID, role); err != nil {
			return err
		}
	}
	return nil
}

const selectRole = "SELECT name, permissions FROM roles "

func (c *conn) roles(where string, args ...any) (list []directory.Role, err error) {
	err = c.query(context.Background(), selectRole+where, args, func(r *row) error {
		role := directory.Role{Name: r.text()}
		if err := json.Unmarshal([]byte(r.text()), &role.Permissions); err != nil {
			return err
		}
		list = append(list, role)
		return nil
	})
	return list, err
}

func (st users) Roles(ctx context.Context) ([]directory.Role, error) {
	return read(ctx, st.db, func(c *conn) ([]directory.Role, error) { return c.roles("ORDER BY name") })
}

func (st users) CreateRole(ctx context.Context, r directory.Role) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		permissions, err := permissionsOf(r)
		if err != nil {
			return struct{}{}, err
		}
		if _, err := w.exec("INSERT INTO roles (name, permissions) VALUES (?, ?)", r.Name, permissions); err != nil {
			return struct{}{}, taken(err)
		}
		_, err = w.exec("DELETE FROM user_roles WHERE role = ?", r.Name)
		return struct{}{}, err
	})
	return err
}

func (st users) UpdateRole(ctx context.Context, name string, change func(*directory.Role) error, changed func(directory.User) events.Event) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		role, err := w.role(name)
		if err != nil {
			return struct{}{}, err
		}
		if err := change(&role); err != nil {
			return struct{}{}, err
		}
		if role.Name != name {
			return struct{}{}, errImmutable("name of the role", name)
		}
		permissions, err := permissionsOf(role)
		if err != nil {
			return struct{}{}, err
		}
		if _, err = w.exec("UPDATE roles SET permissions = ? WHERE name = ?", permissions, name); err != nil {
			return struct{}{}, err
		}
		holders, err := w.raiseGrants(name)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, w.appendAll(holders, changed)
	})
	return err
}

func (st users) DeleteRole(ctx context.Context, name string, changed func(directory.User) events.Event) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		if _, err := w.role(name); err != nil {
			return struct{}{}, err
		}
		holders, err := w.raiseGrants(name)
		if err != nil {
			return struct{}{}, err
		}
		for _, statement := range []string{"DELETE FROM user_roles WHERE role = ?", "DELETE FROM roles WHERE name = ?"} {
			if _, err := w.exec(statement, name); err != nil {
				return struct{}{}, err
			}
		}
		for i := range holders {
			holders[i].Roles = slices.DeleteFunc(holders[i].Roles, func(r string) bool { return r == name })
		}
		return struct{}{}, w.appendAll(holders, changed)
	})
	return err
}

// permissionsOf is the stored form of a role's permissions: sorted, each once.
func permissionsOf(r directory.Role) (string, error) {
	sorted := append([]string{}, r.Permissions...)
	slices.Sort(sorted)
	b, err := json.Marshal(slices.Compact(sorted))
	return string(b), err
}

func (c *conn) role(name string) (directory.Role, error) {
	list, err := c.roles("WHERE name = ?", name)
	if err == nil && len(list) == 0 {
		err = directory.ErrNotFound
	}
	if err != nil {
		return directory.Role{}, err
	}
	return list[0], nil
}

// raiseGrants gives every holder of the role a new version of its grants and
// returns the holders.
func (w *writer) raiseGrants(role string) ([]directory.User, error) {
	_, err := w.exec("UPDATE users SET grants_version = grants_version + 1 WHERE id IN (SELECT user_id FROM user_roles WHERE role = ?)", role)
	if err != nil {
		return nil, err
	}
	return w.users("WHERE u.id IN (SELECT user_id FROM user_roles WHERE role = ?) ORDER BY u.name", role)
}

func (w *writer) appendAll(users []directory.User, event func(directory.User) events.Event) error {
	for _, u := range users {
		if err := w.append([]events.Event{event(u)}); err != nil {
			return err
		}
	}
	return nil
}

// taken turns a violation of uniqueness into directory.ErrExists.
func taken(err error) error {
	var e *sqlite3.Error
	if errors.As(err, &e) && (e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return directory.ErrExists
	}
	return err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
