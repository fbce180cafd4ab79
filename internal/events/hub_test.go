package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestOnlyOnesOwnEventsInOrder(t *testing.T) {
	l := newTable()
	h := open(t, l)
	a, _ := subscribe(t, h, "a", -1)
	b, _ := subscribe(t, h, "b", -1)
	all, at, err := h.SubscribeAll()
	if err != nil || at.Seq != 0 {
		t.Fatalf("position %+v, %v", at, err)
	}
	l.commit("a", "b", "")
	l.commit("a")
	mustRead(t, h)
	equal(t, "a", numbers(t, a), "a1 a4")
	equal(t, "b", numbers(t, b), "b2")
	equal(t, "all", numbers(t, all), "a1 b2 3 a4")
	equal(t, "a again", numbers(t, a), "")
	a.Close()
	l.commit("a")
	mustRead(t, h)
	equal(t, "listeners", fmt.Sprint(h.Listeners("a"), h.Listeners("b"), h.Listeners("")), "0 1 1")
	if _, _, err := h.Subscribe("", 0); err == nil {
		t.Error("nobody may listen to everything")
	}
}

// The rule for everybody: whoever comes back with the last number that they have
// seen gets exactly what is missing, or is told to start over. Transactions,
// readings, slow readers, pruning, restarts of the process and restored backups
// come in any order.
func TestNothingIsLostOrRepeated(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := newTable()
		h := open(t, l)
		type reader struct {
			user    string
			s       *Subscription
			last    int64 // seen
			history int   // of the table's life, in which last was given
			got     []int64
			started int64 // where got begins
		}
		readers := []*reader{{user: "a"}, {user: "b"}, {user: "a"}}
		history := 0
		connect := func(r *reader) {
			after := r.last
			if r.s == nil && r.started == 0 && len(r.got) == 0 {
				after = -1
			}
			s, reset, err := h.Subscribe(r.user, after)
			if err != nil {
				rt.Fatal(err)
			}
			if !reset && after >= 0 && r.history != history && r.last > s.Start() {
				rt.Fatalf("resumed after %d in a log that ends at %d", r.last, s.Start())
			}
			if reset || after < 0 || r.history != history {
				// What a browser shows it reads anew: from here on it misses nothing.
				r.got, r.started = nil, s.Start()
			}
			r.s, r.last, r.history = s, s.Start(), history
		}
		take := func(r *reader) {
			list, at, err := r.s.Take()
			if err != nil {
				r.s.Close()
				connect(r)
				return
			}
			for _, e := range list {
				if e.Seq <= r.last {
					rt.Fatalf("number %d after %d", e.Seq, r.last)
				}
				if e.UserID != r.user {
					rt.Fatalf("an event of %q for %q", e.UserID, r.user)
				}
				r.got, r.last = append(r.got, e.Seq), e.Seq
			}
			r.last = max(r.last, at.Seq)
		}
		read := func() {
			if err := h.read(t.Context()); err != nil {
				rt.Fatal(err)
			}
		}
		for _, r := range readers {
			connect(r)
		}
		pick := func() *reader { return rapid.SampledFrom(readers).Draw(rt, "reader") }
		rt.Repeat(map[string]func(*rapid.T){
			"commit": func(rt *rapid.T) {
				n := rapid.SampledFrom([]int{1, 2, 3, 70, 600, 5000}).Draw(rt, "size")
				users := make([]string, n)
				for i := range users {
					users[i] = []string{"a", "b", "c", ""}[(i*7+n)%4]
				}
				l.commit(users...)
			},
			"read":      func(*rapid.T) { read() },
			"take":      func(*rapid.T) { take(pick()) },
			"reconnect": func(*rapid.T) { r := pick(); r.s.Close(); connect(r) },
			"prune": func(rt *rapid.T) {
				n := rapid.IntRange(1, 3000).Draw(rt, "pruned")
				l.with(func() { l.list = l.list[min(n, len(l.list)):] })
			},
			"restart": func(*rapid.T) {
				h.Close()
				h = open(t, l)
				for _, r := range readers {
					connect(r)
				}
			},
			"restore": func(rt *rapid.T) {
				n := min(rapid.IntRange(1, 50).Draw(rt, "undone"), len(l.list))
				l.with(func() {
					l.list = l.list[:len(l.list)-n]
					l.last -= int64(n)
				})
				if n > 0 {
					history++
				}
				read() // a backup is restored while the server stands still
				for _, r := range readers {
					connect(r)
				}
			},
			"": func(rt *rapid.T) {
				for _, r := range readers {
					i := 0
					for _, e := range l.list {
						if e.UserID != r.user || e.Seq <= r.started || e.Seq > r.last || r.history != history {
							continue
						}
						for i < len(r.got) && r.got[i] < e.Seq {
							i++ // pruned since
						}
						if i == len(r.got) || r.got[i] != e.Seq {
							rt.Fatalf("%q has seen up to %d without %d", r.user, r.last, e.Seq)
						}
					}
				}
			},
		})
	})
}

