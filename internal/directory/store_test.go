package directory

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
)

// memory is a Store that can be made to fail.
type memory struct {
	mu     sync.Mutex
	users  map[string]User
	roles  map[string]Role
	events []events.Event
	reads  int
	fail   error
	onRead func() // called after a user was read, without the lock
}

func newMemory() *memory { return &memory{users: map[string]User{}, roles: map[string]Role{}} }

func clone(u User) User {
	u.Roles = slices.Clone(u.Roles)
	return u
}

func (m *memory) find(match func(User) bool) (User, error) {
	m.mu.Lock()
	m.reads++
	u, err := User{}, ErrNotFound
	if m.fail != nil {
		err = m.fail
	}
	for _, v := range m.users {
		if m.fail == nil && match(v) {
			u, err = clone(v), nil
		}
	}
	hook := m.onRead
	m.mu.Unlock()
	if hook != nil {
		hook()
	}
	return u, err
}

func (m *memory) UserByName(_ context.Context, name string) (User, error) {
	return m.find(func(u User) bool { return u.Name == name })
}

func (m *memory) UserByID(_ context.Context, id string) (User, error) {
	return m.find(func(u User) bool { return u.ID == id })
}

func (m *memory) UserByExternal(_ context.Context, issuer, subject string) (User, error) {
	return m.find(func(u User) bool {
		return issuer != "" && u.External.Issuer == issuer && u.External.Subject == subject
	})
}

func (m *memory) Users(_ context.Context, after string, limit int) ([]User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []User
	for _, u := range m.users {
		if u.Name > after {
			out = append(out, clone(u))
		}
	}
	slices.SortFunc(out, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return out[:min(limit, len(out))], m.fail
}

func (m *memory) CreateUser(_ context.Context, u User) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.users {
		if v.Name == u.Name || u.External.Issuer != "" && v.External.Issuer == u.External.Issuer && v.External.Subject == u.External.Subject {
			return ErrExists
		}
	}
	m.users[u.ID] = clone(u)
	return m.fail
}

func (m *memory) DeleteUser(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.users[id]; !ok {
		return ErrNotFound
	}
	delete(m.users, id)
	return nil
}

func (m *memory) UpdateUser(_ context.Context, id string, change func(*User) ([]events.Event, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.users[id]
	switch {
	case m.fail != nil:
		return m.fail
	case !ok:
		return ErrNotFound
	}
	u = clone(u)
	ev, err := change(&u)
	if err != nil {
		return err
	}
	m.users[id] = u
	m.events = append(m.events, ev...)
	return nil
}

func (m *memory) Roles(context.Context) ([]Role, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Role
	for _, r := range m.roles {
		r.Permissions = slices.Clone(r.Permissions)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Role) int { return cmp.Compare(a.Name, b.Name) })
	return out, m.fail
}

func (m *memory) CreateRole(_ context.Context, r Role) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.roles[r.Name]; ok {
		return ErrExists
	}
	m.roles[r.Name] = r
	return m.fail
}

func (m *memory) UpdateRole(_ context.Context, name string, change func(*Role) error, changed func(User) events.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.roles[name]
	if !ok {
		return ErrNotFound
	}
	r.Permissions = slices.Clone(r.Permissions)
	if err := change(&r); err != nil {
		return err
	}
	m.roles[name] = r
	m.tellHolders(name, func(*User) {}, changed)
	return m.fail
}

func (m *memory) DeleteRole(_ context.Context, name string, changed func(User) events.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.roles[name]; !ok {
		return ErrNotFound
	}
	delete(m.roles, name)
	m.tellHolders(name, func(u *User) { u.Roles = slices.DeleteFunc(u.Roles, func(r string) bool { return r == name }) }, changed)
	return m.fail
}

func (m *memory) tellHolders(role string, change func(*User), changed func(User) events.Event) {
	for id, u := range m.users {
		if slices.Contains(u.Roles, role) {
			u = clone(u)
			change(&u)
			u.GrantsVersion++
			m.users[id] = u
			m.events = append(m.events, changed(u))
		}
	}
}

// cheap makes tests quick; the rules do not depend on the cost.
var cheap = HashParams{Memory: 64, Time: 1, Threads: 1}

var epoch = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func newDirectory(s Store) *Directory {
	return New(Config{Store: s, Clock: func() time.Time { return epoch }, Rand: rand.Reader, Hash: cheap})
}

func add(t *testing.T, d *Directory, name, password string, roles ...string) User {
	t.Helper()
	u, err := d.Add(t.Context(), NewUser{Name: name, Password: password, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return u
}
