package dpop

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds of what is remembered, about 100 bytes each. A key that has used its
// share makes room for replays of its own proofs alone, which nobody else can
// make. The share is a quarter of what is free, within these bounds, so that it
// takes thousands of keys to fill all.
const (
	maxOfKey = 1 << 13
	minOfKey = 1 << 4
	maxAll   = 1 << 18
)

// Replays remembers proofs for as long as they could be used again. It is safe
// for concurrent use. It is of one process: behind several, a proof can be used
// once at each, within [MaxAge]. The zero value is ready.
type Replays struct {
	mu    sync.Mutex
	keys  map[string]*list.Element // of keyUses
	order list.List                // of *keyUses, the latest used key last
	all   int
}

// keyUses are the proofs of one key.
type keyUses struct {
	key   string
	seen  map[proofID]struct{}
	order []use // in the order of use
}

type use struct {
	id    proofID
	until time.Time
}

// proofID is a jti, shortened.
type proofID [16]byte

func (p Proof) short() proofID {
	sum := sha256.Sum256([]byte(p.id))
	return proofID(sum[:16])
}

// Use notes that a proof is being used, or returns ErrReplay if it was before.
func (r *Replays) Use(p Proof, now time.Time) error {
	id := p.short()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	k := r.of(p.Key)
	share := max(minOfKey, min(maxOfKey, (maxAll-r.all)/4))
	for len(k.order) > 0 && (now.After(k.order[0].until) || len(k.order) >= share) {
		r.dropOldest(k)
	}
	if _, again := k.seen[id]; again {
		return ErrReplay
	}
	if r.all >= maxAll {
		idle := r.order.Front().Value.(*keyUses)
		r.dropOldest(idle)
		if idle != k {
			r.dropEmpty(idle)
		}
	}
	k.seen[id] = struct{}{}
	// Counted from now: those that were used first are forgotten first.
	k.order = append(k.order, use{id, now.Add(MaxAge + MaxAhead)})
	r.all++
	return nil
}

// Release forgets a use that came to nothing, because the request was refused
// for another reason: those who are refused fill no memory.
func (r *Replays) Release(p Proof) {
	id := p.short()
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.keys[p.Key]
	if !ok {
		return
	}
	k := e.Value.(*keyUses)
	for i := len(k.order) - 1; i >= 0; i-- {
		if k.order[i].id == id {
			k.order = append(k.order[:i], k.order[i+1:]...)
			delete(k.seen, id)
			r.all--
			break
		}
	}
	r.dropEmpty(k)
}

// of is what is known of a key, which becomes the latest used.
func (r *Replays) of(key string) *keyUses {
	if e, ok := r.keys[key]; ok {
		r.order.MoveToBack(e)
		return e.Value.(*keyUses)
	}
	if r.keys == nil {
		r.keys = map[string]*list.Element{}
	}
	k := &keyUses{key: key, seen: map[proofID]struct{}{}}
	r.keys[key] = r.order.PushBack(k)
	return k
}

// forget drops the keys of which nothing can be used again.
func (r *Replays) forget(now time.Time) {
	for e := r.order.Front(); e != nil; e = r.order.Front() {
		k := e.Value.(*keyUses)
		if !now.After(k.order[len(k.order)-1].until) {
			return
		}
		r.all -= len(k.order)
		k.order = nil
		r.dropEmpty(k)
	}
}

func (r *Replays) dropOldest(k *keyUses) {
	delete(k.seen, k.order[0].id)
	k.order = k.order[1:]
	r.all--
}

func (r *Replays) dropEmpty(k *keyUses) {
	if len(k.order) == 0 {
		r.order.Remove(r.keys[k.key])
		delete(r.keys, k.key)
	}
}