// The same with everything at once: committers, a hub that is woken, and readers
// who come and go.
func TestNothingIsLostUnderConcurrentCommits(t *testing.T) {
	const users, perUser = 8, 400
	l, wake := newTable(), make(chan struct{}, 1)
	h := open(t, l, func(c *Config) { c.Wake = wake })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work, reading sync.WaitGroup
	work.Go(func() { h.Run(ctx) })
	for u := range users {
		user := fmt.Sprint("u", u)
		s, _ := subscribe(t, h, user, 0)
		reading.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(u), 1))
			var last int64
			for got := 0; got < perUser; {
				select {
				case <-s.Ready():
				case <-ctx.Done():
					t.Errorf("%s got %d of %d", user, got, perUser)
					return
				}
				list, _, err := s.Take()
				for _, e := range list {
					if e.Seq <= last || e.UserID != user {
						t.Errorf("number %d of %s after %d", e.Seq, e.UserID, last)
					}
					got, last = got+1, e.Seq
				}
				if err != nil || rng.IntN(10) == 0 {
					s.Close()
					var reset bool
					if s, reset, err = h.Subscribe(user, last); err != nil || reset {
						t.Errorf("coming back after %d: reset %v, %v", last, reset, err)
						return
					}
				}
			}
		})
		work.Go(func() {
			for range perUser {
				l.commit(user)
				select {
				case wake <- struct{}{}:
				default:
				}
			}
		})
	}
	reading.Wait()
	cancel()
	work.Wait()
}

func TestASlowReaderIsDroppedAndComesBackWithoutLoss(t *testing.T) {
	l := newTable()
	h := open(t, l)
	s, _ := subscribe(t, h, "a", -1)
	full, _, err := h.SubscribeAll()
	if err != nil {
		t.Fatal(err)
	}
	l.commit(times(userQueue, "a")...)
	mustRead(t, h)
	if list, _, err := s.Take(); err != nil || len(list) != userQueue {
		t.Fatalf("%d events, %v", len(list), err)
	}
	l.commit(times(userQueue+1, "a")...)
	mustRead(t, h)
	equal(t, "slow", numbers(t, s), ErrSlow.Error())
	if s.queue != nil {
		t.Error("the queue of a reader that was dropped is kept")
	}
	back, reset := subscribe(t, h, "a", userQueue)
	list, at, err := back.Take()
	if reset || err != nil || len(list) != userQueue+1 || list[0].Seq != userQueue+1 || at.Seq != 2*userQueue+1 {
		t.Errorf("came back to %d events, reset %v, %v", len(list), reset, err)
	}
	if list, _, err := full.Take(); err != nil || len(list) != 2*userQueue+1 {
		t.Errorf("the reader of everything: %d events, %v", len(list), err)
	}
	l.commit(times(fullQueue+1, "b")...)
	mustRead(t, h)
	equal(t, "slow reader of everything", numbers(t, full), ErrSlow.Error())
}

