package directory

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/wire"
)

// Errors beside those of the [Store].
var (
	// ErrInvalidCredentials is the one response to an unknown name, a wrong
	// password and a disabled user.
	ErrInvalidCredentials = errors.New("directory: wrong user name or password")
	// ErrDisabled is returned by Grants for a user who may not hold sessions.
	ErrDisabled = errors.New("directory: the user is disabled")
)

// Config is what a Directory needs; Hash and Parallel have defaults.
type Config struct {
	Store Store
	Clock func() time.Time
	Rand  io.Reader
	Hash  HashParams
	// Parallel is how many passwords are hashed at a time; the others wait.
	// Default: the number of processors.
	Parallel int
}

// Directory is safe for concurrent use. Users that it returns carry no
// PasswordHash.
type Directory struct {
	store  Store
	clock  func() time.Time
	hasher *hasher
	grants atomic.Pointer[grantsCache]
}

// New returns a Directory.
func New(cfg Config) *Directory {
	if cfg.Hash == (HashParams{}) {
		cfg.Hash = DefaultHash
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = runtime.GOMAXPROCS(0)
	}
	d := &Directory{store: cfg.Store, clock: cfg.Clock, hasher: newHasher(cfg.Hash, cfg.Parallel, cfg.Rand)}
	d.Invalidate()
	return d
}

// Authenticate returns the user with this name and password, or
// [ErrInvalidCredentials]. Any other error is an outage or the end of ctx and
// says nothing about the password.
func (d *Directory) Authenticate(ctx context.Context, name, password string) (User, error) {
	var u User
	normal, err := NormalizeName(name)
	if err == nil {
		u, err = d.store.UserByName(ctx, normal)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return User{}, err
		}
	}
	known := err == nil
	// Same work for everybody; an unknown user has no hash, which none fits.
	ok, outdated, err := d.hasher.verify(ctx, u.PasswordHash, password)
	switch {
	case err != nil:
		return User{}, err
	case !ok || !known || u.Disabled:
		return User{}, ErrInvalidCredentials
	}
	if outdated {
		// Now the password is at hand: bring its hash to today's cost. A failure
		// is no reason to refuse the right password.
		_ = d.rehash(ctx, u, password)
	}
	return shown(u), nil
}

func (d *Directory) rehash(ctx context.Context, u User, password string) error {
	hash, err := d.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return d.store.UpdateUser(ctx, u.ID, func(now *User) ([]events.Event, error) {
		if now.PasswordHash != u.PasswordHash {
			return nil, errUnchanged // changed meanwhile: that one stays
		}
		now.PasswordHash = hash
		return nil, nil
	})
}

// User returns a user by id, or [ErrNotFound].
func (d *Directory) User(ctx context.Context, id string) (User, error) {
	u, err := d.store.UserByID(ctx, id)
	return shown(u), err
}

// UserByName returns a user by any spelling of the name, or [ErrNotFound].
func (d *Directory) UserByName(ctx context.Context, name string) (User, error) {
	normal, err := NormalizeName(name)
	if err != nil {
		return User{}, err
	}
	u, err := d.store.UserByName(ctx, normal)
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("there is no user %q: %w", normal, ErrNotFound)
	}
	return shown(u), err
}

// List returns users in order of name, after the name given; at most limit.
func (d *Directory) List(ctx context.Context, after string, limit int) ([]User, error) {
	users, err := d.store.Users(ctx, after, limit)
	for i := range users {
		users[i] = shown(users[i])
	}
	return users, err
}

// NewUser is a user to add. Name and Password are required.
type NewUser struct {
	Name        string
	Password    string
	DisplayName string
	Email       string
	Roles       []string // must exist
}

// Add makes a user. The error is an [*InvalidError], or wraps [ErrExists] or,
// for a role, [ErrNotFound].
func (d *Directory) Add(ctx context.Context, n NewUser) (User, error) {
	name, err := NormalizeName(n.Name)
	if err == nil {
		err = errors.Join(checkPassword(n.Password), checkText("display name", n.DisplayName, MaxDisplayName), checkEmail(n.Email), d.rolesExist(ctx, n.Roles...))
	}
	if err != nil {
		return User{}, err
	}
	hash, err := d.hasher.hash(ctx, n.Password)
	if err != nil {
		return User{}, err
	}
	u := User{
		ID:            d.newID(),
		Name:          name,
		DisplayName:   n.DisplayName,
		Email:         n.Email,
		PasswordHash:  hash,
		Roles:         sorted(n.Roles),
		GrantsVersion: 1,
		CreatedAt:     d.now(),
	}
	if err := d.store.CreateUser(ctx, u); err != nil {
		if errors.Is(err, ErrExists) {
			err = fmt.Errorf("there is a user %q already: %w", name, ErrExists)
		}
		return User{}, err
	}
	return shown(u), nil
}

