package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// memory keeps everything in maps under one lock: the contract with nothing
// that makes it fast or durable.
type memory struct {
	mu        sync.Mutex
	clock     func() time.Time
	committed func([]events.Event)
	contents
}

// contents is what a backup holds.
type contents struct {
	sessions map[rotation.SessionID]session.Session
	ids      []rotation.SessionID // of sessions, in order
	docs     map[docKey]memoryDoc
	events   []events.Event
	lastSeq  int64
}

// Memory returns an empty store in memory. Its contents survive Reopen.
func Memory(o ...Options) Stores {
	s, _ := MemoryWithBackup(o...)
	return s
}

// Options of a store for a test.
type Options struct {
	// Clock is by what time documents are over. Nil: none ever is.
	Clock func() time.Time
	// Committed is told of what a call has committed, before it returns.
	Committed func([]events.Event)
}

// MemoryWithBackup is Memory, and a function that takes a backup and returns what
// puts it back: the store then is as it was, as often as that is called.
func MemoryWithBackup(o ...Options) (_ Stores, backup func() (restore func())) {
	m := &memory{contents: contents{
		sessions: map[rotation.SessionID]session.Session{},
		docs:     map[docKey]memoryDoc{},
	}}
	m.clock, m.committed = func() time.Time { return time.Time{} }, func([]events.Event) {}
	for _, o := range o {
		if o.Clock != nil {
			m.clock = o.Clock
		}
		if o.Committed != nil {
			m.committed = o.Committed
		}
	}
	s := On(memorySessions{m}, memoryEvents{m}, memoryDocuments{m})
	s.Reopen = func(*testing.T) Stores { return s }
	return s, func() func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		kept := m.copy()
		return func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.contents = kept.copy()
		}
	}
}

// copy shares what is in the rows, which is never changed in place.
func (c contents) copy() contents {
	c.sessions, c.ids = maps.Clone(c.sessions), slices.Clone(c.ids)
	c.docs, c.events = maps.Clone(c.docs), slices.Clone(c.events)
	return c
}

// locked runs f alone, unless nobody waits for it any more.
func (m *memory) locked(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return f()
}

func (m *memory) append(ev []events.Event) {
	for _, e := range ev {
		m.lastSeq++
		e.Seq, e.At, e.Data = m.lastSeq, stored(e.At), slices.Clone(e.Data)
		m.events = append(m.events, e)
	}
}

// stored is a time as a store keeps it: rounded down to the millisecond, in UTC.
func stored(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func firstN[T any](list []T, limit int) []T { return list[:min(len(list), max(limit, 0))] }

type memorySessions struct{ *memory }

func (m memorySessions) Create(ctx context.Context, s session.Session) error {
	return m.locked(ctx, func() error {
		if _, ok := m.sessions[s.ID]; ok {
			return fmt.Errorf("session %v exists already", s.ID)
		}
		s.State.HeadAt, s.State.CreatedAt = stored(s.State.HeadAt), stored(s.State.CreatedAt)
		if s.State.Ended {
			s.End.At = stored(s.End.At)
		}
		m.sessions[s.ID] = s
		i, _ := m.place(s.ID)
		m.ids = slices.Insert(m.ids, i, s.ID)
		return nil
	})
}

// place is that of the id among ids, whether it is there or not.
func (m memorySessions) place(id rotation.SessionID) (i int, found bool) {
	return slices.BinarySearchFunc(m.ids, id, func(a, b rotation.SessionID) int { return bytes.Compare(a[:], b[:]) })
}

func (m memorySessions) Get(ctx context.Context, id rotation.SessionID) (s session.Session, err error) {
	err = m.locked(ctx, func() error {
		var ok bool
		if s, ok = m.sessions[id]; !ok {
			return session.ErrNotFound
		}
		return nil
	})
	return s, err
}

func (m memorySessions) Move(ctx context.Context, mv session.Move) (session.Session, error) {
	var s session.Session
	err := m.locked(ctx, func() error {
		found, ok := m.sessions[mv.ID]
		if !ok || !mv.Condition.Holds(found.State) || mv.Constraint != found.Constraint {
			return session.ErrConflict
		}
		s = found
		s.State.Head, s.State.HeadAt, s.Contact = mv.Head, stored(mv.At), mv.Contact
		m.sessions[mv.ID] = s
		return nil
	})
	return s, err
}

func (m memorySessions) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	err := m.locked(ctx, func() error {
		s, ok := m.sessions[id]
		if !ok {
			return session.ErrNotFound
		}
		if s.State.Ended {
			return session.ErrConflict
		}
		s.State.Ended, s.End = true, session.End{Reason: e.Reason, At: stored(e.At)}
		m.sessions[id] = s
		m.append(ev)
		return nil
	})
	if err == nil || err == session.ErrConflict { // it is over either way
		m.committed(ev)
	}
	return err
}

func (m memorySessions) List(ctx context.Context, userID string, before rotation.SessionID, limit int) (list []session.Session, err error) {
	err = m.locked(ctx, func() error {
		end := len(m.ids)
		if before != (rotation.SessionID{}) {
			end, _ = m.place(before)
		}
		for i := end - 1; i >= 0 && len(list) < limit; i-- {
			if s := m.sessions[m.ids[i]]; !s.State.Ended && (userID == "" || s.UserID == userID) {
				list = append(list, s)
			}
		}
		return nil
	})
	return list, err
}

func (m memorySessions) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (next rotation.SessionID, deleted int, err error) {
	err = m.locked(ctx, func() error {
		begin, found := m.place(from)
		if found {
			begin++
		}
		end := min(begin+limit, len(m.ids))
		if end-begin == limit {
			next = m.ids[end-1]
		}
		left := slices.DeleteFunc(slices.Clone(m.ids[begin:end]), func(id rotation.SessionID) bool {
			if !dead(m.sessions[id]) {
				return false
			}
			delete(m.sessions, id)
			deleted++
			return true
		})
		if deleted > 0 {
			m.ids = slices.Replace(m.ids, begin, end, left...)
		}
		return nil
	})
	return next, deleted, err
}

type memoryEvents struct{ *memory }

func (m memoryEvents) Since(ctx context.Context, seq int64, limit int) (list []events.Event, err error) {
	err = m.locked(ctx, func() error {
		i, _ := slices.BinarySearchFunc(m.events, seq+1, func(e events.Event, seq int64) int { return cmp.Compare(e.Seq, seq) })
		for _, e := range firstN(m.events[i:], limit) {
			e.Data = slices.Clone(e.Data)
			list = append(list, e)
		}
		return nil
	})
	return list, err
}

func (m memoryEvents) Bounds(ctx context.Context) (first, last int64, err error) {
	err = m.locked(ctx, func() error {
		last = m.lastSeq
		if len(m.events) > 0 {
			first = m.events[0].Seq
		} else if last > 0 {
			first = last + 1
		}
		return nil
	})
	return first, last, err
}

func (m memoryEvents) Prune(ctx context.Context, before time.Time, limit int) (deleted int, err error) {
	err = m.locked(ctx, func() error {
		for deleted < limit && len(m.events) > 0 && m.events[0].At.Before(stored(before)) {
			m.events = m.events[1:]
			deleted++
		}
		return nil
	})
	return deleted, err
}
