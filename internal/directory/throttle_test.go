package directory

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newThrottle(change func(*ThrottleConfig)) (*Throttle, *clock) {
	c := &clock{epoch}
	cfg := ThrottleConfig{Clock: c.now}
	if change != nil {
		change(&cfg)
	}
	return NewThrottle(cfg), c
}

func ip(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }

// guess makes one attempt with a wrong password as soon as it may be judged, and
// returns how long that took.
func guess(t *Throttle, c *clock, name string, from netip.Addr) (waited time.Duration) {
	for {
		wait, ok := t.Allow(name, from)
		if ok {
			t.Failed(name, from)
			return waited
		}
		waited += wait
		c.at = c.at.Add(wait)
	}
}

func TestDelaysDouble(t *testing.T) {
	th, c := newThrottle(nil)
	var got []time.Duration
	for range 20 {
		got = append(got, guess(th, c, "alice", ip(1)))
	}
	s := time.Second
	want := []time.Duration{0, 0, 0, 0, 0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s, 512 * s}
	for i, w := range want {
		if got[i] != w {
			t.Fatalf("guess %d waited %v, want %v: %v", i+1, got[i], w, got)
		}
	}
	for _, w := range got[len(want):] {
		if w < 256*s || w > 15*time.Minute { // some are forgiven in the meantime
			t.Errorf("a later guess waited %v: %v", w, got)
		}
	}
}

// One failure is forgiven every quarter of an hour, however the others lie.
func TestFailuresAreForgivenOneByOne(t *testing.T) {
	th, c := newThrottle(nil)
	for i := range 12 { // four are left at the end
		if wait := guess(th, c, "alice", ip(1)); wait != 0 {
			t.Errorf("guess %d waited %v", i+1, wait)
		}
		c.at = c.at.Add(10 * time.Minute)
	}
	if wait := guess(th, c, "alice", ip(1)); wait != 0 {
		t.Errorf("the fifth waited %v", wait)
	}
	if wait := guess(th, c, "alice", ip(1)); wait != time.Second {
		t.Errorf("the sixth waited %v", wait)
	}
}

func TestOnesOwnFailuresAreNoAttack(t *testing.T) {
	th, c := newThrottle(func(cfg *ThrottleConfig) { cfg.PerName = 30 })
	for i := range 30 {
		if wait := guess(th, c, "alice", ip(1)); wait != 0 {
			t.Errorf("guess %d waited %v", i+1, wait)
		}
	}
}

func TestRetryAfterIsTheTruth(t *testing.T) {
	th, c := newThrottle(nil)
	for range 6 {
		guess(th, c, "alice", ip(1))
	}
	wait, ok := th.Allow("alice", ip(1))
	if ok || wait != 2*time.Second {
		t.Fatalf("%v, %v", wait, ok)
	}
	c.at = c.at.Add(wait - 1)
	if left, ok := th.Allow("alice", ip(1)); ok || left != 1 {
		t.Errorf("a moment before: %v, %v", left, ok)
	}
	c.at = c.at.Add(1)
	if _, ok := th.Allow("alice", ip(1)); !ok {
		t.Error("still held up when the time is over")
	}
}

