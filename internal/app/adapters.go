package app

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// embedded is the embedded directory as sessions see it.
type embedded struct{ *directory.Directory }

// Authenticate is session.Authenticator.
func (e embedded) Authenticate(ctx context.Context, name, password string, _ session.Contact) (session.Identity, error) {
	u, err := e.Directory.Authenticate(ctx, name, password)
	if errors.Is(err, directory.ErrInvalidCredentials) {
		return session.Identity{}, session.ErrInvalidCredentials
	}
	return session.Identity{UserID: u.ID, Credentials: u.Credentials}, err
}

// Void is session.Voider.
func (e embedded) Void(ctx context.Context, userID string) error {
	if err := e.Directory.Void(ctx, userID); !errors.Is(err, directory.ErrNotFound) {
		return err
	}
	return nil
}

// User is session.Directory.
func (e embedded) User(ctx context.Context, id string) (session.User, error) {
	u, err := e.Directory.User(ctx, id)
	if errors.Is(err, directory.ErrNotFound) || err == nil && u.Disabled {
		return session.User{}, session.ErrNoUser
	}
	if err != nil {
		return session.User{}, err
	}
	g, err := e.Directory.Grants(ctx, id)
	if err == nil && g.Version != u.GrantsVersion {
		// Another process has changed them since they were remembered.
		e.Invalidate()
		g, err = e.Directory.Grants(ctx, id)
	}
	switch {
	case errors.Is(err, directory.ErrNotFound), errors.Is(err, directory.ErrDisabled):
		return session.User{}, session.ErrNoUser
	case err != nil:
		return session.User{}, err
	}
	user := granted(id, g)
	user.Username, user.DisplayName, user.Email, user.Credentials = u.Name, u.DisplayName, u.Email, u.Credentials
	return user, nil
}

// Grants is session.Directory. The cache behind it is dropped before a write
// returns that came after one of another process (openStore).
func (e embedded) Grants(ctx context.Context, id string) (session.User, error) {
	g, err := e.Directory.Grants(ctx, id)
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrDisabled) {
		return session.User{}, session.ErrNoUser
	}
	return granted(id, g), err
}

func granted(id string, g directory.Grants) session.User {
	return session.User{User: wire.User{ID: id}, Roles: g.Roles, Permissions: g.Permissions, Scope: g.Scope, GrantsVersion: g.Version}
}

// localKeys are the ring's public keys for the verifier in the same process,
// also those that another node has just begun to use.
func localKeys(r *keys.Ring) verify.KeysFunc {
	find := func(kid string) (crypto.PublicKey, error) {
		for _, k := range r.PublicKeys() {
			if k.ID == kid {
				return k.Key, nil
			}
		}
		return nil, verify.ErrUnknownKey
	}
	return func(ctx context.Context, kid string) (crypto.PublicKey, error) {
		key, err := find(kid)
		if err == nil {
			return key, nil
		}
		if err := r.Current(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", verify.ErrKeysUnavailable, err)
		}
		return find(kid)
	}
}
