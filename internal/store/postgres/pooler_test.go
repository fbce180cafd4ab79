package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// TestNodesThatStartTogetherMigrateOnceBehindAPooler: even where it has one
// connection for all, and they leave no lock behind.
func TestNodesThatStartTogetherMigrateOnceBehindAPooler(t *testing.T) {
	for _, size := range []int{1, 4} {
		b, err := pgtest.Shared(t).NewBouncer(fmt.Sprint("default_pool_size=", size))
		must(t, err)
		t.Cleanup(func() { must(t, b.Stop()) })
		url, direct := b.Schema(t)
		var running sync.WaitGroup
		for range 6 {
			running.Go(func() {
				db, err := Open(t.Context(), url, Options{})
				if err != nil {
					t.Error(err)
					return
				}
				must(t, db.Close())
			})
		}
		running.Wait()
		if s, err := SchemaOf(t.Context(), url); err != nil || s.Has != s.Knows || s.Knows == 0 {
			t.Errorf("%d connections: %+v, %v", size, s, err)
		}
		must(t, MigrateDown(t.Context(), url, 0))
		must(t, Migrate(t.Context(), url))
		conn := pgtest.Connect(t, direct)
		defer conn.Close(context.WithoutCancel(t.Context()))
		var locks int
		must(t, conn.QueryRow(t.Context(), "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'").Scan(&locks))
		if locks != 0 {
			t.Errorf("%d connections: %d advisory locks are left", size, locks)
		}
	}
}

// asSeen makes a table of the parameters under which each statement changed a
// session.
const asSeen = `CREATE TABLE seen (operation text, durable text, timeout text, lock text, seqscan text);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO seen VALUES (TG_OP, current_setting('synchronous_commit'), current_setting('statement_timeout'),
			current_setting('lock_timeout'), current_setting('enable_seqscan'));
		RETURN NULL;
	END $$;
	CREATE TRIGGER note AFTER INSERT OR UPDATE ON tacet_sessions FOR EACH STATEMENT EXECUTE FUNCTION note()`

