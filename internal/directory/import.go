package directory

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
)

// Imported is a user whom another system had, with the hash that it made of the
// password (docs/users.md has the forms); without one the user can't sign in by
// password. All but Name may be empty.
type Imported struct {
	Name         string
	DisplayName  string
	Email        string
	Roles        []string
	PasswordHash string
}

// Import takes users in, one after the other or several at once. Users who are
// there already stay as they are, so an import that was broken off is done again.
type Import struct {
	d     *Directory
	roles []string
	seed  maphash.Seed
	names map[uint64]int // hash of a name → number of its line; 16 bytes a user, not a name
}

// NewImport begins an import. Roles that are made later are not known to it.
func (d *Directory) NewImport(ctx context.Context) (*Import, error) {
	roles, err := d.store.Roles(ctx)
	if err != nil {
		return nil, err
	}
	i := &Import{d: d, seed: maphash.MakeSeed(), names: map[uint64]int{}}
	for _, r := range roles {
		i.roles = append(i.roles, r.Name)
	}
	return i, nil
}

// Check returns the user that a line will be, or what is wrong with the line.
// number says which line it is. Check may not be called twice at once.
func (i *Import) Check(number int, in Imported) (User, error) {
	name, err := NormalizeName(in.Name)
	if err != nil {
		return User{}, err
	}
	if err := errors.Join(checkText("display name", in.DisplayName, MaxDisplayName), checkEmail(in.Email)); err != nil {
		return User{}, err
	}
	for _, r := range in.Roles {
		if !slices.Contains(i.roles, r) {
			return User{}, &NoRoleError{Role: r, Known: i.roles}
		}
	}
	if in.PasswordHash != "" {
		if _, err := parsePHC(in.PasswordHash); err != nil {
			if _, err := parseImported(in.PasswordHash); err != nil {
				return User{}, err
			}
		}
	}
	sum := maphash.String(i.seed, name)
	if first, ok := i.names[sum]; ok {
		return User{}, fmt.Errorf("the user name %q is that of line %d too", name, first)
	}
	i.names[sum] = number
	return User{ID: i.d.newID(), Name: name, DisplayName: in.DisplayName, Email: in.Email, PasswordHash: in.PasswordHash,
		Roles: sorted(in.Roles), GrantsVersion: 1, CreatedAt: i.d.now()}, nil
}

// Add adds a user whom Check returned, unless there is one of that name.
func (i *Import) Add(ctx context.Context, u User) (added bool, err error) {
	err = i.d.store.CreateUser(ctx, u)
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Would says whether Add would add a user, and changes nothing.
func (i *Import) Would(ctx context.Context, u User) (added bool, err error) {
	_, err = i.d.store.UserByName(ctx, u.Name)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}
