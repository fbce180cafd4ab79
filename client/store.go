package client

import (
	"context"
	"sync"
)

// TokenStore keeps one session between renewals and runs: bytes that mean
// something to this package only, and that are as secret as a password.
//
// Several sources, also in several processes, may share a store if its lock
// keeps them apart. Load may be called without the lock and must return a whole
// record, old or new. Save and Clear are called with the lock held.
type TokenStore interface {
	// Lock waits until no one else holds the store's lock or ctx is done. The
	// lock of a process that died must not stay held. unlock is called once.
	Lock(ctx context.Context) (unlock func(), err error)
	// Load returns what was saved last, or nil if there is nothing.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces the record. When it returns nil the record survives a crash
	// of the program, and of the computer as far as the store's kind can.
	Save(ctx context.Context, record []byte) error
	// Clear removes the record. Clearing an empty store is no error.
	Clear(ctx context.Context) error
}

// mutex is a lock whose wait can be given up.
type mutex chan struct{}

func newMutex() mutex { return make(mutex, 1) }

func (m mutex) lock(ctx context.Context) (func(), error) {
	select {
	case m <- struct{}{}:
		return func() { <-m }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// MemoryStore keeps the session while the program runs.
type MemoryStore struct {
	held mutex

	mu     sync.Mutex
	record []byte
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{held: newMutex()} }

// Lock implements [TokenStore].
func (m *MemoryStore) Lock(ctx context.Context) (func(), error) { return m.held.lock(ctx) }

// Load implements [TokenStore].
func (m *MemoryStore) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record, nil
}

// Save implements [TokenStore].
func (m *MemoryStore) Save(_ context.Context, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record = append([]byte(nil), record...)
	return nil
}

// Clear implements [TokenStore].
func (m *MemoryStore) Clear(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record = nil
	return nil
}