// SetPassword replaces a user's password. Sessions go on; ending them is up to
// the caller.
func (d *Directory) SetPassword(ctx context.Context, id, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	hash, err := d.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return d.update(ctx, id, func(u *User) bool {
		u.PasswordHash = hash
		return false
	})
}

// Void makes void what the user has approved before: sign-ins that are under way end in
// nothing. A new password and a sign-out everywhere do so. The error wraps [ErrNotFound].
func (d *Directory) Void(ctx context.Context, id string) error {
	return d.update(ctx, id, func(u *User) bool {
		u.Credentials++
		return false
	})
}

// Profile is what may be changed of a user beside roles and password; nil leaves
// a member as it is.
type Profile struct {
	DisplayName *string
	Email       *string
	Disabled    *bool // see Disable
}

// Update changes a user's profile, all of it or nothing. The error is an
// [*InvalidError] or wraps [ErrNotFound].
func (d *Directory) Update(ctx context.Context, id string, p Profile) error {
	if p.DisplayName != nil {
		if err := checkText("display name", *p.DisplayName, MaxDisplayName); err != nil {
			return err
		}
	}
	if p.Email != nil {
		if err := checkEmail(*p.Email); err != nil {
			return err
		}
	}
	return d.update(ctx, id, func(u *User) bool {
		set(&u.DisplayName, p.DisplayName)
		set(&u.Email, p.Email)
		return set(&u.Disabled, p.Disabled)
	})
}

// set gives *to the new value, if there is one, and reports whether it is another.
func set[T comparable](to, value *T) bool {
	if value == nil || *to == *value {
		return false
	}
	*to = *value
	return true
}

// Disable keeps a user from signing in, and makes every access token that is
// out stale, so that sessions end at their next renewal (Grants returns
// [ErrDisabled]). Ending them at once is up to the caller.
func (d *Directory) Disable(ctx context.Context, id string) error {
	disabled := true
	return d.Update(ctx, id, Profile{Disabled: &disabled})
}

// Enable undoes Disable.
func (d *Directory) Enable(ctx context.Context, id string) error {
	disabled := false
	return d.Update(ctx, id, Profile{Disabled: &disabled})
}

// Remove deletes a user. The user should be disabled and have no sessions any more.
func (d *Directory) Remove(ctx context.Context, id string) error {
	err := d.store.DeleteUser(ctx, id)
	d.Invalidate()
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("there is no user with the id %q: %w", id, ErrNotFound)
	}
	return err
}

// errUnchanged makes a store forget a change.
var errUnchanged = errors.New("directory: nothing to change")

// update changes a user; change reports whether the grants are other than
// before. A change that leaves the user as it was writes nothing.
func (d *Directory) update(ctx context.Context, id string, change func(*User) (grants bool)) error {
	err := d.store.UpdateUser(ctx, id, func(u *User) ([]events.Event, error) {
		before := *u
		if change(u) {
			u.GrantsVersion++
			return []events.Event{d.grantsChanged(*u)}, nil
		}
		if u.PasswordHash == before.PasswordHash && u.Credentials == before.Credentials && u.DisplayName == before.DisplayName && u.Email == before.Email &&
			slices.Equal(u.External.Roles, before.External.Roles) {
			return nil, errUnchanged
		}
		return nil, nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	// Also after an error: the write may have arrived although its response did not.
	d.Invalidate()
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("there is no user with the id %q: %w", id, ErrNotFound)
	}
	return err
}

// grantsChanged is the event that goes with a new version of a user's grants.
func (d *Directory) grantsChanged(u User) events.Event {
	data, err := json.Marshal(struct {
		GrantsVersion int64 `json:"grants_version"`
	}{u.GrantsVersion})
	if err != nil {
		panic(err) // a number always has a JSON form
	}
	return events.Event{At: d.now(), Kind: wire.EventGrantsChanged, UserID: u.ID, Data: data}
}

func (d *Directory) now() time.Time { return d.clock().UTC().Truncate(time.Millisecond) }

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func (d *Directory) newID() string {
	return "usr_" + strings.ToLower(idEncoding.EncodeToString(d.hasher.bytes(16)))
}

func shown(u User) User {
	u.PasswordHash = ""
	return u
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}
