package sharded

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

// told are the kinds of all events in the home, in the order of their numbers.
func told(t testing.TB, st *Store) []string {
	t.Helper()
	list, err := st.Events().Since(t.Context(), 0, 100_000)
	must(t, err)
	kinds := make([]string, len(list))
	for i, e := range list {
		kinds[i] = e.Kind
	}
	return kinds
}

// in shards: a user of each.
func users(t testing.TB, st *Store) map[int]string {
	t.Helper()
	of := map[int]string{}
	want := len(st.table.Load().list)
	for i := 0; len(of) < want; i++ {
		if i == 10_000 {
			t.Fatalf("there are users in the shards %v only", of)
		}
		u := fmt.Sprint("user-", i)
		if n := shardOf(st.Place(u, rotation.SessionID{6: 0x70})); of[n] == "" {
			of[n] = u
		}
	}
	return of
}

func ended(kind string) (session.End, events.Event) {
	return session.End{Reason: "r", At: start}, events.Event{At: start, Kind: kind, Data: []byte("{}")}
}

// TestACrashLosesAndDoublesNothing: a node that dies after the commit in the shard,
// after that in the home, or after having tidied up.
func TestACrashLosesAndDoublesNothing(t *testing.T) {
	list := urls(t, 2)
	first := open(t, list, Options{still: true})
	user := users(t, first)[1]
	end := func(st *Store, n int) {
		s := newSession(st, user, n)
		must(t, st.Sessions().Create(t.Context(), s))
		e, ev := ended(fmt.Sprint("end ", n))
		must(t, st.Sessions().End(t.Context(), s.ID, e, ev))
	}
	end(first, 1)
	end(first, 2)
	if kinds := told(t, first); len(kinds) != 0 {
		t.Fatalf("nobody has relayed, and the home has %q", kinds)
	}
	// Another node takes them over and dies before it has tidied up.
	second := open(t, list, Options{still: true})
	s := second.table.Load().find(1)
	page, err := s.db.Events().Since(t.Context(), 0, 10)
	must(t, err)
	at, err := second.Relayed(t.Context(), 1)
	must(t, err)
	to := at
	to.Seq, to.Mark = page[1].Seq, mark(page[1])
	must(t, second.Relay(t.Context(), 1, at, to, page))
	// One that saw the same and is slower, and all others, find it done.
	if err := first.Relay(t.Context(), 1, at, to, page); err == nil {
		t.Error("the same events were taken over twice")
	}
	must(t, first.relayAll(t.Context()))
	end(first, 3)
	for range 3 {
		must(t, second.relayAll(t.Context()))
		must(t, first.relayAll(t.Context()))
	}
	if kinds := told(t, first); !slices.Equal(kinds, []string{"end 1", "end 2", "end 3"}) {
		t.Errorf("the home has %q", kinds)
	}
	// What was relayed is not kept, but for the last, which marks the place.
	if page, err = s.db.Events().Since(t.Context(), 0, 10); err != nil || len(page) != 1 {
		t.Errorf("the shard keeps %v, %v", page, err)
	}
}

// TestNodesRelayEachEventOnce: three nodes end sessions in three shards and relay at
// the same time, and die at any moment, with their calls under way.
func TestNodesRelayEachEventOnce(t *testing.T) {
	const nodes, ends = 3, 40
	list := urls(t, 4)
	watch := open(t, list, Options{still: true})
	of := users(t, watch)
	var number atomic.Int64
	var running sync.WaitGroup
	var mu sync.Mutex
	want := map[int][]string{} // by shard
	for i := range nodes {
		random := rand.New(rand.NewPCG(7, uint64(i)))
		running.Go(func() {
			var st *Store
			for n := range ends {
				if st == nil {
					var err error
					if st, err = Open(t.Context(), list[0], list[1:], Options{}); err != nil {
						t.Error(err)
						return
					}
				}
				shard := random.IntN(len(list))
				s := newSession(st, of[shard], int(number.Add(1)))
				e, ev := ended(fmt.Sprintf("%d of node %d", n, i))
				if err := st.Sessions().Create(t.Context(), s); err != nil {
					t.Error(err)
					return
				}
				if err := st.Sessions().End(t.Context(), s.ID, e, ev); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[shard] = append(want[shard], ev.Kind)
				mu.Unlock()
				if random.IntN(8) == 0 { // it dies; another one begins
					st.stop()
					_ = st.Close()
					st = nil
				}
			}
			if st != nil {
				_ = st.Close()
			}
		})
	}
	running.Wait()
	must(t, watch.relayAll(t.Context()))
	count := map[string]int{}
	for _, k := range told(t, watch) {
		count[k]++
	}
	total := 0
	for shard, kinds := range want {
		for _, k := range kinds {
			total++
			if count[k] != 1 {
				t.Errorf("the event %q of shard %d is in the home %d times", k, shard, count[k])
			}
		}
	}
	if len(count) != total {
		t.Errorf("the home has %d events, want %d", len(count), total)
	}
}

// TestEventsComeAtOnce to nodes that did not commit them, though nobody looks for
// them: they are woken.
func TestEventsComeAtOnce(t *testing.T) {
	list := urls(t, 2)
	heard := make(chan struct{}, 1)
	var opts Options
	opts.Notify = func() { signal(heard) }
	opts.Poll = time.Hour
	listening := open(t, list, opts)
	var quiet Options
	quiet.Poll = time.Hour
	acting := open(t, list, quiet)
	s := newSession(acting, users(t, acting)[1], 1)
	must(t, acting.Sessions().Create(t.Context(), s))
	e, ev := ended("end")
	must(t, acting.Sessions().End(t.Context(), s.ID, e, ev))
	for n := 0; !slices.Equal(told(t, listening), []string{"end"}); n++ {
		if n == 100 {
			t.Fatal("the event does not arrive")
		}
		select {
		case <-heard:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestALogThatWentBack: a shard that was restored from a backup, or a standby that
// lacked the last writes, gives numbers again that the home has seen. Nothing that
// is in its log is left out.
func TestALogThatWentBack(t *testing.T) {
	list := urls(t, 2)
	st := open(t, list, Options{still: true})
	user := users(t, st)[1]
	number := 0
	end := func(kind string) {
		number++
		s := newSession(st, user, number)
		must(t, st.Sessions().Create(t.Context(), s))
		e, ev := ended(kind)
		must(t, st.Sessions().End(t.Context(), s.ID, e, ev))
	}
	for i := range 5 {
		end(fmt.Sprint("before ", i))
	}
	must(t, st.relayAll(t.Context()))
	conn := pgtest.Connect(t, list[1])
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, c := range []struct {
		back int    // to this number
		then int    // so many events after it
		name string // of them
	}{{3, 1, "fewer"}, {1, 20, "more"}, {0, 0, "none"}, {0, 3, "again"}} {
		_, err := conn.Exec(t.Context(), "DELETE FROM tacet_events WHERE seq > $1", c.back)
		must(t, err)
		_, err = conn.Exec(t.Context(), "UPDATE tacet_counters SET value = $1 WHERE name = 'events'", c.back)
		must(t, err)
		for i := range c.then {
			end(fmt.Sprint(c.name, " ", i))
		}
		must(t, st.relayAll(t.Context()))
		kinds := told(t, st)
		for i := range c.then {
			if want := fmt.Sprint(c.name, " ", i); !slices.Contains(kinds, want) {
				t.Errorf("%s: the event %q never got to the home", c.name, want)
			}
		}
	}
}
