package verify

import (
	"crypto"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"
)

// remembered is a table of tokens whose signature was good. It is of fixed size,
// needs no lock, and reading allocates nothing. A token has a few places where it
// may lie, given by a hash under a seed of this process; what is found there is
// compared in full, so a collision of the hash can cost time but never let a
// token pass.
type remembered struct {
	seed  maphash.Seed
	mask  uint64
	slots []atomic.Pointer[seen]
}

// seen is a token that was verified with key. It is immutable.
type seen struct {
	raw   string
	hash  uint64
	token *Token
	key   crypto.PublicKey
}

// A token has two sets of four places. With the choice between two, next to none
// is pushed out by a living neighbour while the table is half full; with one set
// it would be one in twenty.
const (
	sets = 2
	ways = 4
)

// newRemembered makes room for size tokens, rounded up to a power of two.
func newRemembered(size int) *remembered {
	n := ways
	for n < size {
		n *= 2
	}
	return &remembered{seed: maphash.MakeSeed(), mask: uint64(n/ways - 1), slots: make([]atomic.Pointer[seen], n)}
}

// place is the i-th place for a token with that hash, 0 <= i < sets*ways.
func (r *remembered) place(hash uint64, i int) *atomic.Pointer[seen] {
	set := hash >> (i / ways * 32) & r.mask
	return &r.slots[set*ways+uint64(i%ways)]
}

func (r *remembered) get(raw string) *seen {
	hash := maphash.String(r.seed, raw)
	for i := range sets * ways {
		if s := r.place(hash, i).Load(); s != nil && s.hash == hash && s.raw == raw {
			return s
		}
	}
	return nil
}

// put remembers a verified token in place of itself, of nothing, or of the one
// that expires first. Of two tokens put at once into one place, one is lost and
// will be verified again.
func (r *remembered) put(s seen) {
	s.raw = strings.Clone(s.raw) // it may be part of a whole request's headers
	s.hash = maphash.String(r.seed, s.raw)
	var victim *atomic.Pointer[seen]
	var first time.Time // the victim's expiry; zero: it is empty
	for i := range sets * ways {
		p := r.place(s.hash, i)
		old := p.Load()
		switch {
		case old == nil:
			if victim == nil || !first.IsZero() {
				victim, first = p, time.Time{}
			}
		case old.hash == s.hash && old.raw == s.raw: // by another goroutine, just now
			p.Store(&s)
			return
		case victim == nil || old.token.expiresAt.Before(first):
			victim, first = p, old.token.expiresAt
		}
	}
	victim.Store(&s)
}
