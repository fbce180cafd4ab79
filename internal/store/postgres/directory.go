package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
)

// Directory returns the store of users and roles. Names are ordered by their
// UTF-8 bytes.
func (db *DB) Directory() directory.Store { return users{db} }

type users struct{ db *DB }

const selectUser = `SELECT u.id, u.name, u.display_name, u.email, u.password_hash, u.disabled, u.grants_version, u.credentials, u.created_at,
	u.issuer, u.subject, u.provider_roles, ARRAY(SELECT r.role FROM tacet_user_roles r WHERE r.user_id = u.id ORDER BY r.role) FROM tacet_users u `

type querier interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}

func queryUsers(ctx context.Context, q querier, where string, args ...any) ([]directory.User, error) {
	rows, err := q.Query(ctx, selectUser+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (u directory.User, err error) {
		var created int64
		err = row.Scan(&u.ID, &u.Name, &u.DisplayName, &u.Email, &u.PasswordHash, &u.Disabled, &u.GrantsVersion, &u.Credentials, &created,
			&u.External.Issuer, &u.External.Subject, &u.External.Roles, &u.Roles)
		u.CreatedAt = instant(created)
		return u, err
	})
}

func queryUser(ctx context.Context, q querier, where string, args ...any) (directory.User, error) {
	list, err := queryUsers(ctx, q, where, args...)
	switch {
	case err != nil:
		return directory.User{}, err
	case len(list) == 0:
		return directory.User{}, finally(directory.ErrNotFound)
	}
	return list[0], nil
}

func (st users) find(ctx context.Context, where, arg string) (directory.User, error) {
	if !storable(arg) {
		return directory.User{}, directory.ErrNotFound
	}
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) (directory.User, error) {
		return queryUser(ctx, c, where, arg)
	})
}

func (st users) UserByName(ctx context.Context, name string) (directory.User, error) {
	return st.find(ctx, "WHERE u.name = $1", name)
}

func (st users) UserByID(ctx context.Context, id string) (directory.User, error) {
	return st.find(ctx, "WHERE u.id = $1", id)
}

func (st users) UserByExternal(ctx context.Context, issuer, subject string) (directory.User, error) {
	if issuer == "" || !storable(issuer) || !storable(subject) {
		return directory.User{}, directory.ErrNotFound
	}
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) (directory.User, error) {
		return queryUser(ctx, c, "WHERE u.issuer <> '' AND u.issuer = $1 AND u.subject = $2", issuer, subject)
	})
}

func (st users) Users(ctx context.Context, after string, limit int) ([]directory.User, error) {
	if !storable(after) {
		return nil, fmt.Errorf("store: no user has a name like %q, after which others could be listed", after)
	}
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]directory.User, error) {
		return queryUsers(ctx, c, "WHERE u.name > $1 ORDER BY u.name LIMIT $2", after, max(limit, 0))
	})
}

func (st users) CreateUser(ctx context.Context, u directory.User) error {
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error { return insertUser(ctx, tx, u) })
}

