package sharded

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/internal/store/storetest"
	"github.com/tacet-dev/tacet/rotation"
)

// cluster is not durable: what a crash of PostgreSQL keeps is tested elsewhere.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) {
	var err error
	code := 1
	if cluster, err = pgtest.New("fsync=off", "full_page_writes=off", "max_connections=300"); err == nil {
		code = m.Run()
		err = cluster.Remove()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// urls are n empty databases (schemas of one cluster), the home first.
func urls(t testing.TB, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = cluster.Schema(t)
	}
	return list
}

// open opens a store that is closed at the end of the test.
func open(t testing.TB, urls []string, opts Options) *Store {
	t.Helper()
	if opts.Conns == 0 {
		opts.Conns = postgres.MinConns
	}
	st, err := Open(t.Context(), urls[0], urls[1:], opts)
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return st
}

// TestStore runs the contract of all stores: with the home alone, and on three
// shards. The suite gives ids of its own; byRange spreads them over the shards,
// in their order, which the suite asks of a sweep.
func TestStore(t *testing.T) {
	byRange := func(id rotation.SessionID) int {
		switch n := int(id[13])<<16 | int(id[14])<<8 | int(id[15]); {
		case n < 3:
			return 0
		case n < 8:
			return 1
		}
		return 2
	}
	if os.Getenv("TACET_DEEP") == "" { // both stores that this one is made of pass it in full
		must(t, flag.Set("rapid.checks", "15"))
		defer func() { must(t, flag.Set("rapid.checks", "100")) }()
	}
	for name, c := range map[string]struct {
		databases int
		shardOf   func(rotation.SessionID) int
	}{"one": {1, shardOf}, "three": {3, byRange}, "three, ids of the home": {3, shardOf}} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("TACET_DEEP") == "" && name != "three" {
				t.Skip("set TACET_DEEP=1")
			}
			list := urls(t, c.databases)
			storetest.Run(t, func(t *testing.T) storetest.Stores {
				for _, url := range list {
					empty(t, url)
				}
				return stores(t, list, Options{shardOf: c.shardOf})
			})
		})
	}
}

// empty makes a database as good as new, if it has been used: to make a new one
// would take longer than most tests.
func empty(t *testing.T, url string) {
	t.Helper()
	pgtest.Exec(t, url, `DO $$ DECLARE tables text; BEGIN
		SELECT string_agg(quote_ident(tablename), ',') INTO tables FROM pg_tables WHERE schemaname = current_schema()
			AND tablename LIKE 'tacet!_%' ESCAPE '!' AND tablename NOT IN ('tacet_schema', 'tacet_counters', 'tacet_leases');
		IF tables IS NOT NULL THEN
			EXECUTE 'TRUNCATE ' || tables;
			UPDATE tacet_counters SET value = CASE name WHEN 'compatible_from' THEN 2 ELSE 0 END;
			UPDATE tacet_leases SET until = 0;
		END IF;
	END $$`)
}

// relayed is the log of the home for a suite that expects events to be there as
// soon as they are committed.
type relayed struct {
	storetest.Events
	st *Store
}

func (r relayed) Since(ctx context.Context, seq int64, limit int) ([]events.Event, error) {
	if err := r.st.relayAll(ctx); err != nil {
		return nil, err
	}
	return r.Events.Since(ctx, seq, limit)
}

func (r relayed) Bounds(ctx context.Context) (first, last int64, err error) {
	if err := r.st.relayAll(ctx); err != nil {
		return 0, 0, err
	}
	return r.Events.Bounds(ctx)
}

func (r relayed) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := r.st.relayAll(ctx); err != nil {
		return 0, err
	}
	return r.Events.Prune(ctx, before, limit)
}

