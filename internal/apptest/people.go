package apptest

import (
	"context"
	"sync"

	"github.com/tacet-dev/tacet/internal/session"
)

// People is a directory that costs no password hashing: the id of a user is also
// the name and the password. It is safe for concurrent use.
type People struct {
	mu    sync.Mutex
	users map[string]session.User
	err   error
}

// NewPeople is a directory of these users.
func NewPeople(users ...session.User) *People {
	p := &People{users: map[string]session.User{}}
	for _, u := range users {
		p.users[u.ID] = u
	}
	return p
}

// Change edits the users, by id.
func (p *People) Change(f func(map[string]session.User)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.users)
}

// Fail makes all calls return err from now on; nil: none.
func (p *People) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Authenticate is session.Authenticator.
func (p *People) Authenticate(ctx context.Context, name, password string, _ session.Contact) (session.Identity, error) {
	u, err := p.User(ctx, name)
	if err == session.ErrNoUser || err == nil && password != name {
		return session.Identity{}, session.ErrInvalidCredentials
	}
	return session.Identity{UserID: name, Credentials: u.Credentials}, err
}

// User is session.Directory.
func (p *People) User(_ context.Context, id string) (session.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, ok := p.users[id]
	switch {
	case p.err != nil:
		return session.User{}, p.err
	case !ok:
		return session.User{}, session.ErrNoUser
	}
	return u, nil
}

// Grants leaves out what a refresh need not know, as the embedded directory does.
func (p *People) Grants(ctx context.Context, id string) (session.User, error) {
	u, err := p.User(ctx, id)
	u.Username, u.DisplayName, u.Email, u.Settings = "", "", "", nil
	return u, err
}