func TestWhoWasAwayTooLongStartsOver(t *testing.T) {
	l := newTable()
	l.commit(times(100, "a")...)
	h := open(t, l)
	for after, want := range map[int64]bool{0: false, 50: false, 100: false, 101: true, 1 << 60: true} {
		s, reset := subscribe(t, h, "a", after)
		equal(t, fmt.Sprint("reset after ", after), reset, want)
		if wanted := after; want {
			equal(t, "start", s.Start(), 100)
			equal(t, "queue", numbers(t, s), "")
		} else {
			equal(t, "start", s.Start(), wanted)
		}
	}
	l.commit(times(3*ringSize, "b")...)
	mustRead(t, h)
	if len(h.ring) > 2*ringSize {
		t.Errorf("the ring holds %d events", len(h.ring))
	}
	oldest := h.ring[0].Seq
	for after, want := range map[int64]bool{100: true, oldest - 2: true, oldest - 1: false, oldest: false} {
		_, reset := subscribe(t, h, "a", after)
		equal(t, fmt.Sprint("reset after ", after, " of a ring from ", oldest), reset, want)
	}
	// A process that starts remembers as much as one that ran.
	h = open(t, l)
	_, reset := subscribe(t, h, "a", l.last-ringSize)
	equal(t, "reset at the end of the ring of a new process", reset, false)
	_, reset = subscribe(t, h, "a", h.ring[0].Seq-2)
	equal(t, "reset before it", reset, true)
	l.with(func() { l.list = nil })
	h = open(t, l)
	_, reset = subscribe(t, h, "a", l.last)
	equal(t, "reset at the end of a log that is all pruned", reset, false)
	_, reset = subscribe(t, h, "a", l.last-1)
	equal(t, "reset before it", reset, true)
}

func TestARestoredBackupMakesEverybodyStartOver(t *testing.T) {
	l := newTable()
	h := open(t, l)
	l.commit(times(10, "a")...)
	mustRead(t, h)
	s, _ := subscribe(t, h, "a", 10)
	tick := h.at
	l.with(func() { l.list, l.last = l.list[:6], 6 })
	mustRead(t, h)
	equal(t, "reader", numbers(t, s), ErrSlow.Error())
	for _, after := range []int64{4, 10} {
		_, reset := subscribe(t, h, "a", after)
		equal(t, fmt.Sprint("reset after ", after), reset, true)
	}
	// Also when the numbers have been given again, and by a new process.
	l.commit(times(9, "b")...)
	for name, h := range map[string]*Hub{"same process": h, "new process": open(t, l)} {
		mustRead(t, h)
		ok, err := h.Resume(t.Context(), tick.Seq, tick.Mark)
		equal(t, name+": resumed an undone history", fmt.Sprint(ok, err), "false <nil>")
		ok, err = h.Resume(t.Context(), 6, l.list[5].fingerprint())
		equal(t, name+": resumed at what is left of it", fmt.Sprint(ok, err), "true <nil>")
	}
}

// A server that has fallen back gives numbers again, perhaps before anybody looks:
// what they mean now must be applied, and what they meant before forgotten.
func TestNumbersThatAreGivenAgainAreAppliedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		back, forward int
		outage        bool // while it fell back
		want          string
	}{
		"shorter":           {5, 2, false, "restart a5 b6 b7"},
		"longer":            {2, 5, false, "restart a5 a6 a7 a8 b9 b10 b11 b12 b13"},
		"as long, but away": {1, 1, true, "restart a5 a6 a7 a8 a9 b10"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTable()
			now := time.Now()
			l.clock = func() time.Time { return now }
			var applied []string
			h := open(t, l, func(c *Config) {
				c.Apply = func(e Event) { applied = append(applied, fmt.Sprint(e.UserID, e.Seq)) }
				c.Restart = func() { applied = append(applied, "restart") }
			})
			l.commit(times(4, "a")...)
			now = now.Add(2 * h.cfg.Window)
			l.commit(times(6, "a")...)
			mustRead(t, h)
			applied = nil
			l.with(func() { l.list, l.last = l.list[:10-c.back], int64(10-c.back) })
			l.commit(times(c.forward, "b")...)
			if c.outage {
				l.with(func() { l.fail = errDown })
				h.report(t.Context(), h.read(t.Context()))
				l.with(func() { l.fail = nil })
			}
			mustRead(t, h)
			equal(t, "applied", strings.Join(applied, " "), c.want)
			applied = nil
			h.failed = false
			l.commit("c")
			mustRead(t, h)
			equal(t, "and then", strings.Join(applied, " "), fmt.Sprint("c", l.last))
		})
	}
}