// relayAll relays what every shard holds.
func (st *Store) relayAll(ctx context.Context) error {
	for _, s := range st.table.Load().list {
		if s.db != nil && s.number != postgres.HomeShard {
			r := relay{st: st, s: s}
			if err := r.run(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func stores(t *testing.T, urls []string, opts Options) storetest.Stores {
	opts.Conns = postgres.MinConns + 2
	st, err := Open(t.Context(), urls[0], urls[1:], opts)
	must(t, err)
	closed := false
	t.Cleanup(func() {
		if !closed {
			must(t, st.Close())
		}
	})
	return storetest.Stores{Sessions: st.Sessions(), Keys: st.Keys(), Directory: st.Directory(), Events: relayed{st.Events(), st}, OAuth: st.OAuth(), Links: st.Links(),
		Reopen: func(t *testing.T) storetest.Stores {
			closed = true
			must(t, st.Close())
			return stores(t, urls, opts)
		}}
}

// TestDatabasesThatDoNotFitAreRefused with what to do about it.
func TestDatabasesThatDoNotFitAreRefused(t *testing.T) {
	list := urls(t, 3)
	st := open(t, list, Options{still: true})
	must(t, st.Sessions().Create(t.Context(), newSession(st, "u", 1)))
	other := urls(t, 2)
	open(t, other, Options{still: true})
	used := urls(t, 1)[0]
	alone, err := postgres.Open(t.Context(), used, postgres.Options{})
	must(t, err)
	must(t, alone.Sessions().Create(t.Context(), session.Session{ID: rotation.SessionID{1}, UserID: "u"}))
	must(t, alone.Close())
	for name, c := range map[string]struct {
		urls []string
		says string
	}{
		"a shard is missing":          {list[:2], "the shards [2] which no shard-url names"},
		"home and shard swapped":      {[]string{list[1], list[0], list[2]}, "which is shard 1 of others"},
		"a shard twice":               {[]string{list[0], list[1], list[2], list[1]}, "two shard-urls name shard 1"},
		"the home as a shard":         {[]string{list[0], list[1], list[2], list[0]}, "is the home"},
		"a shard of others":           {[]string{list[0], list[1], list[2], other[1]}, "belongs to another home"},
		"the home of others":          {[]string{list[0], list[1], list[2], other[0]}, "belongs to another home"},
		"one that is in use":          {[]string{list[0], list[1], list[2], used}, "cannot become a shard"},
		"a new one that is not there": {append(list[:3:3], "postgres://tacet@127.0.0.1:1/x?sslmode=disable"), "a new shard, or one named twice, does not answer"},
	} {
		again, err := Open(t.Context(), c.urls[0], c.urls[1:], Options{still: true})
		if err == nil {
			must(t, again.Close())
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
	for i, says := range []string{"is the home of the shards [1 2]", "which is shard 1 of others"} {
		db, err := postgres.Open(t.Context(), list[i], postgres.Options{})
		must(t, err)
		if err := Alone(t.Context(), db); !errors.Is(err, ErrShards) || !strings.Contains(err.Error(), says) {
			t.Errorf("alone: %v; want %q", err, says)
		}
		must(t, db.Close())
	}
	// In any order they are what they are.
	again := open(t, []string{list[0], list[2], list[1]}, Options{still: true})
	for _, s := range again.table.Load().list {
		if want := st.table.Load().find(s.number); s.db.Where() != want.db.Where() {
			t.Errorf("shard %d is %s, and was %s", s.number, s.db.Where(), want.db.Where())
		}
	}
	// A program that knows nothing of shards must not open the home.
	if s, err := postgres.SchemaOf(t.Context(), list[0]); err != nil || s.From < 4 {
		t.Errorf("%+v, %v", s, err)
	}
}

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// newSession is a session of the user in the shard where the store places it.
func newSession(st *Store, user string, n int) session.Session {
	id := rotation.SessionID{1, 2, 3, byte(n >> 16), byte(n >> 8), byte(n), 0x70, 0, 0x80, 15: byte(n)}
	return session.Session{ID: st.Place(user, id), UserID: user, ClientID: "web",
		State: rotation.State{Head: rotation.Root(rotation.Tag{1, byte(n)}), HeadAt: start, CreatedAt: start}}
}

// TestNodesThatStartTogetherAgree on who is who, on databases that are all new, one
// of which somebody died over while it was being added.
func TestNodesThatStartTogetherAgree(t *testing.T) {
	list := urls(t, 4)
	home, err := postgres.Open(t.Context(), list[0], postgres.Options{})
	must(t, err)
	own, err := home.BecomeHome(t.Context())
	must(t, err)
	must(t, home.Close())
	begun, err := postgres.Open(t.Context(), list[2], postgres.Options{})
	must(t, err)
	if id, err := begun.BeginJoin(t.Context(), own.ID); err != nil || id.Shard >= 0 {
		t.Fatalf("%+v, %v", id, err)
	}
	must(t, begun.Close())
	stores := make([]*Store, 4)
	var running sync.WaitGroup
	for i := range stores {
		order := slices.Concat(list[i%4:], list[:i%4]) // each names them in another order
		order = slices.DeleteFunc(order, func(u string) bool { return u == list[0] })
		running.Go(func() {
			st, err := Open(t.Context(), list[0], order, Options{still: true})
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = st
			t.Cleanup(func() { must(t, st.Close()) })
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for n := range len(list) {
		want := stores[0].table.Load().find(n)
		for i, st := range stores {
			s := st.table.Load().find(n)
			if s == nil || s.db == nil {
				t.Fatalf("node %d has no shard %d", i, n)
			}
			a, _, err := s.db.Identity(t.Context())
			must(t, err)
			b, _, err := want.db.Identity(t.Context())
			must(t, err)
			if a != b || a.Shard != n {
				t.Errorf("node %d takes %+v for shard %d, node 0 %+v", i, a, n, b)
			}
		}
	}
	// An older program would take the sessions in shards for gone: there is no way
	// back before they are.
	if err := postgres.MigrateDown(t.Context(), list[0], 3); err == nil || !strings.Contains(err.Error(), "there are shards") {
		t.Errorf("taken back: %v", err)
	}
}
