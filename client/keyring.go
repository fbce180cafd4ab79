package client

import (
	"context"
	"errors"
)

// Keyring is one entry of a system keyring (Keychain, Secret Service, Credential
// Manager), through the library of your choice. A record is one line of about a
// thousand bytes.
type Keyring struct {
	// Get returns the entry. found is false if there is none; an error means
	// that the keyring could not be asked.
	Get func() (secret string, found bool, err error)
	// Set replaces the entry.
	Set func(secret string) error
	// Delete removes the entry; it returns nil if there was none.
	Delete func() error
}

type keyringStore struct {
	Keyring
	held     mutex
	lockPath string
}

// NewKeyringStore keeps the session in a keyring. Keyrings have no locks: if
// several processes share the entry, name a lock file in a directory of the
// user's; without one ("") the store belongs to this process alone.
func NewKeyringStore(k Keyring, lockPath string) (TokenStore, error) {
	if k.Get == nil || k.Set == nil || k.Delete == nil {
		return nil, &StoreError{"open", errors.New("a keyring needs all of Get, Set and Delete")}
	}
	return &keyringStore{Keyring: k, held: newMutex(), lockPath: lockPath}, nil
}

func (k *keyringStore) Lock(ctx context.Context) (func(), error) {
	unlock, err := k.held.lock(ctx)
	if err != nil || k.lockPath == "" {
		return unlock, err
	}
	unlockFile, err := lockFile(ctx, k.lockPath)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() { unlockFile(); unlock() }, nil
}

func (k *keyringStore) Load(context.Context) ([]byte, error) {
	secret, found, err := k.Get()
	if err != nil || !found {
		return nil, err
	}
	return []byte(secret), nil
}

func (k *keyringStore) Save(_ context.Context, record []byte) error { return k.Set(string(record)) }

func (k *keyringStore) Clear(context.Context) error { return k.Delete() }