func TestResume(t *testing.T) {
	l := newTable()
	l.commit(times(20, "a")...)
	h := open(t, l)
	mark := func(seq int) string { return l.list[seq-1].fingerprint() }
	marks := map[int64]string{20: mark(20), 7: mark(7), 5: mark(5)}
	check := func(seq int64, mark string, want bool) {
		t.Helper()
		ok, err := h.Resume(t.Context(), seq, mark)
		equal(t, fmt.Sprintf("resume at %d %q", seq, mark), fmt.Sprint(ok, err), fmt.Sprint(want, " <nil>"))
	}
	check(20, marks[20], true)
	check(20, "", true)
	check(20, "x", false)
	check(7, marks[7], true)
	check(7, marks[5], false)
	check(7, "", true)
	check(0, "", true)
	check(21, "", false)
	check(-1, "", false)
	l.with(func() { l.list = l.list[6:] }) // 7 is the oldest
	check(7, marks[7], true)
	check(6, "", true) // nothing after it is missing
	check(6, "x", false)
	check(5, marks[5], false)
	check(0, "", false)
	l.with(func() { l.fail = errDown })
	if _, err := h.Resume(t.Context(), 7, marks[7]); !errors.Is(err, errDown) {
		t.Errorf("with the table down: %v", err)
	}
}

// Recent finds what matters behind everything that does not, also where clocks
// disagreed, and asks for few pages.
func TestRecent(t *testing.T) {
	l := newTable()
	now := time.Now()
	at := func(ago time.Duration, n int) {
		l.clock = func() time.Time { return now.Add(-ago) }
		l.commit(times(n, "a")...)
	}
	at(48*time.Hour, 40_000)
	at(59*time.Minute, 1)
	at(61*time.Minute, 1)
	at(10*time.Minute, 700)
	at(90*time.Minute, 1)
	at(time.Minute, 1)
	l.clock = func() time.Time { return now }
	h := open(t, l)
	got := 0
	l.reads = 0
	if err := h.Recent(t.Context(), h.at.Seq, func(e *Event) error {
		if now.Sub(e.At) > time.Hour {
			t.Errorf("number %d is %v old", e.Seq, now.Sub(e.At))
		}
		got++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, "events", got, 702)
	if l.reads > 8 {
		t.Errorf("%d readings for 702 events behind 40,000 old ones", l.reads)
	}
	stop := errors.New("stop")
	if err := h.Recent(t.Context(), h.at.Seq, func(*Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	var list []*Event
	if err := h.Replay(t.Context(), 39_999, 40_002, func(e *Event) error { list = append(list, e); return nil }); err != nil {
		t.Fatal(err)
	}
	equal(t, "replayed", join(list), "a40000 a40001 a40002")
}

// Everything that matters is applied before a hub is there, and each later event
// before any subscriber hears of it.
func TestEventsAreAppliedBeforeTheyAreHandedOut(t *testing.T) {
	l := newTable()
	l.commit(times(3*page, "a")...)
	var applied int64
	h := open(t, l, func(c *Config) {
		c.Apply = func(e Event) {
			if e.Seq != applied+1 {
				t.Errorf("number %d after %d", e.Seq, applied)
			}
			applied = e.Seq
		}
	})
	equal(t, "applied by Open", applied, 3*page)
	s, _ := subscribe(t, h, "a", -1)
	h.cfg.Apply = func(Event) {
		if got := numbers(t, s); got != "" {
			t.Errorf("handed out before: %s", got)
		}
		applied++
	}
	l.commit("a")
	mustRead(t, h)
	equal(t, "handed out", numbers(t, s), fmt.Sprint("a", 3*page+1))
	equal(t, "applied", applied, 3*page+1)
}

// Nobody need be told: what another process commits is found.
func TestWhatOthersCommitIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTable()
		h := open(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		go h.Run(ctx)
		s, _ := subscribe(t, h, "a", -1)
		time.Sleep(10 * time.Second)
		l.commit("a")
		began := time.Now()
		<-s.Ready()
		if d := time.Since(began); d > DefaultPoll {
			t.Errorf("found after %v", d)
		}
		list, at, err := s.Take()
		if err != nil || join(list) != "a1" || at.Seq != 1 || time.Since(at.AsOf) > DefaultPoll {
			t.Errorf("%s at %+v, %v", join(list), at, err)
		}
		cancel()
		<-s.Ready()
		equal(t, "after the end", numbers(t, s), ErrClosed.Error())
		if _, _, err := h.Subscribe("a", -1); !errors.Is(err, ErrClosed) {
			t.Errorf("subscribing to a closed hub: %v", err)
		}
		if _, _, err := h.SubscribeAll(); !errors.Is(err, ErrClosed) {
			t.Errorf("subscribing to a closed hub: %v", err)
		}
		synctest.Wait()
	})
}

// While the table can't be read the position stands still, so that nobody takes
// silence for news; the log says it once.
func TestAnOutageIsNotTakenForSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTable()
		var log bytes.Buffer
		h := open(t, l, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { h.Run(ctx) })
		s, _ := subscribe(t, h, "a", -1)
		time.Sleep(10*time.Second + time.Millisecond)
		l.with(func() { l.fail = errDown })
		l.commit("a")
		time.Sleep(time.Minute)
		_, at, _ := s.Take()
		equal(t, "position", at.Seq, 0)
		equal(t, "as of", time.Since(at.AsOf), time.Minute+time.Millisecond)
		l.with(func() { l.fail = nil })
		time.Sleep(DefaultPoll)
		equal(t, "after the outage", numbers(t, s), "a1")
		cancel()
		run.Wait()
		if n := strings.Count(log.String(), "could not be read"); n != 1 || !strings.Contains(log.String(), "can be read again") {
			t.Errorf("%d lines of one outage:\n%s", n, log.String())
		}
	})
}

