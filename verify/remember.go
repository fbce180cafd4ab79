package verify

import (
	"crypto"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"
)

// remembered is a table of tokens whose signature was good. It is of fixed size,
// needs no lock, and reading allocates nothing. A token has a few places (ways)
// where it may lie, chosen by a hash under a seed of this process; what is found
// there is compared in full, so a collision of the hash can cost time but never
// let a token pass.
type remembered struct {
	seed  maphash.Seed
	mask  uint64
	slots []atomic.Pointer[seen]
}

// seen is a token that was verified with key. It is immutable.
type seen struct {
	raw   string
	token *Token
	key   crypto.PublicKey
}

const ways = 4

// newRemembered makes room for size tokens, rounded up to a power of two.
func newRemembered(size int) *remembered {
	n := ways
	for n < size {
		n *= 2
	}
	return &remembered{seed: maphash.MakeSeed(), mask: uint64(n/ways - 1), slots: make([]atomic.Pointer[seen], n)}
}

func (r *remembered) set(raw string) []atomic.Pointer[seen] {
	i := (maphash.String(r.seed, raw) & r.mask) * ways
	return r.slots[i : i+ways]
}

func (r *remembered) get(raw string) *seen {
	set := r.set(raw)
	for i := range set {
		if s := set[i].Load(); s != nil && s.raw == raw {
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
	set := r.set(s.raw)
	victim, first := 0, time.Time{}
	for i := range set {
		old := set[i].Load()
		if old == nil || old.raw == s.raw {
			victim = i
			break
		}
		if exp := old.token.expiresAt; i == 0 || exp.Before(first) {
			victim, first = i, exp
		}
	}
	set[victim].Store(&s)
}
