package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
)

// Kinds of documents and their indexes.
const (
	KindUser   = "user" // its key is the id, its number the version of the grants
	byName     = "name"
	byExternal = "external"
	byRole     = "role"

	KindRole = "role" // its key is the name
)

// NewStore returns the Store on documents. Names are ordered by their bytes.
func NewStore(d documents.Store) Store { return stored{d} }

type stored struct{ documents.Store }

type storedUser struct {
	Name         string    `json:"name"`
	DisplayName  string    `json:"display_name,omitempty"`
	Email        string    `json:"email,omitempty"`
	PasswordHash string    `json:"password_hash,omitempty"`
	Disabled     bool      `json:"disabled,omitempty"`
	Roles        []string  `json:"roles,omitempty"`
	Credentials  int64     `json:"credentials,omitempty"`
	CreatedAt    int64     `json:"created_at"` // milliseconds
	External     *External `json:"external,omitempty"`
}

func encodeUser(u User) documents.Document {
	s := storedUser{Name: u.Name, DisplayName: u.DisplayName, Email: u.Email, PasswordHash: u.PasswordHash, Disabled: u.Disabled,
		Roles: sorted(u.Roles), Credentials: u.Credentials, CreatedAt: u.CreatedAt.UnixMilli()}
	index := []documents.Value{{Index: byName, Value: u.Name, Unique: true}}
	if u.External.Issuer != "" || len(u.External.Roles) > 0 {
		s.External = &u.External
		index = append(index, documents.Value{Index: byExternal, Value: external(u.External.Issuer, u.External.Subject), Unique: true})
	}
	for _, r := range s.Roles {
		index = append(index, documents.Value{Index: byRole, Value: r})
	}
	d := documents.Encode(KindUser, u.ID, s, index...)
	d.Number = u.GrantsVersion
	return d
}

// external is a person at a provider as one value; no issuer has a space in it.
func external(issuer, subject string) string {
	if issuer == "" {
		return ""
	}
	return issuer + " " + subject
}

func decodeUser(d documents.Document) (User, error) {
	var s storedUser
	if err := d.Decode(&s); err != nil {
		return User{}, err
	}
	u := User{ID: d.Key, Name: s.Name, DisplayName: s.DisplayName, Email: s.Email, PasswordHash: s.PasswordHash, Disabled: s.Disabled,
		Roles: s.Roles, GrantsVersion: d.Number, Credentials: s.Credentials, CreatedAt: time.UnixMilli(s.CreatedAt).UTC()}
	if s.External != nil {
		u.External = *s.External
	}
	return u, nil
}

// missing turns the errors of documents into those of this package.
func missing(err error) error {
	switch {
	case errors.Is(err, documents.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, documents.ErrExists):
		return ErrExists
	}
	return err
}

func (st stored) UserByID(ctx context.Context, id string) (User, error) {
	d, err := st.Get(ctx, KindUser, id)
	if err != nil {
		return User{}, missing(err)
	}
	return decodeUser(d)
}

func (st stored) UserByName(ctx context.Context, name string) (User, error) {
	return st.find(ctx, byName, name)
}

func (st stored) UserByExternal(ctx context.Context, issuer, subject string) (User, error) {
	return st.find(ctx, byExternal, external(issuer, subject))
}

func (st stored) find(ctx context.Context, index, value string) (User, error) {
	d, err := documents.Find(ctx, st, KindUser, index, value)
	if err != nil {
		return User{}, missing(err)
	}
	return decodeUser(d)
}

func (st stored) Users(ctx context.Context, after string, limit int) ([]User, error) {
	list, err := st.List(ctx, KindUser, documents.Query{Index: byName, After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	return decodeUsers(list)
}

func decodeUsers(list []documents.Document) (users []User, err error) {
	users = make([]User, len(list))
	for i, d := range list {
		if users[i], err = decodeUser(d); err != nil {
			return nil, err
		}
	}
	return users, nil
}

func (st stored) CreateUser(ctx context.Context, u User) error {
	return missing(st.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Put(encodeUser(u))
		return nil
	}))
}