// TestParametersGoWithTheTransaction: whatever the database, the role or another
// client of the pooler has set, each write runs as it must; the log tells of a
// database that does not wait for its disk; and nothing stays behind on the
// pooler's connections.
func TestParametersGoWithTheTransaction(t *testing.T) {
	bouncer := pgtest.SharedBouncer(t)
	pooler, poolerDirect := bouncer.Schema(t)
	plain := pgtest.Shared(t).Schema(t)
	for name, c := range map[string]struct{ url, direct string }{"pooled": {pooler, poolerDirect}, "direct": {plain + "&synchronous_commit=off", plain}} {
		t.Run(name, func(t *testing.T) {
			must(t, Migrate(t.Context(), c.direct))
			pgtest.Exec(t, c.direct, asSeen)
			if name == "pooled" {
				pgtest.Exec(t, c.direct, "ALTER ROLE CURRENT_USER SET synchronous_commit = off")
			}
			var log bytes.Buffer
			db := openURL(t, c.url, Options{Timeout: 4 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if !strings.Contains(log.String(), "synchronous_commit is off") {
				t.Errorf("the log says %s", &log)
			}
			var list []session.Session
			for i := range 3 {
				list = append(list, benchSession(i))
				must(t, db.Sessions().Create(t.Context(), list[i]))
			}
			_, err := db.Sessions().Move(t.Context(), nextMove(list[0]))
			must(t, err)
			batch := []*renewal{{Move: nextMove(list[1])}, {Move: nextMove(list[2])}}
			db.renewer.send(batch)
			must(t, errors.Join(batch[0].err, batch[1].err))
			must(t, db.Sessions().End(t.Context(), list[0].ID, session.End{Reason: "logout"}, events.Event{Kind: "e"}))

			conn := pgtest.Connect(t, c.direct)
			defer conn.Close(context.WithoutCancel(t.Context()))
			var seen string
			must(t, conn.QueryRow(t.Context(), "SELECT string_agg(concat_ws(' ', operation, durable, timeout, lock, seqscan), ', ') FROM seen").Scan(&seen))
			const create, renew, end = "INSERT on 4s 0 on", "UPDATE on 4s 500ms off", "UPDATE on 4s 0 on"
			if want := strings.Join([]string{create, create, create, renew, renew, end}, ", "); seen != want {
				t.Errorf("statements ran under\n%s, want\n%s", seen, want)
			}
		})
	}
	other := pgtest.Connect(t, pooler+"&default_query_exec_mode=simple_protocol")
	defer other.Close(context.WithoutCancel(t.Context()))
	for range 20 { // meets all connections
		var left string
		must(t, other.QueryRow(t.Context(), `SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('enable_seqscan'),
			(SELECT COUNT(*) FROM pg_prepared_statements), (SELECT COUNT(*) FROM pg_listening_channels()), pg_sleep(0.01)::text)`).Scan(&left))
		if left != "0 0 on 0 0 " {
			t.Fatalf("a connection of the pooler was left with %q", left)
		}
	}
}

// TestNodesHearOfEachOtherBehindAPooler: by polling, or at once by a URL that
// leads to the database itself; the log says which.
func TestNodesHearOfEachOtherBehindAPooler(t *testing.T) {
	for name, c := range map[string]struct {
		listen func(through, direct string) string
		poll   time.Duration
		says   string
	}{
		"polling":          {func(_, _ string) string { return "" }, 10 * time.Millisecond, "hear of each other by polling"},
		"a direct URL":     {func(_, direct string) string { return direct }, time.Hour, ""},
		"a URL that isn't": {func(through, _ string) string { return through }, 10 * time.Millisecond, "database-listen-url, or"},
	} {
		t.Run(name, func(t *testing.T) {
			through, direct := pgtest.SharedBouncer(t).Schema(t)
			var log syncBuffer
			here := &node{}
			here.DB = openURL(t, through, Options{Poll: c.poll, ListenURL: c.listen(through, direct), Logger: slog.New(slog.NewTextHandler(&log, nil)),
				Notify: func() { here.notified.Add(1) }, Elsewhere: func() { here.elsewhere.Add(1) }})
			there := openURL(t, through, Options{Poll: time.Hour})
			must(t, directory.NewStore(there.Documents()).CreateUser(t.Context(), directory.User{ID: "u", Name: "ann"}))
			if c.poll == time.Hour {
				conn := pgtest.Connect(t, direct)
				defer conn.Close(context.WithoutCancel(t.Context()))
				until(t, "the node listens", func() (yes bool) {
					must(t, conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE usename = current_user AND query = 'LISTEN "+channel+"')").Scan(&yes))
					return yes
				})
				time.Sleep(50 * time.Millisecond) // the look at the start is over
			}
			before := here.notified.Load()
			endOne(t, there, 1)
			until(t, "the other node hears of an event", func() bool { return here.notified.Load() > before })
			raise(t, there)
			until(t, "the other node hears of a change of grants", func() bool { return here.elsewhere.Load() > 0 })
			if text := log.String(); !strings.Contains(text, c.says) || c.says == "" && strings.Contains(text, "polling") {
				t.Errorf("the log says %s; want %q", text, c.says)
			}
		})
	}
}

// syncBuffer is a buffer that several may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestPoolerErrorsSayWhatToDo: where the URL asks for what a pooler does not do.
func TestPoolerErrorsSayWhatToDo(t *testing.T) {
	through, _ := pgtest.SharedBouncer(t).Schema(t)
	_, err := Open(t.Context(), through+"&search_path=elsewhere", Options{})
	if !errors.Is(err, ErrPooler) || !strings.Contains(err.Error(), "search_path") || !strings.Contains(err.Error(), "ALTER ROLE") {
		t.Errorf("a parameter that it does not take: %v", err)
	}
	must(t, Migrate(t.Context(), through))
	// Named statements: two clients prepare the same on one connection.
	for range 20 {
		var db *DB
		if db, err = Open(t.Context(), through+"&default_query_exec_mode=cache_statement", Options{}); err != nil {
			break
		}
		for i := range 5 {
			_, getting := db.Sessions().Get(t.Context(), benchSession(i).ID)
			if !errors.Is(getting, session.ErrNotFound) {
				err = getting
			}
		}
		must(t, db.Close())
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrPooler) || !strings.Contains(err.Error(), "SQLSTATE 42P05") && !strings.Contains(err.Error(), "SQLSTATE 26000") ||
		!strings.Contains(err.Error(), "take default_query_exec_mode out of database-url") {
		t.Errorf("named statements: %v", err)
	}
}

// TestPoolerRestarts under calls: they fail while it is away, with an error of the
// right kind, and succeed when it is back.
func TestPoolerRestarts(t *testing.T) {
	b, err := pgtest.Shared(t).NewBouncer()
	must(t, err)
	t.Cleanup(func() { must(t, b.Stop()) })
	url, _ := b.Schema(t)
	db := openURL(t, url, Options{Timeout: 2 * time.Second})
	s := benchSession(0)
	must(t, db.Sessions().Create(t.Context(), s))
	all := calls(t, db, &s)
	for range 2 {
		must(t, b.Stop())
		for call, f := range all {
			if err := f(); !errors.Is(err, ErrUnreachable) {
				t.Errorf("%s without the pooler: %v", call, err)
			}
		}
		must(t, b.Start())
		for _, f := range all {
			eventually(t, func() (int, error) { return 0, f() })
		}
	}
}