func TestSpellingsAndNetworksCountAsOne(t *testing.T) {
	th, c := newThrottle(nil)
	spelled := []string{"alice", "ALICE", " alice", "ａｌｉｃｅ", "Alice"}
	for i, name := range spelled {
		guess(th, c, name, netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%d", i+1)))
	}
	if _, ok := th.Allow("alice", netip.MustParseAddr("2001:db8:1:2:ffff::1%eth0")); ok {
		t.Error("another address of the same /64 starts afresh")
	}
	if _, ok := th.Allow("alice", netip.MustParseAddr("2001:db8:1:3::1")); !ok {
		t.Error("the next /64 is held up")
	}
	for range 5 {
		guess(th, c, "bob", netip.MustParseAddr("192.0.2.1"))
	}
	if _, ok := th.Allow("bob", netip.MustParseAddr("::ffff:192.0.2.1")); ok {
		t.Error("the mapped form of an address starts afresh")
	}
	if _, ok := th.Allow("bob", netip.Addr{}); !ok {
		t.Error("no address at all is held up")
	}
}

func TestASuccessForgivesItsOwnName(t *testing.T) {
	th, c := newThrottle(nil)
	for range 6 {
		for range 4 {
			if wait := guess(th, c, "alice", ip(1)); wait != 0 {
				t.Fatalf("waited %v", wait)
			}
		}
		if _, ok := th.Allow("alice", ip(1)); !ok {
			t.Fatal("the right password is held up")
		}
		th.Succeeded("alice", ip(1))
	}
}

// An account of one's own does not wipe the slate.
func TestASuccessForgivesOnlyItsOwnName(t *testing.T) {
	th, c := newThrottle(func(cfg *ThrottleConfig) { cfg.PerAddress = 10 })
	for i := range 10 {
		guess(th, c, fmt.Sprint("victim", i), ip(1))
		if i < 9 {
			if _, ok := th.Allow("mallory", ip(1)); !ok {
				t.Fatal("held up too early")
			}
			th.Succeeded("mallory", ip(1))
		}
	}
	if _, ok := th.Allow("victim99", ip(1)); ok {
		t.Error("ten failures of one address have no effect")
	}
}

// Whatever others do from elsewhere: an attempt from an address that has not
// failed is judged at once, and so is every right password after it.
func TestOthersFailuresNeverHoldUpTheRightPassword(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th, c := newThrottle(func(cfg *ThrottleConfig) { cfg.Entries = rapid.SampledFrom([]int{4, 1 << 10}).Draw(t, "entries") })
		home := ip(1 << 20)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			c.at = c.at.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "pause")))
			switch rapid.IntRange(0, 3).Draw(t, "who") {
			case 0:
				if wait, ok := th.Allow("alice", home); !ok {
					t.Fatalf("the owner has to wait %v", wait)
				}
				th.Succeeded("alice", home)
			default:
				from := ip(rapid.IntRange(0, 30).Draw(t, "attacker"))
				if _, ok := th.Allow("alice", from); ok {
					th.Failed("alice", from)
				}
			}
		}
		if wait, ok := th.Allow("alice", ip(1<<21)); !ok {
			t.Fatalf("a fresh address has to wait %v", wait)
		}
	})
}

func TestUnderAttackNewAddressesHaveFewerTries(t *testing.T) {
	free := func(failures int) (n int) {
		th, c := newThrottle(nil)
		for i := range failures {
			guess(th, c, "alice", ip(i))
		}
		for guess(th, c, "alice", ip(1<<20)) == 0 {
			n++
		}
		return n
	}
	for failures, want := range map[int]int{0: 5, 9: 5, 10: 4, 30: 2, 1000: 1} {
		// The tries themselves count as attack: they may cost one more.
		if got := free(failures); got > want || got < want-1 || got < 1 {
			t.Errorf("after %d failures a new address has %d tries, want %d", failures, got, want)
		}
	}
}

// In any day, one address gets no more guesses at one name than the delays say,
// whatever the pauses.
func TestGuessesPerDayAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th, c := newThrottle(nil)
		judged := 0
		for c.at.Sub(epoch) < 24*time.Hour {
			c.at = c.at.Add(time.Duration(rapid.SampledFrom([]int64{1, 1e3, 1e5}).Draw(t, "pause")) * time.Millisecond)
			if _, ok := th.Allow("alice", ip(1)); ok {
				judged++
				th.Failed("alice", ip(1))
			}
			if judged > 300 {
				t.Fatalf("%d guesses were judged by %v", judged, c.at)
			}
			if rapid.IntRange(0, 3).Draw(t, "rest") == 0 {
				c.at = c.at.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "rest for")))
			}
		}
	})
}

// Guesses in parallel get no further than guesses one by one.
func TestParallelGuessesDoNotSlipThrough(t *testing.T) {
	for _, names := range []int{1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			th := NewThrottle(ThrottleConfig{Clock: time.Now})
			var judged, held atomic.Int64
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() {
					name := fmt.Sprint("user", i%names)
					if _, ok := th.Allow(name, ip(1)); !ok {
						held.Add(1)
						return
					}
					time.Sleep(100 * time.Millisecond)
					judged.Add(1)
					th.Failed(name, ip(1))
				})
			}
			wg.Wait()
			// The first ones are free, and one more fits each time a delay is over.
			limit := int64(5)
			if names > 1 {
				limit = 100
			}
			if judged.Load() != limit || held.Load() != 1000-limit {
				t.Errorf("%d names: %d guesses were judged, %d held up; want %d judged", names, judged.Load(), held.Load(), limit)
			}
		})
	}
}

