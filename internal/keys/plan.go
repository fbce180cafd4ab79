package keys

import "time"

// Step is something that [Plan] does to a key.
type Step string

const (
	Announced Step = "announced"
	Retired   Step = "retired"
	Dropped   Step = "dropped"
)

// Action is one step of a plan.
type Action struct {
	Step Step
	Key  Key
}

// Plan returns the ring as it should be at now, and what changed. Announced
// keys come without a secret (Sealed is nil); the caller makes one. An
// unchanged ring has no actions.
//
// Steady is how long the caller's clock is known to have run without a jump.
// Nothing is retired or dropped until that is the lead time: a clock that is
// wrong for a moment must not cost a key. A new key is cheap, so one is
// announced whatever the clock says.
func Plan(ring []Key, p Policy, now time.Time, steady time.Duration) (next []Key, actions []Action) {
	for _, u := range p.uses(ring) {
		if at, due := announce(ring, p, u, now); due {
			k := Key{ID: nextID(ring, next), Use: u, Algorithm: p.algorithm(u), CreatedAt: now, ActiveAt: at}
			next = append(next, k)
			actions = append(actions, Action{Announced, k})
		}
	}
	announced := next
	next = make([]Key, 0, len(ring)+len(announced))
	for _, k := range ring {
		switch {
		case steady < p.Lead:
		case k.RetiredAt.IsZero():
			// A lead time after it was replaced: a node that believes a clock
			// which is a little fast must not take a key from the others early.
			past := now.Add(-p.Lead)
			if c := current(ring, k.Use, past); ring[c].ID != k.ID && !k.ActiveAt.After(past) {
				k.RetiredAt = now
				actions = append(actions, Action{Retired, k})
			}
		case expired(k, p, now):
			actions = append(actions, Action{Dropped, k})
			continue
		}
		next = append(next, k)
	}
	return append(next, announced...), actions
}

// announce reports whether a new key of a use is due, and when it becomes
// active.
func announce(ring []Key, p Policy, u Use, now time.Time) (activeAt time.Time, due bool) {
	var newest *Key
	usable := false
	for i, k := range ring {
		if k.Use != u {
			continue
		}
		usable = usable || k.RetiredAt.IsZero()
		// A key from the future was made under a wrong clock. It is kept, but
		// must not hold up the next one.
		if !k.CreatedAt.After(now.Add(p.Lead)) && (newest == nil || k.CreatedAt.After(newest.CreatedAt)) {
			newest = &ring[i]
		}
	}
	if !usable {
		return now, true
	}
	activeAt = now.Add(p.Lead)
	if newest == nil {
		return activeAt, true
	}
	age := now.Sub(newest.CreatedAt)
	// At most one change of algorithm per lead time: nodes that are configured
	// differently must not flood the ring.
	return activeAt, age >= p.Period || (newest.Algorithm != p.algorithm(u) && age >= p.Lead)
}

func expired(k Key, p Policy, now time.Time) bool {
	r := p.retention(k.Use)
	return r > 0 && now.Sub(k.RetiredAt) >= r
}

// nextID is above every id that is or was in the ring: the newest key is never
// dropped before there is a newer one.
func nextID(rings ...[]Key) uint32 {
	var top uint32
	for _, ring := range rings {
		for _, k := range ring {
			top = max(top, k.ID)
		}
	}
	return top + 1
}

// current is the index of the key to use for new tokens at now, or -1 if there
// is none of that use: of those that are not retired, the one that became
// active last. A node whose clock is behind all of them takes the first that
// will be: that is the one the others use.
func current(ring []Key, u Use, now time.Time) int {
	best := -1
	for i, k := range ring {
		if k.Use == u && (best < 0 || better(&ring[i], &ring[best], now)) {
			best = i
		}
	}
	return best
}

func better(a, b *Key, now time.Time) bool {
	if ar, br := a.RetiredAt.IsZero(), b.RetiredAt.IsZero(); ar != br {
		return ar
	}
	if aa, ba := !a.ActiveAt.After(now), !b.ActiveAt.After(now); aa != ba {
		return aa
	} else if !a.ActiveAt.Equal(b.ActiveAt) {
		return a.ActiveAt.After(b.ActiveAt) == aa
	}
	return a.ID > b.ID
}
