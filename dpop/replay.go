package dpop

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxReplays bounds what is remembered, about 4 MB. A client that fills it can
// make room for replays of its own proofs alone: nobody else has its key.
const maxReplays = 1 << 16

// Replays remembers proofs for as long as they could be used again. It is safe
// for concurrent use. It is of one process: behind several, a proof can be used
// once at each, within [MaxAge]. The zero value is ready.
type Replays struct {
	mu    sync.Mutex
	seen  map[[sha256.Size]byte]struct{}
	order []use // in the order of use, from first on
	first int
}

type use struct {
	key   [sha256.Size]byte
	until time.Time
}

// Use notes that a proof is being used, or returns ErrReplay if it was before.
func (r *Replays) Use(p Proof, now time.Time) error {
	key := sha256.Sum256([]byte(p.Key + "." + p.id))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	if _, again := r.seen[key]; again {
		return ErrReplay
	}
	if r.seen == nil {
		r.seen = make(map[[sha256.Size]byte]struct{})
	}
	r.seen[key] = struct{}{}
	// Counted from now: those that were used first are forgotten first.
	r.order = append(r.order, use{key, now.Add(MaxAge + MaxAhead)})
	return nil
}

// forget drops what is too old to be used again, and the oldest beyond the bound.
func (r *Replays) forget(now time.Time) {
	for r.first < len(r.order) && (now.After(r.order[r.first].until) || len(r.order)-r.first >= maxReplays) {
		delete(r.seen, r.order[r.first].key)
		r.first++
	}
	if r.first > len(r.order)/2 {
		r.order = append(r.order[:0:0], r.order[r.first:]...)
		r.first = 0
	}
}