// What is committed while the table is being read may be missed, and the
// position must not claim otherwise.
func TestThePositionClaimsNoMoreThanWasRead(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newTable()
	l.clock = func() time.Time { return now }
	h := open(t, l)
	l.commit("a")
	l.hook = func() { // time passes, and something happens after the look
		now = now.Add(time.Second)
	}
	began := now
	mustRead(t, h)
	if h.at.Seq != 1 || h.at.AsOf.After(began) {
		t.Errorf("%+v after a look that began at %v", h.at, began)
	}
}

func TestOldEventsArePrunedInBites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTable()
		var bites []int
		var size int
		// A window that is longer than the default retention.
		h := open(t, l, func(c *Config) { c.Window, c.Poll = 30*time.Hour, time.Minute })
		ctx, cancel := context.WithCancel(t.Context())
		go h.Run(ctx)
		l.commit(times(1000, "a")...)
		size = 1000
		l.with(func() {
			l.hook = func() {
				l.mu.Lock()
				if n := size - len(l.list); n > 0 {
					bites = append(bites, n)
				}
				size = len(l.list)
				l.mu.Unlock()
			}
		})
		time.Sleep(30*time.Hour - time.Minute)
		equal(t, "kept for the window", l.size(), 1000)
		time.Sleep(3 * time.Minute)
		equal(t, "kept after it", l.size(), 0)
		cancel()
		synctest.Wait()
		if fmt.Sprint(bites) != "[256 256 256 232]" {
			t.Errorf("bites %v", bites)
		}
	})
}

// What somebody still needs is kept, however old it is, and everything while nobody
// knows what that is.
func TestNeededEventsAreNotPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTable()
		var mu sync.Mutex
		var needed time.Time
		outage := errors.New("disk on fire")
		h := open(t, l, func(c *Config) {
			c.Poll = time.Minute
			c.Needed = func(context.Context) (time.Time, error) {
				mu.Lock()
				defer mu.Unlock()
				return needed, outage
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		go h.Run(ctx)
		l.commit("a", "a")
		time.Sleep(time.Hour)
		mu.Lock()
		needed = time.Now()
		mu.Unlock()
		l.commit("b")
		time.Sleep(3 * DefaultRetention)
		equal(t, "kept while nobody knows", l.size(), 3)
		mu.Lock()
		outage = nil
		mu.Unlock()
		time.Sleep(time.Hour)
		equal(t, "kept for who needs it", l.size(), 1)
		mu.Lock()
		needed = time.Now()
		mu.Unlock()
		time.Sleep(time.Hour)
		equal(t, "kept for nobody", l.size(), 0)
		cancel()
		synctest.Wait()
	})
}

// A clock that jumps ahead would prune what tells of sessions whose tokens are
// alive by every other clock.
func TestAClockThatJumpsPrunesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTable()
		var jump time.Duration
		var mu sync.Mutex
		set := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); jump = d }
		var log bytes.Buffer
		h := open(t, l, func(c *Config) {
			c.Logger, c.Poll = slog.New(slog.NewTextHandler(&log, nil)), time.Minute
			c.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(jump) }
		})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { h.Run(ctx) })
		l.commit(times(10, "a")...)
		set(48 * time.Hour)
		time.Sleep(2 * time.Hour)
		equal(t, "kept", l.size(), 10)
		set(0)
		time.Sleep(24 * time.Hour)
		equal(t, "kept with the right clock", l.size(), 0)
		cancel()
		run.Wait()
		if strings.Count(log.String(), "clock has jumped") != 1 {
			t.Errorf("log:\n%s", log.String())
		}
	})
}
