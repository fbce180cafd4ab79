package sharded

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

func soon(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 1000 {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come to: " + what)
}

// move renews a session.
func move(t *testing.T, st *Store, s session.Session) (session.Session, error) {
	t.Helper()
	h := rotation.Child(s.ID, s.State.Head, rotation.Tag{9, byte(s.State.Head.Generation)})
	return st.Sessions().Move(t.Context(), session.Move{ID: s.ID, Guard: s.State.Guard(), At: start,
		Head: rotation.Head{Generation: h.Generation, Tag: h.Tag, Parent: h.Parent}})
}

// TestOneShardDown: killed or frozen, it takes its own sessions with it and nothing
// else; nodes start without it, and when it is back all is as before.
func TestOneShardDown(t *testing.T) {
	far, err := pgtest.New("fsync=off", "full_page_writes=off")
	must(t, err)
	t.Cleanup(func() { must(t, far.Remove()) })
	list := append(urls(t, 2), far.Schema(t))
	var opts Options
	opts.Timeout = time.Second
	var reports atomic.Int64
	opts.Report = func(error) { reports.Add(1) }
	st := open(t, list, opts)
	gone := 0 // the shard that is on the other cluster
	for _, s := range st.table.Load().list {
		if s.db.Where() == postgres.Where(list[2]) {
			gone = s.number
		}
	}
	of := users(t, st)
	living := map[int]session.Session{}
	number := 0
	begin := func(user string) session.Session {
		number++
		s := newSession(st, user, number)
		if err := st.Sessions().Create(t.Context(), s); err != nil {
			t.Errorf("a session of %s in shard %d: %v", user, shardOf(s.ID), err)
		}
		return s
	}
	for shard, user := range of {
		if living[shard] = begin(user); shardOf(living[shard].ID) != shard {
			t.Fatalf("%s was placed in shard %d", user, shardOf(living[shard].ID))
		}
	}
	everybody := func() (ids []rotation.SessionID) {
		for _, s := range living {
			ids = append(ids, s.ID)
		}
		return ids
	}
	for _, way := range []struct {
		name        string
		begin, back func() error
	}{{"killed", far.Kill, far.Start}, {"frozen", far.Freeze, far.Thaw}} {
		must(t, way.begin())
		if _, err := move(t, st, living[gone]); !errors.Is(err, postgres.ErrUnreachable) && !errors.Is(err, postgres.ErrTimeout) || !strings.Contains(err.Error(), "shard ") {
			t.Errorf("%s: a renewal there: %v", way.name, err)
		}
		soon(t, "it is known", func() bool { return len(st.Down()) == 1 })
		for shard, s := range living {
			next, err := move(t, st, s)
			if (err == nil) != (shard != gone) {
				t.Errorf("%s: a renewal in shard %d: %v", way.name, shard, err)
			}
			if err == nil {
				living[shard] = next
			}
		}
		// Its users sign in elsewhere.
		if s := begin(of[gone]); shardOf(s.ID) == gone {
			t.Errorf("%s: a new session was placed there", way.name)
		} else {
			must(t, st.Sessions().End(t.Context(), s.ID, session.End{Reason: "r", At: start}))
		}
		// Lists say that they are not whole, and have the rest.
		all, err := st.Sessions().List(t.Context(), "", rotation.SessionID{}, 100)
		if !errors.Is(err, session.ErrIncomplete) || len(all) != len(living)-1 {
			t.Errorf("%s: %d of %d sessions are listed, %v", way.name, len(all), len(living), err)
		}
		// The sweep does its work in the others, and says that it is not done.
		looked := map[rotation.SessionID]bool{}
		_, _, err = st.Sessions().Sweep(t.Context(), rotation.SessionID{}, 100, func(s session.Session) bool { looked[s.ID] = true; return false })
		if err == nil {
			t.Errorf("%s: the sweep says that it has seen everything", way.name)
		}
		for _, id := range everybody() {
			if looked[id] != (shardOf(id) != gone) {
				t.Errorf("%s: the sweep has looked at a session of shard %d: %v", way.name, shardOf(id), looked[id])
			}
		}
		if way.name == "killed" {
			// A node that starts now does all the same.
			again := open(t, list, opts)
			for shard, s := range living {
				if _, err := again.Sessions().Get(t.Context(), s.ID); (err == nil) != (shard != gone) {
					t.Errorf("a node that has just started, shard %d: %v", shard, err)
				}
			}
			if _, err := again.Sessions().Get(t.Context(), living[gone].ID); errors.Is(err, session.ErrNotFound) {
				t.Error("a session that cannot be reached is taken for gone")
			}
			defer func() {
				soon(t, "the other node finds it", func() bool { _, err := again.Sessions().Get(t.Context(), living[gone].ID); return err == nil })
			}()
		}
		must(t, way.back())
		soon(t, "all is well", func() bool { return len(st.Down()) == 0 })
		for shard, s := range living {
			s, err := st.Sessions().Get(t.Context(), s.ID) // what was under way when it stood still may have been made
			must(t, err)
			living[shard], err = move(t, st, s)
			must(t, err)
		}
		all, err = st.Sessions().List(t.Context(), "", rotation.SessionID{}, 100)
		must(t, err)
		if len(all) != len(living) {
			t.Errorf("%s: %d sessions are listed afterwards, want %d", way.name, len(all), len(living))
		}
	}
	if reports.Load() == 0 {
		t.Error("nobody was told")
	}
}

// TestAShardThatIsAddedMovesNobody, takes users over when it is open, drains, and
// goes when it is empty.
func TestAShardThatIsAddedMovesNobody(t *testing.T) {
	const sessions = 300
	list := urls(t, 3)
	two := open(t, list[:2], Options{still: true})
	var all []session.Session
	for i := range sessions {
		s := newSession(two, "user-"+string(rune('0'+i%75)), i)
		must(t, two.Sessions().Create(t.Context(), s))
		all = append(all, s)
	}
	before := map[string]int{}
	for _, s := range all {
		before[s.UserID] = shardOf(two.Place(s.UserID, rotation.SessionID{6: 0x70}))
	}
	three := open(t, list, Options{still: true})
	if s := three.table.Load().find(2); !s.is(postgres.ShardNew) {
		t.Fatalf("the new shard is %v before every node knows it", s.state.Load())
	}
	check := func(st *Store) {
		t.Helper()
		for _, s := range all {
			if got, err := st.Sessions().Get(t.Context(), s.ID); err != nil || got != s {
				t.Errorf("%v: %+v, %v", s.ID, got, err)
			}
		}
	}
	check(three)
	moved := func(st *Store) (n int) {
		for user, shard := range before {
			if now := shardOf(st.Place(user, rotation.SessionID{6: 0x70})); now != shard {
				n++
				if now != 2 {
					t.Errorf("%s moved from shard %d to %d", user, shard, now)
				}
			}
		}
		return n
	}
	if n := moved(three); n != 0 {
		t.Errorf("%d users have another place while the shard is new", n)
	}
	must(t, three.OpenShard(t.Context(), 2))
	must(t, three.learn(t.Context()))
	if n := moved(three); n == 0 || n > len(before)/2 {
		t.Errorf("%d of %d users have another place for new sessions", n, len(before))
	}
	var added session.Session
	for i := range 1000 {
		if added = newSession(three, "user-"+string(rune('0'+i%75)), sessions+i); shardOf(added.ID) == 2 {
			break
		}
	}
	must(t, three.Sessions().Create(t.Context(), added))
	check(three)
	// The node that does not know the shard does not take its sessions for gone, and
	// does not leave them out of lists as if there were none.
	if _, err := two.Sessions().Get(t.Context(), added.ID); err == nil || errors.Is(err, session.ErrNotFound) || !strings.Contains(err.Error(), "this node has no shard-url for it") {
		t.Errorf("a node without the shard says %v", err)
	}
	if _, err := two.Sessions().List(t.Context(), added.UserID, rotation.SessionID{}, 10); !errors.Is(err, session.ErrIncomplete) {
		t.Errorf("a node without the shard lists all sessions: %v", err)
	}
	check(two)

	// A shard that holds sessions stays.
	if err := three.Remove(t.Context(), 2); err == nil {
		t.Error("a shard with sessions was removed")
	}
	must(t, three.Drain(t.Context(), 2))
	must(t, three.learn(t.Context()))
	if n := moved(three); n != 0 {
		t.Errorf("%d users have another place while the shard is being drained", n)
	}
	if _, err := move(t, three, added); err != nil {
		t.Errorf("a session in a shard that is being drained: %v", err)
	}
	pgtest.Exec(t, list[0], "UPDATE tacet_shards SET state_at = state_at - 600000 WHERE number = 2")
	if err := three.Remove(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "still has sessions") {
		t.Errorf("a shard with sessions: %v", err)
	}
	_, _, err := three.Sessions().Sweep(t.Context(), rotation.SessionID{}, 10_000, func(s session.Session) bool { return s.ID == added.ID })
	must(t, err)
	must(t, three.Remove(t.Context(), 2))
	must(t, three.learn(t.Context()))
	if _, err := three.Sessions().Get(t.Context(), added.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a session of a shard that was removed: %v", err)
	}
	check(three)
	if _, err := Open(t.Context(), list[0], list[1:], Options{still: true}); err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("opened with a shard that was removed: %v", err)
	}
	check(open(t, list[:2], Options{still: true}))
	if list, err := three.Statuses(t.Context()); err != nil || !slices.ContainsFunc(list, func(s Status) bool { return s.Number == 2 && s.State == postgres.ShardRemoved }) {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestSweepWalksEveryShard in bites of every size, and deletes what is dead.
func TestSweepWalksEveryShard(t *testing.T) {
	list := urls(t, 3)
	st := open(t, list, Options{still: true})
	of := users(t, st)
	const each = 7
	for shard, user := range of {
		for i := range each {
			must(t, st.Sessions().Create(t.Context(), newSession(st, user, shard*100+i)))
		}
	}
	for limit := 1; limit <= 3*each+1; limit++ {
		seen := map[rotation.SessionID]int{}
		var from rotation.SessionID
		for bite := 0; ; bite++ {
			if bite > 4*each {
				t.Fatalf("in bites of %d the walk does not end", limit)
			}
			next, _, err := st.Sessions().Sweep(t.Context(), from, limit, func(s session.Session) bool { seen[s.ID]++; return false })
			must(t, err)
			if from = next; next == (rotation.SessionID{}) {
				break
			}
		}
		if len(seen) != 3*each {
			t.Fatalf("in bites of %d, %d of %d sessions were looked at", limit, len(seen), 3*each)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("in bites of %d, %v was looked at %d times", limit, id, n)
			}
		}
	}
	_, deleted, err := st.Sessions().Sweep(t.Context(), rotation.SessionID{}, 1000, func(session.Session) bool { return true })
	if err != nil || deleted != 3*each {
		t.Errorf("%d deleted, %v", deleted, err)
	}
}