func (st stored) DeleteUser(ctx context.Context, id string) error {
	return missing(st.Update(ctx, documents.Serial, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, KindUser, id)
		if err == nil {
			tx.Delete(d)
		}
		return err
	}))
}

func (st stored) UpdateUser(ctx context.Context, id string, change func(*User) ([]events.Event, error)) error {
	return missing(st.Update(ctx, documents.Serial, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, KindUser, id)
		if err != nil {
			return err
		}
		u, err := decodeUser(d)
		if err != nil {
			return err
		}
		ev, err := change(&u)
		if err != nil {
			return err
		}
		if u.ID != id {
			return fmt.Errorf("directory: the id of user %q cannot be changed", id)
		}
		tx.Put(d.With(encodeUser(u)))
		tx.Append(ev...)
		return nil
	}))
}

type storedRole struct {
	Permissions []string `json:"permissions"`
}

func encodeRole(r Role) documents.Document {
	return documents.Encode(KindRole, r.Name, storedRole{sorted(r.Permissions)})
}

func decodeRole(d documents.Document) (Role, error) {
	var s storedRole
	err := d.Decode(&s)
	return Role{Name: d.Key, Permissions: s.Permissions}, err
}

func (st stored) Roles(ctx context.Context) ([]Role, error) {
	list, err := documents.All(ctx, st, KindRole, documents.Query{})
	if err != nil {
		return nil, err
	}
	roles := make([]Role, len(list))
	for i, d := range list {
		if roles[i], err = decodeRole(d); err != nil {
			return nil, err
		}
	}
	return roles, nil
}

func (st stored) CreateRole(ctx context.Context, r Role) error {
	return missing(st.Update(ctx, documents.Bulk, func(ctx context.Context, tx documents.Tx) error {
		tx.Put(encodeRole(r))
		return eachHolder(ctx, tx, r.Name, func(d documents.Document, u User) {
			u.Roles = without(u.Roles, []string{r.Name})
			tx.Put(d.With(encodeUser(u)))
		})
	}))
}

// UpdateRole moves the versions of the holders without writing them anew.
func (st stored) UpdateRole(ctx context.Context, name string, change func(*Role) error, changed func(User) events.Event) error {
	return missing(st.Update(ctx, documents.Bulk, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, KindRole, name)
		if err != nil {
			return err
		}
		r, err := decodeRole(d)
		if err == nil {
			err = change(&r)
		}
		switch {
		case err != nil:
			return err
		case r.Name != name:
			return fmt.Errorf("directory: the name of role %q cannot be changed", name)
		}
		tx.Put(d.With(encodeRole(r)))
		tx.Raise(KindUser, byRole, name)
		return eachHolder(ctx, tx, name, func(_ documents.Document, u User) { tx.Append(changed(u)) })
	}))
}

func (st stored) DeleteRole(ctx context.Context, name string, changed func(User) events.Event) error {
	return missing(st.Update(ctx, documents.Bulk, func(ctx context.Context, tx documents.Tx) error {
		role, err := tx.Get(ctx, KindRole, name)
		if err != nil {
			return err
		}
		tx.Delete(role)
		return eachHolder(ctx, tx, name, func(d documents.Document, u User) {
			u.Roles = without(u.Roles, []string{name})
			u.GrantsVersion++
			tx.Put(d.With(encodeUser(u)))
			tx.Append(changed(u))
		})
	}))
}

// eachHolder calls f for everybody who has a role.
func eachHolder(ctx context.Context, tx documents.Tx, role string, f func(documents.Document, User)) error {
	list, err := documents.All(ctx, tx, KindUser, documents.Query{Index: byRole, Equal: role})
	if err != nil {
		return err
	}
	for _, d := range list {
		u, err := decodeUser(d)
		if err != nil {
			return err
		}
		f(d, u)
	}
	return nil
}
