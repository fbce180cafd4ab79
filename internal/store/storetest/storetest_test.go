package storetest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	Run(t, func(_ *testing.T, o Options) Stores { return Memory(o) })
}

// TestCheckerFindsBrokenStores shows that the check of histories can fail.
func TestCheckerFindsBrokenStores(t *testing.T) {
	for name, broken := range map[string]func(session.Store) session.Store{
		"Move does not look at the condition": func(st session.Store) session.Store { return blindMove{st} },
		"Move answers before it stores":       func(st session.Store) session.Store { return &forgetful{Store: st} },
		"Get answers from a stale cache":      func(st session.Store) session.Store { return &stale{Store: st} },
		"Sweep deletes the living":            func(st session.Store) session.Store { return sweepsAll{st} },
	} {
		t.Run(name, func(t *testing.T) {
			err := race(t.Context(), broken(Memory().Sessions), 4, true)
			if err == nil || !strings.Contains(err.Error(), "linearisable: Illegal") {
				t.Errorf("the history was accepted: %v", err)
			}
		})
	}
}

type blindMove struct{ session.Store }

func (b blindMove) Move(ctx context.Context, m session.Move) (session.Session, error) {
	s, err := b.Get(ctx, m.ID)
	if err != nil || s.State.Ended {
		return s, session.ErrConflict
	}
	m.Condition = s.State.Condition()
	return b.Store.Move(ctx, m)
}

// forgetful acknowledges every tenth move without storing it.
type forgetful struct {
	session.Store
	n atomic.Int64
}

func (f *forgetful) Move(ctx context.Context, m session.Move) (session.Session, error) {
	s, err := f.Get(ctx, m.ID)
	if err == nil && f.n.Add(1)%10 == 0 && m.Condition.Holds(s.State) {
		s.State.Head, s.State.HeadAt, s.Contact = m.Head, stored(m.At), m.Contact
		return s, nil
	}
	return f.Store.Move(ctx, m)
}

// stale answers every read after the first with what the first saw.
type stale struct {
	session.Store
	cache sync.Map
}

func (c *stale) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	if s, ok := c.cache.Load(id); ok {
		return s.(session.Session), nil
	}
	s, err := c.Store.Get(ctx, id)
	if err == nil {
		c.cache.Store(id, s)
	}
	return s, err
}

type sweepsAll struct{ session.Store }

func (s sweepsAll) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (rotation.SessionID, int, error) {
	return s.Store.Sweep(ctx, from, limit, func(s session.Session) bool { dead(s); return true })
}
