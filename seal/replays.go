package seal

import (
	"container/heap"
	"sync"
	"time"
)

// Window is how far back sequence numbers may lie behind the newest of their
// agreement and still be told apart: how many requests of one page may
// overtake each other.
const Window = 1024

// Replays refuses what was received before. It remembers a window of sequence
// numbers for every agreement in use, at most so many of them. When there are
// more, it forgets the one that was silent for longest, and from then on refuses
// messages of agreements that it does not know which are not newer than
// what it forgot: it may refuse a good message, for which the client has
// a fresh one, and never takes one twice. The same rule covers a restart.
type Replays struct {
	max int

	mu     sync.Mutex
	known  map[Agreement]*entry
	oldest entries
	floor  int64 // ms since the epoch
}

// Agreement names what two parties share keys by.
type Agreement struct{ Server, Client, Session string }

type entry struct {
	name   Agreement
	keys   *Keys
	since  int64  // what is not newer may have been forgotten
	newest int64  // time of its newest message
	top    uint64 // highest sequence number
	seen   [Window / 64]uint64
	index  int
}

// NewReplays starts at a moment: nothing that was sealed before is accepted. It
// takes about 2 KB for each of the agreements, at most.
func NewReplays(agreements int, start time.Time) *Replays {
	return &Replays{max: agreements, known: map[Agreement]*entry{}, floor: start.UnixMilli()}
}

// Keys are those of an agreement that is in use, or nil.
func (g *Replays) Keys(a Agreement) *Keys {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.known[a]; e != nil {
		return e.keys
	}
	return nil
}

// Accept takes note of a message that has been opened, or returns ErrReplayed or
// ErrStale. Whether its time is near is for the caller to check.
func (g *Replays) Accept(a Agreement, keys *Keys, sequence uint64, at int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.known[a]
	if e == nil {
		full := len(g.known) >= g.max
		if at <= g.floor || full && at <= g.oldest[0].newest {
			return ErrStale
		}
		if full {
			gone := heap.Pop(&g.oldest).(*entry)
			delete(g.known, gone.name)
			g.floor = gone.newest
		}
		e = &entry{name: a, keys: keys, since: g.floor, newest: at}
		g.known[a] = e
		heap.Push(&g.oldest, e)
	}
	if at <= e.since {
		return ErrStale
	}
	if !e.take(sequence) {
		return ErrReplayed
	}
	if at > e.newest {
		e.newest = at
		heap.Fix(&g.oldest, e.index)
	}
	return nil
}

// take marks a sequence number and reports whether it is new (as the
// anti-replay window of RFC 4303 §3.4.3).
func (e *entry) take(n uint64) bool {
	if n > e.top {
		if n-e.top >= Window {
			clear(e.seen[:])
		} else {
			for i := e.top + 1; i < n; i++ {
				e.seen[i%Window/64] &^= 1 << (i % 64)
			}
		}
		e.top = n
	} else if e.top-n >= Window || e.seen[n%Window/64]&(1<<(n%64)) != 0 {
		return false
	}
	e.seen[n%Window/64] |= 1 << (n % 64)
	return true
}

// entries is a heap with the one whose newest message is oldest on top.
type entries []*entry

func (s entries) Len() int           { return len(s) }
func (s entries) Less(i, j int) bool { return s[i].newest < s[j].newest }
func (s entries) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}
func (s *entries) Push(x any) {
	e := x.(*entry)
	e.index = len(*s)
	*s = append(*s, e)
}
func (s *entries) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}
