package main

import (
	"context"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/tacet-dev/tacet"
)

// people are the users that this site had before it had Tacet: here in memory,
// elsewhere in a database. It is a tacet.Users.
type people struct {
	nobody []byte // a password hash that belongs to nobody

	mu   sync.RWMutex
	byID map[string]*person
}

type person struct {
	tacet.User
	hash []byte
}

// newPeople takes the cost of password hashes (bcrypt).
func newPeople(cost int) (*people, error) {
	p := &people{byID: map[string]*person{}}
	var err error
	if p.nobody, err = bcrypt.GenerateFromPassword([]byte("nobody-password"), cost); err != nil {
		return nil, err
	}
	for _, u := range []tacet.User{
		{ID: "1", Username: "alice", DisplayName: "Alice", Permissions: []string{"orders:*", "admin:*"}, GrantsVersion: 1},
		{ID: "2", Username: "bob", DisplayName: "Bob", Permissions: []string{"orders:read"}, GrantsVersion: 1},
	} {
		hash, err := bcrypt.GenerateFromPassword([]byte(u.Username+"-password"), cost)
		if err != nil {
			return nil, err
		}
		p.byID[u.ID] = &person{u, hash}
	}
	return p, nil
}

// Authenticate is tacet.Users. Unknown names cost as much as wrong passwords, so
// that the time of the response does not tell which names exist.
func (p *people) Authenticate(_ context.Context, username, password string) (tacet.User, error) {
	user, hash := p.find(username)
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || user.ID == "" {
		return tacet.User{}, tacet.ErrInvalidCredentials
	}
	return user, nil
}

func (p *people) find(username string) (tacet.User, []byte) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, one := range p.byID {
		if one.Username == username {
			return one.User, one.hash
		}
	}
	return tacet.User{}, p.nobody
}

// User is tacet.Users.
func (p *people) User(_ context.Context, id string) (tacet.User, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	one, ok := p.byID[id]
	if !ok {
		return tacet.User{}, tacet.ErrNoUser
	}
	return one.User, nil
}

// SetPermissions changes what somebody may do. The version has to grow with it.
func (p *people) SetPermissions(id string, permissions []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.byID[id]
	if !ok {
		return tacet.ErrNoUser
	}
	one.Permissions = permissions // a new slice: Users that are out keep theirs
	one.GrantsVersion++
	return nil
}

// Remove forgets somebody.
func (p *people) Remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byID, id)
}
