package directory

import (
	"context"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
)

// User is a person in the embedded directory. Name is unique after
// normalisation (see NormalizeName); PasswordHash is a PHC string.
type User struct {
	ID            string
	Name          string
	DisplayName   string
	Email         string
	PasswordHash  string
	Disabled      bool
	Roles         []string // sorted
	GrantsVersion int64    // moves with every effective change of roles or permissions
	Credentials   int64    // moves when what the user has approved before is void ([Directory.Void])
	CreatedAt     time.Time
	External      External
}

// External says which person at an identity provider a user is. The zero value:
// none, the user is known here only. Issuer and Subject together name one
// person for ever (OpenID Connect Core §5.7), which no e-mail address does.
type External struct {
	Issuer  string
	Subject string
	Roles   []string // those of User.Roles that the provider gave; sorted
}

// Role grants permissions to the users who hold it.
type Role struct {
	Name        string
	Permissions []string // sorted
}

// Errors of a Store.
var (
	ErrNotFound = errors.New("directory: not found")
	ErrExists   = errors.New("directory: exists already")
)

// Store keeps users and roles. NewStore makes it of documents; tests have others.
// Writes are durable when they return.
type Store interface {
	// UserByName and UserByID return ErrNotFound if there is none.
	UserByName(ctx context.Context, name string) (User, error)
	UserByID(ctx context.Context, id string) (User, error)
	// UserByExternal returns the user who is this person at a provider, or
	// ErrNotFound.
	UserByExternal(ctx context.Context, issuer, subject string) (User, error)
	// Users returns users in order of name, after the name given; at most limit.
	Users(ctx context.Context, after string, limit int) ([]User, error)
	// CreateUser adds a user with its roles; ErrExists if the name
	// or the person at a provider is taken.
	CreateUser(ctx context.Context, u User) error
	// UpdateUser loads the user, lets change alter the copy, and stores it with
	// the events that change returns, in one transaction. An error from change
	// is returned as it is and stores nothing.
	UpdateUser(ctx context.Context, id string, change func(*User) ([]events.Event, error)) error
	// DeleteUser deletes a user; ErrNotFound if there is none.
	DeleteUser(ctx context.Context, id string) error
	// Roles returns all roles in order of name.
	Roles(ctx context.Context) ([]Role, error)
	// CreateRole adds a role, which nobody holds yet: should users be left that
	// name it, it is taken from them. ErrExists if there is one.
	CreateRole(ctx context.Context, r Role) error
	// UpdateRole loads the role, lets change alter it, stores it, and adds one
	// to the GrantsVersion of every holder, with one event each made by changed;
	// one transaction. ErrNotFound if there is none; an error from change is
	// returned as it is and stores nothing.
	UpdateRole(ctx context.Context, name string, change func(*Role) error, changed func(User) events.Event) error
	// DeleteRole deletes the role, takes it from every holder, and adds one to
	// the GrantsVersion of each, with one event each made by changed from the
	// user without the role; one transaction. ErrNotFound if there is none.
	DeleteRole(ctx context.Context, name string, changed func(User) events.Event) error
}
