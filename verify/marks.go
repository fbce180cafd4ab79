package verify

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// marks is a set of names (sessions that have ended, users whose grants have
// changed) with a version each. Versions only go up, so that events which come
// twice or out of order change nothing. Reads are spread over shards, so that
// requests do not queue behind each other.
type marks struct {
	seed   maphash.Seed
	count  atomic.Int64
	shards [64]struct {
		sync.RWMutex
		m map[string]mark
		_ [24]byte // one cache line each
	}
}

type mark struct {
	version int64
	until   time.Time // by the issuer's clock; no token that it concerns lives longer
}

func newMarks() *marks {
	m := &marks{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].m = map[string]mark{}
	}
	return m
}

// version is that of the name, if it is marked.
func (m *marks) version(name string) (int64, bool) {
	s := &m.shards[maphash.String(m.seed, name)%uint64(len(m.shards))]
	s.RLock()
	defer s.RUnlock()
	v, ok := s.m[name]
	return v.version, ok
}

// raise marks the name, or raises its version and its time; it reports whether
// the name is new.
func (m *marks) raise(name string, version int64, until time.Time) bool {
	s := &m.shards[maphash.String(m.seed, name)%uint64(len(m.shards))]
	s.Lock()
	defer s.Unlock()
	old, ok := s.m[name]
	if old.version > version {
		version = old.version
	}
	if old.until.After(until) {
		until = old.until
	}
	s.m[name] = mark{version, until}
	if !ok {
		m.count.Add(1)
	}
	return !ok
}

// sweep drops the marks whose time has passed at now.
func (m *marks) sweep(now time.Time) {
	m.drop(func(v mark) bool { return now.After(v.until) })
}

func (m *marks) clear() { m.drop(func(mark) bool { return true }) }

func (m *marks) drop(dead func(mark) bool) {
	for i := range m.shards {
		s := &m.shards[i]
		s.Lock()
		for name, v := range s.m {
			if dead(v) {
				delete(s.m, name)
				m.count.Add(-1)
			}
		}
		s.Unlock()
	}
}
