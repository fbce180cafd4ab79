package directory

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// ThrottleConfig says how much guessing is let through. Zero fields have the
// defaults given; Clock is required.
type ThrottleConfig struct {
	Clock func() time.Time
	// PerName is how many times in a row one address may fail for one name
	// before it has to wait (5). While a name is under attack it is less, for
	// addresses that fail, but never less than one.
	PerName int
	// PerAddress is how many times one address may fail for any names (100:
	// a whole office may share one).
	PerAddress int
	// Delay is the first wait (1 s). It doubles with every failure up to
	// MaxDelay (15 min).
	Delay, MaxDelay time.Duration
	// Forgive is how long it takes until one failure of an address for a name
	// is forgiven (15 min), ForgiveAddress one of an address for any name and
	// of a name from any address (1 min).
	Forgive, ForgiveAddress time.Duration
	// Entries bounds the memory, for names with addresses, addresses, and
	// names each (32,768). The longest unused go first.
	Entries int
}

// underAttack is how many failures of a name, from any address, cost every
// address one of its free failures.
const underAttack = 10

// abandoned is when an attempt that was let through and never settled stops to
// count.
const abandoned = time.Minute

// A blocked attempt looks again when another is settled. While none is, it
// looks every recheck, and is turned away after patience of them.
const (
	recheck  = time.Second
	patience = 30
)

// Throttle slows down those who guess passwords. Only failures count, per name
// and address and per address; IPv6 addresses count by /64. Whoever has the
// right password is never held up by failures from other addresses.
//
// Every attempt that Allow lets through must be settled by one call of Failed,
// Succeeded or Released. Until then it counts as if it would fail, so that
// guesses in parallel get no further than guesses one by one.
//
// It is safe for concurrent use and keeps its state in memory: a restart
// forgives everything.
type Throttle struct {
	cfg  ThrottleConfig
	seed maphash.Seed

	mu        sync.Mutex
	pairs     *simplelru.LRU[uint64, *tally] // by name and address
	addresses *simplelru.LRU[uint64, *tally]
	names     *simplelru.LRU[uint64, *tally] // how much a name is under attack
}

// tally counts failures that are not forgiven yet.
type tally struct {
	level    int
	at       time.Time     // when the level was last right; whole forgiveness intervals count from here
	until    time.Time     // no attempt before
	pending  int           // let through and not settled
	reserved time.Time     // when the last of them was let through
	settled  chan struct{} // closed when one of them is settled; nil if nobody waits
}