func insertUser(ctx context.Context, tx pgx.Tx, u directory.User) error {
	_, err := tx.Exec(ctx, `INSERT INTO tacet_users (id, name, display_name, email, password_hash, disabled, grants_version, credentials, created_at,
		issuer, subject, provider_roles) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		u.ID, u.Name, u.DisplayName, u.Email, u.PasswordHash, u.Disabled, u.GrantsVersion, u.Credentials, millis(u.CreatedAt),
		u.External.Issuer, u.External.Subject, append([]string{}, u.External.Roles...))
	if err != nil {
		return taken(err)
	}
	return insertRoles(ctx, tx, u)
}

func insertRoles(ctx context.Context, tx pgx.Tx, u directory.User) error {
	if len(u.Roles) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, "INSERT INTO tacet_user_roles (user_id, role) SELECT DISTINCT $1, role FROM unnest($2::text[]) AS r(role)", u.ID, u.Roles)
	return err
}

// rolesTime is how many times longer than other calls the change of a role may
// take: it changes everybody who holds it.
const rolesTime = 24

// change is commit for changes of users and roles that exist. The first
// statement raises the version that tells other nodes; it stays locked until
// the commit, so that such changes come one after the other.
func (st users) change(ctx context.Context, limit time.Duration, f func(context.Context, pgx.Tx) ([]events.Event, error)) error {
	var version int64
	err := st.db.commitFor(ctx, limit, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		err := tx.QueryRow(ctx, "UPDATE tacet_counters SET value = value + 1 WHERE name = 'directory' RETURNING value").Scan(&version)
		if err != nil {
			return nil, err
		}
		return f(ctx, tx)
	})
	if err == nil {
		st.db.changedDirectory(version)
	}
	return err
}

func (st users) UpdateUser(ctx context.Context, id string, change func(*directory.User) ([]events.Event, error)) error {
	if !storable(id) {
		return directory.ErrNotFound
	}
	return st.change(ctx, st.db.opts.Timeout, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		u, err := queryUser(ctx, tx, "WHERE u.id = $1", id)
		if err != nil {
			return nil, err
		}
		ev, err := change(&u)
		if err != nil {
			return nil, finally(err)
		}
		if u.ID != id {
			return nil, errImmutable("id", id)
		}
		_, err = tx.Exec(ctx, `UPDATE tacet_users SET name = $2, display_name = $3, email = $4, password_hash = $5, disabled = $6,
			grants_version = $7, credentials = $8, created_at = $9, issuer = $10, subject = $11, provider_roles = $12 WHERE id = $1`,
			id, u.Name, u.DisplayName, u.Email, u.PasswordHash, u.Disabled, u.GrantsVersion, u.Credentials, millis(u.CreatedAt),
			u.External.Issuer, u.External.Subject, append([]string{}, u.External.Roles...))
		if err != nil {
			return nil, taken(err)
		}
		if _, err := tx.Exec(ctx, "DELETE FROM tacet_user_roles WHERE user_id = $1", id); err != nil {
			return nil, err
		}
		return ev, insertRoles(ctx, tx, u)
	})
}

func (st users) DeleteUser(ctx context.Context, id string) error {
	if !storable(id) {
		return directory.ErrNotFound
	}
	return st.change(ctx, st.db.opts.Timeout, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		if _, err := queryUser(ctx, tx, "WHERE u.id = $1", id); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM tacet_user_roles WHERE user_id = $1", id); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, "DELETE FROM tacet_users WHERE id = $1", id)
		return nil, err
	})
}

func (st users) Roles(ctx context.Context) ([]directory.Role, error) {
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]directory.Role, error) {
		return queryRoles(ctx, c, "ORDER BY name")
	})
}

func queryRoles(ctx context.Context, q querier, where string, args ...any) ([]directory.Role, error) {
	rows, err := q.Query(ctx, "SELECT name, permissions FROM tacet_roles "+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r directory.Role, err error) {
		err = row.Scan(&r.Name, &r.Permissions)
		return r, err
	})
}

func queryRole(ctx context.Context, q querier, name string) (directory.Role, error) {
	list, err := queryRoles(ctx, q, "WHERE name = $1", name)
	switch {
	case err != nil:
		return directory.Role{}, err
	case len(list) == 0:
		return directory.Role{}, finally(directory.ErrNotFound)
	}
	return list[0], nil
}

func (st users) CreateRole(ctx context.Context, r directory.Role) error {
	return st.change(ctx, rolesTime*st.db.opts.Timeout, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		if err := insertRole(ctx, tx, r); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, "DELETE FROM tacet_user_roles WHERE role = $1", r.Name)
		return nil, err
	})
}

func insertRole(ctx context.Context, tx pgx.Tx, r directory.Role) error {
	_, err := tx.Exec(ctx, "INSERT INTO tacet_roles (name, permissions) VALUES ($1, $2)", r.Name, sorted(r.Permissions))
	return taken(err)
}

func (st users) UpdateRole(ctx context.Context, name string, change func(*directory.Role) error, changed func(directory.User) events.Event) error {
	if !storable(name) {
		return directory.ErrNotFound
	}
	return st.change(ctx, rolesTime*st.db.opts.Timeout, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		role, err := queryRole(ctx, tx, name)
		if err != nil {
			return nil, err
		}
		if err := change(&role); err != nil {
			return nil, finally(err)
		}
		if role.Name != name {
			return nil, errImmutable("name of the role", name)
		}
		if _, err := tx.Exec(ctx, "UPDATE tacet_roles SET permissions = $2 WHERE name = $1", name, sorted(role.Permissions)); err != nil {
			return nil, err
		}
		holders, err := raiseGrants(ctx, tx, name)
		return eventsOf(holders, changed), err
	})
}

func (st users) DeleteRole(ctx context.Context, name string, changed func(directory.User) events.Event) error {
	if !storable(name) {
		return directory.ErrNotFound
	}
	return st.change(ctx, rolesTime*st.db.opts.Timeout, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		if _, err := queryRole(ctx, tx, name); err != nil {
			return nil, err
		}
		holders, err := raiseGrants(ctx, tx, name)
		for _, statement := range []string{"DELETE FROM tacet_user_roles WHERE role = $1", "DELETE FROM tacet_roles WHERE name = $1"} {
			if err == nil {
				_, err = tx.Exec(ctx, statement, name)
			}
		}
		for i := range holders {
			holders[i].Roles = slices.DeleteFunc(holders[i].Roles, func(r string) bool { return r == name })
		}
		return eventsOf(holders, changed), err
	})
}

// raiseGrants gives every holder of the role a new version of its grants and
// returns the holders.
func raiseGrants(ctx context.Context, tx pgx.Tx, role string) ([]directory.User, error) {
	const holders = "(SELECT user_id FROM tacet_user_roles WHERE role = $1)"
	_, err := tx.Exec(ctx, "UPDATE tacet_users SET grants_version = grants_version + 1 WHERE id IN "+holders, role)
	if err != nil {
		return nil, err
	}
	return queryUsers(ctx, tx, "WHERE u.id IN "+holders+" ORDER BY u.name", role)
}

func eventsOf(list []directory.User, event func(directory.User) events.Event) []events.Event {
	ev := make([]events.Event, len(list))
	for i, u := range list {
		ev[i] = event(u)
	}
	return ev
}

// sorted is the stored form of permissions: in order, each once.
func sorted(permissions []string) []string {
	s := append([]string{}, permissions...)
	slices.Sort(s)
	return slices.Compact(s)
}

// taken turns a violation of uniqueness into directory.ErrExists.
func taken(err error) error {
	if state(err) == "23505" {
		return finally(directory.ErrExists)
	}
	return err
}

// errImmutable names a field that an update tried to change.
func errImmutable(what, id string) error {
	return finally(fmt.Errorf("store: the %s of %q cannot be changed", what, id))
}
