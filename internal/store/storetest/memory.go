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

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// memory keeps everything in maps under one lock: the contract with nothing
// that makes it fast or durable.
type memory struct {
	mu sync.Mutex
	contents
}

// contents is what a backup holds.
type contents struct {
	sessions map[rotation.SessionID]session.Session
	ids      []rotation.SessionID // of sessions, in order
	users    map[string]directory.User
	names    map[string]string // of users: their ids
	roles    map[string]directory.Role
	clients  map[string]oauth.Client
	flows    map[oauth.Key]oauth.Flow
	links    map[rotation.SessionID]session.Link
	notes    map[session.NoteKey]time.Time
	ring     []keys.Key
	version  int64
	events   []events.Event
	lastSeq  int64
}

// Memory returns an empty store in memory. Its contents survive Reopen.
func Memory() Stores {
	s, _ := MemoryWithBackup()
	return s
}

// MemoryWithBackup is Memory, and a function that takes a backup and returns what
// puts it back: the store then is as it was, as often as that is called.
func MemoryWithBackup() (_ Stores, backup func() (restore func())) {
	m := &memory{contents: contents{
		sessions: map[rotation.SessionID]session.Session{},
		users:    map[string]directory.User{},
		names:    map[string]string{},
		roles:    map[string]directory.Role{},
		clients:  map[string]oauth.Client{},
		flows:    map[oauth.Key]oauth.Flow{},
		links:    map[rotation.SessionID]session.Link{},
		notes:    map[session.NoteKey]time.Time{},
	}}
	var s Stores
	s = Stores{
		Sessions: memorySessions{m}, Keys: memoryKeys{m}, Directory: memoryDirectory{m}, Events: memoryEvents{m}, OAuth: memoryOAuth{m}, Links: memoryLinks{m},
		Reopen: func(*testing.T) Stores { return s },
	}
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
	c.users, c.names, c.roles = maps.Clone(c.users), maps.Clone(c.names), maps.Clone(c.roles)
	c.clients, c.flows = maps.Clone(c.clients), maps.Clone(c.flows)
	c.links, c.notes = maps.Clone(c.links), maps.Clone(c.notes)
	c.ring, c.events = slices.Clone(c.ring), slices.Clone(c.events)
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
	return m.locked(ctx, func() error {
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

type memoryKeys struct{ *memory }

func (m memoryKeys) Load(ctx context.Context) (ring []keys.Key, version int64, err error) {
	err = m.locked(ctx, func() error {
		ring, version = cloneRing(m.ring), m.version
		return nil
	})
	return ring, version, err
}

func (m memoryKeys) Replace(ctx context.Context, version int64, ring []keys.Key, ev ...events.Event) error {
	return m.locked(ctx, func() error {
		if version != m.version {
			return keys.ErrConflict
		}
		m.ring, m.version = cloneRing(ring), version+1
		m.append(ev)
		return nil
	})
}

func cloneRing(ring []keys.Key) []keys.Key {
	ring = slices.Clone(ring)
	for i := range ring {
		k := &ring[i]
		k.CreatedAt, k.ActiveAt, k.Sealed = stored(k.CreatedAt), stored(k.ActiveAt), slices.Clone(k.Sealed)
		k.RetiredAt = stored(k.RetiredAt) // the zero time stays zero
	}
	return ring
}

type memoryDirectory struct{ *memory }

func cloneUser(u directory.User) directory.User {
	u.CreatedAt, u.Roles = stored(u.CreatedAt), slices.Clone(u.Roles)
	u.External.Roles = slices.Clone(u.External.Roles)
	slices.Sort(u.Roles)
	u.Roles = slices.Compact(u.Roles)
	return u
}

func (m memoryDirectory) ordered() []directory.User {
	return slices.SortedFunc(maps.Values(m.users), func(a, b directory.User) int { return cmp.Compare(a.Name, b.Name) })
}

func (m memoryDirectory) find(ctx context.Context, is func(directory.User) bool) (u directory.User, err error) {
	err = m.locked(ctx, func() error {
		for _, found := range m.users {
			if is(found) {
				u = cloneUser(found)
				return nil
			}
		}
		return directory.ErrNotFound
	})
	return u, err
}

func (m memoryDirectory) UserByName(ctx context.Context, name string) (directory.User, error) {
	return m.find(ctx, func(u directory.User) bool { return u.Name == name })
}

func (m memoryDirectory) UserByID(ctx context.Context, id string) (u directory.User, err error) {
	err = m.locked(ctx, func() error {
		found, ok := m.users[id]
		if !ok {
			return directory.ErrNotFound
		}
		u = cloneUser(found)
		return nil
	})
	return u, err
}

func (m memoryDirectory) UserByExternal(ctx context.Context, issuer, subject string) (directory.User, error) {
	return m.find(ctx, func(u directory.User) bool {
		return issuer != "" && u.External.Issuer == issuer && u.External.Subject == subject
	})
}

func (m memoryDirectory) Users(ctx context.Context, after string, limit int) (list []directory.User, err error) {
	err = m.locked(ctx, func() error {
		for _, u := range m.ordered() {
			if u.Name > after {
				list = append(list, cloneUser(u))
			}
		}
		return nil
	})
	return firstN(list, limit), err
}

// taken reports whether another user has the name, or is the same person at a provider.
func (m memoryDirectory) taken(v directory.User) bool {
	if id, ok := m.names[v.Name]; ok && id != v.ID {
		return true
	}
	if v.External.Issuer == "" {
		return false
	}
	for _, u := range m.users {
		if u.ID != v.ID && v.External.Issuer == u.External.Issuer && v.External.Subject == u.External.Subject {
			return true
		}
	}
	return false
}

func (m memoryDirectory) keep(u directory.User) {
	delete(m.names, m.users[u.ID].Name)
	m.users[u.ID], m.names[u.Name] = cloneUser(u), u.ID
}

func (m memoryDirectory) CreateUser(ctx context.Context, u directory.User) error {
	return m.locked(ctx, func() error {
		if _, ok := m.users[u.ID]; ok || m.taken(u) {
			return directory.ErrExists
		}
		m.keep(u)
		return nil
	})
}

func (m memoryDirectory) UpdateUser(ctx context.Context, id string, change func(*directory.User) ([]events.Event, error)) error {
	return m.locked(ctx, func() error {
		found, ok := m.users[id]
		if !ok {
			return directory.ErrNotFound
		}
		u := cloneUser(found)
		ev, err := change(&u)
		if err != nil {
			return err
		}
		if u.ID != id {
			return fmt.Errorf("the id of user %q cannot be changed", id)
		}
		if m.taken(u) {
			return directory.ErrExists
		}
		m.keep(u)
		m.append(ev)
		return nil
	})
}

func cloneRole(r directory.Role) directory.Role {
	r.Permissions = slices.Clone(r.Permissions)
	slices.Sort(r.Permissions)
	r.Permissions = slices.Compact(r.Permissions)
	return r
}

func (m memoryDirectory) DeleteUser(ctx context.Context, id string) error {
	return m.locked(ctx, func() error {
		u, ok := m.users[id]
		if !ok {
			return directory.ErrNotFound
		}
		delete(m.users, id)
		delete(m.names, u.Name)
		return nil
	})
}

func (m memoryDirectory) Roles(ctx context.Context) (list []directory.Role, err error) {
	err = m.locked(ctx, func() error {
		for _, name := range slices.Sorted(maps.Keys(m.roles)) {
			list = append(list, cloneRole(m.roles[name]))
		}
		return nil
	})
	return list, err
}

func (m memoryDirectory) UpdateRole(ctx context.Context, name string, change func(*directory.Role) error, changed func(directory.User) events.Event) error {
	return m.locked(ctx, func() error {
		found, ok := m.roles[name]
		if !ok {
			return directory.ErrNotFound
		}
		r := cloneRole(found)
		if err := change(&r); err != nil {
			return err
		}
		if r.Name != name {
			return fmt.Errorf("the name of role %q cannot be changed", name)
		}
		m.roles[name] = cloneRole(r)
		for _, u := range m.ordered() {
			if slices.Contains(u.Roles, name) {
				u.GrantsVersion++
				m.users[u.ID] = u
				m.append([]events.Event{changed(cloneUser(u))})
			}
		}
		return nil
	})
}

func (m memoryDirectory) CreateRole(ctx context.Context, r directory.Role) error {
	return m.locked(ctx, func() error {
		if _, ok := m.roles[r.Name]; ok {
			return directory.ErrExists
		}
		m.roles[r.Name] = cloneRole(r)
		for _, u := range m.ordered() {
			m.users[u.ID] = without(u, r.Name)
		}
		return nil
	})
}

func (m memoryDirectory) DeleteRole(ctx context.Context, name string, changed func(directory.User) events.Event) error {
	return m.locked(ctx, func() error {
		if _, ok := m.roles[name]; !ok {
			return directory.ErrNotFound
		}
		delete(m.roles, name)
		for _, u := range m.ordered() {
			if slices.Contains(u.Roles, name) {
				u = without(u, name)
				u.GrantsVersion++
				m.users[u.ID] = u
				m.append([]events.Event{changed(cloneUser(u))})
			}
		}
		return nil
	})
}

func without(u directory.User, role string) directory.User {
	u = cloneUser(u)
	u.Roles = slices.DeleteFunc(u.Roles, func(r string) bool { return r == role })
	return u
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