// Right passwords all at once are all let through: only failures are throttled.
func TestParallelRightPasswordsAllPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := NewThrottle(ThrottleConfig{Clock: time.Now})
		for i := range 200 { // also while the name is under attack
			if _, ok := th.Allow("alice", ip(1000+i)); ok {
				th.Failed("alice", ip(1000+i))
			}
		}
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				if wait, ok := th.Allow("alice", ip(1)); !ok {
					t.Errorf("held up for %v", wait)
					return
				}
				time.Sleep(50 * time.Millisecond)
				th.Succeeded("alice", ip(1))
			})
		}
		wg.Wait()
		if th.pairs.Contains(th.key("alice", network(ip(1)))) || th.addresses.Contains(th.key("", network(ip(1)))) {
			t.Error("an address that never failed is remembered")
		}
	})
}

// Attempts whose request died do not block an address for ever.
func TestUnsettledAttemptsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := NewThrottle(ThrottleConfig{Clock: time.Now})
		for range 5 {
			th.Allow("alice", ip(1))
		}
		start := time.Now()
		if _, ok := th.Allow("alice", ip(1)); ok || time.Since(start) > abandoned {
			t.Errorf("%v after %v", ok, time.Since(start))
		}
		time.Sleep(abandoned)
		if _, ok := th.Allow("alice", ip(1)); !ok {
			t.Error("still blocked")
		}
		th.Released("alice", ip(1))
		th.Released("alice", ip(1)) // one too many does no harm
	})
}

func TestTheClockGoingBackHoldsNobodyLonger(t *testing.T) {
	th, c := newThrottle(nil)
	for range 8 {
		guess(th, c, "alice", ip(1))
	}
	c.at = c.at.Add(-1000 * time.Hour)
	wait, ok := th.Allow("alice", ip(1))
	if ok || wait > 15*time.Minute {
		t.Errorf("%v, %v", wait, ok)
	}
	c.at = c.at.Add(wait)
	if got := guess(th, c, "alice", ip(1)); got != 0 {
		t.Errorf("after the wait: waited %v more", got)
	}
	if got := guess(th, c, "alice", ip(1)); got != 16*time.Second {
		t.Errorf("the failures before the jump now cost %v", got)
	}
	c.at = epoch.Add(1000 * time.Hour)
	if got := guess(th, c, "alice", ip(1)); got != 0 {
		t.Errorf("long after: waited %v", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	th, c := newThrottle(func(cfg *ThrottleConfig) { cfg.Entries = 100 })
	for i := range 10_000 {
		guess(th, c, fmt.Sprint("user", i), ip(i))
	}
	if a, b, n := th.pairs.Len(), th.addresses.Len(), th.names.Len(); a > 100 || b > 100 || n > 100 {
		t.Errorf("%d pairs, %d addresses, %d names", a, b, n)
	}
}

// BenchmarkThrottleMemory fills every table and reports the bytes that it keeps.
func BenchmarkThrottleMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		th, c := newThrottle(nil)
		for i := range 1 << 15 {
			guess(th, c, fmt.Sprint("user", i), ip(i))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc), "bytes")
		runtime.KeepAlive(th)
	}
}

func BenchmarkThrottle(b *testing.B) {
	th, _ := newThrottle(nil)
	b.ReportAllocs()
	for b.Loop() {
		th.Allow("alice", ip(1))
		th.Succeeded("alice", ip(1))
	}
}

// Attempts that are turned away push nobody's failures out of memory.
func TestAttemptsThatAreTurnedAwayFillNoMemory(t *testing.T) {
	th, c := newThrottle(func(cfg *ThrottleConfig) { cfg.Entries = 100; cfg.PerAddress = 10 })
	for range 6 {
		guess(th, c, "alice", ip(1))
	}
	if _, ok := th.Allow("alice", ip(1)); ok {
		t.Fatal("alice's guesser is not held up")
	}
	for i := range 11 {
		guess(th, c, fmt.Sprint("a", i), ip(2))
	}
	if _, ok := th.Allow("b", ip(2)); ok {
		t.Fatal("the second address is not held up")
	}
	pairs, addresses := th.pairs.Len(), th.addresses.Len()
	for i := range 1000 {
		if _, ok := th.Allow(fmt.Sprint("c", i), ip(2)); ok {
			t.Fatal("the second address was let through")
		}
	}
	if th.pairs.Len() != pairs || th.addresses.Len() != addresses {
		t.Errorf("%d pairs and %d addresses became %d and %d", pairs, addresses, th.pairs.Len(), th.addresses.Len())
	}
	if pair, _ := th.tallies("alice", ip(1)); pair.level == 0 {
		t.Error("the failures for alice are forgotten")
	}
}