// NewThrottle returns a Throttle.
func NewThrottle(cfg ThrottleConfig) *Throttle {
	cfg.PerName = orDefault(cfg.PerName, 5)
	cfg.PerAddress = orDefault(cfg.PerAddress, 100)
	cfg.Delay = orDefault(cfg.Delay, time.Second)
	cfg.MaxDelay = max(cfg.Delay, orDefault(cfg.MaxDelay, 15*time.Minute))
	cfg.Forgive = orDefault(cfg.Forgive, 15*time.Minute)
	cfg.ForgiveAddress = orDefault(cfg.ForgiveAddress, time.Minute)
	cfg.Entries = orDefault(cfg.Entries, 1<<15)
	t := &Throttle{cfg: cfg, seed: maphash.MakeSeed()}
	for _, m := range []**simplelru.LRU[uint64, *tally]{&t.pairs, &t.addresses, &t.names} {
		*m, _ = simplelru.NewLRU[uint64, *tally](cfg.Entries, nil) // errs only for a size below 1
	}
	return t
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Allow reports whether an attempt may be judged now, and if not, how long to
// wait before the next. While so many attempts are being judged that their
// failures would use up the limit, it blocks until one of them is settled: right
// passwords that come all at once are all let through.
func (t *Throttle) Allow(name string, from netip.Addr) (retryAfter time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for left := patience; left > 0; {
		now := t.cfg.Clock()
		pair, address := t.tallies(name, from)
		if wait := max(t.wait(pair, now), t.wait(address, now)); wait > 0 {
			return wait, false
		}
		full := address
		if pair.full(t.freeFor(name, pair, now), t.cfg.Forgive, now) {
			full = pair
		} else if !address.full(t.cfg.PerAddress, t.cfg.ForgiveAddress, now) {
			t.keep(name, from, pair, address)
			pair.reserve(now)
			address.reserve(now)
			return 0, true
		}
		if !t.waitFor(full) {
			left--
		}
	}
	return t.cfg.Delay, false
}

// waitFor gives up the lock until an attempt on e is settled, or for a moment.
func (t *Throttle) waitFor(e *tally) (settledOne bool) {
	if e.settled == nil {
		e.settled = make(chan struct{})
	}
	settled := e.settled
	t.mu.Unlock()
	defer t.mu.Lock()
	timer := time.NewTimer(recheck)
	defer timer.Stop()
	select {
	case <-settled:
		return true
	case <-timer.C:
		return false
	}
}

// Failed settles an attempt with a wrong password or an unknown name.
func (t *Throttle) Failed(name string, from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Clock()
	pair, address := t.tallies(name, from)
	t.keep(name, from, pair, address)
	free := t.freeFor(name, pair, now) // as it was when the attempt was let through
	t.fail(pair, free, t.cfg.Forgive, now)
	t.fail(address, t.cfg.PerAddress, t.cfg.ForgiveAddress, now)
	key := t.key(name, netip.Prefix{})
	attacked := get(t.names, key)
	t.names.Add(key, attacked)
	attacked.add(t.cfg.ForgiveAddress, now)
}

// Succeeded settles an attempt with the right password: the address is
// forgiven what it failed for this name, and nothing else, or an attacker would
// wipe the slate with an account of their own.
func (t *Throttle) Succeeded(name string, from netip.Addr) { t.settle(name, from, true) }

// Released settles an attempt that was not judged.
func (t *Throttle) Released(name string, from netip.Addr) { t.settle(name, from, false) }

func (t *Throttle) settle(name string, from netip.Addr, forgive bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pair, address := t.tallies(name, from)
	if forgive && pair.level > 0 {
		if attacked, ok := t.names.Get(t.key(name, netip.Prefix{})); ok {
			attacked.level = max(0, attacked.level-pair.level)
		}
		pair.level, pair.until = 0, time.Time{}
	}
	if pair.settle(); pair.blank() {
		t.pairs.Remove(t.key(name, network(from)))
	}
	if address.settle(); address.blank() {
		t.addresses.Remove(t.key("", network(from)))
	}
}

// freeFor is how many failures an address has for this name before it waits.
// Its own do not count as an attack on the name.
func (t *Throttle) freeFor(name string, own *tally, now time.Time) int {
	attacked, ok := t.names.Get(t.key(name, netip.Prefix{}))
	if !ok {
		return t.cfg.PerName
	}
	others := attacked.levelAt(t.cfg.ForgiveAddress, now) - own.levelAt(t.cfg.Forgive, now)
	return max(1, t.cfg.PerName-max(0, others)/underAttack)
}

// wait is how long this tally must rest, or 0. After the clock went back,
// nobody waits longer than the longest wait.
func (t *Throttle) wait(e *tally, now time.Time) time.Duration {
	if latest := now.Add(t.cfg.MaxDelay); e.until.After(latest) {
		e.until = latest
	}
	return max(0, e.until.Sub(now))
}

func (t *Throttle) fail(e *tally, free int, forgive time.Duration, now time.Time) {
	e.settle()
	e.add(forgive, now)
	if e.level >= free {
		e.until = now.Add(t.delay(e.level - free))
	}
}

// delay doubles with every failure over the free ones.
func (t *Throttle) delay(over int) time.Duration {
	d := t.cfg.Delay
	for range over {
		if d >= t.cfg.MaxDelay/2 {
			return t.cfg.MaxDelay
		}
		d *= 2
	}
	return d
}

// add counts a failure.
func (e *tally) add(forgive time.Duration, now time.Time) {
	level := e.levelAt(forgive, now)
	if level == 0 || now.Before(e.at) {
		e.at = now
	} else {
		e.at = e.at.Add(time.Duration(e.level-level) * forgive)
	}
	e.level = level + 1
}

func (e *tally) levelAt(forgive time.Duration, now time.Time) int {
	since := max(0, now.Sub(e.at)) // the clock may have gone back
	return int(max(0, int64(e.level)-int64(since/forgive)))
}

// full reports whether the attempts that are being judged would, if they all
// fail, use up what is free. A single one may always be judged.
func (e *tally) full(free int, forgive time.Duration, now time.Time) bool {
	pending := e.pendingAt(now)
	return pending > 0 && e.levelAt(forgive, now)+pending >= free
}

func (e *tally) reserve(now time.Time) { e.pending, e.reserved = e.pendingAt(now)+1, now }

func (e *tally) settle() {
	e.pending = max(0, e.pending-1)
	if e.settled != nil {
		close(e.settled)
		e.settled = nil
	}
}

func (e *tally) blank() bool { return e.level == 0 && e.pending == 0 }

// pendingAt forgets attempts that were never settled: their request died.
func (e *tally) pendingAt(now time.Time) int {
	if age := now.Sub(e.reserved); age < 0 || age > abandoned {
		return 0
	}
	return e.pending
}

// tallies are those of a name with an address, and of the address. New ones are
// not kept: an attempt that is turned away must push no other's out of memory.
func (t *Throttle) tallies(name string, from netip.Addr) (pair, address *tally) {
	p := network(from)
	return get(t.pairs, t.key(name, p)), get(t.addresses, t.key("", p))
}

func (t *Throttle) keep(name string, from netip.Addr, pair, address *tally) {
	p := network(from)
	t.pairs.Add(t.key(name, p), pair)
	t.addresses.Add(t.key("", p), address)
}

func get(m *simplelru.LRU[uint64, *tally], key uint64) *tally {
	if e, ok := m.Get(key); ok {
		return e
	}
	return &tally{}
}

// network is what counts as one address: whoever has one IPv6 address has the
// whole /64 around it.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Addr has the zero Prefix
	return p
}

// key is short whatever the name is. All spellings of a name count as one.
func (t *Throttle) key(name string, p netip.Prefix) uint64 {
	if normal, err := NormalizeName(name); err == nil {
		name = normal
	}
	return maphash.Comparable(t.seed, struct {
		name string
		from netip.Prefix
	}{name, p})
}
