package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

// TestNothingAcknowledgedIsLostByKill: PostgreSQL is killed (SIGKILL) while two
// nodes renew, again and again; the nodes are not restarted. What they
// acknowledged is there, and each session is where one sequence of renewals can
// have brought it.
func TestNothingAcknowledgedIsLostByKill(t *testing.T) {
	c := pgtest.Shared(t)
	url := c.Schema(t)
	nodes := []*DB{openURL(t, url, Options{Timeout: 2 * time.Second}), openURL(t, url, Options{Timeout: 2 * time.Second})}
	const rounds, sessions = 2, 40
	fill(t, nodes[0], sessions)
	acknowledged := make([]atomic.Uint32, sessions)
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var renewals atomic.Int64
		enough := make(chan struct{})
		for i := range sessions {
			st := nodes[i%2].Sessions()
			running.Go(func() {
				s, err := st.Get(ctx, benchSession(i).ID)
				for err == nil && ctx.Err() == nil {
					if s, err = st.Move(ctx, nextMove(s)); err == nil {
						acknowledged[i].Store(s.State.Head.Generation)
						if renewals.Add(1) == int64(100*(round+1)) {
							close(enough)
						}
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Fatalf("round %d: the sessions are not renewed", round)
		}
		must(t, c.Kill())
		cancel()
		running.Wait()
		must(t, c.Start())
		for i := range sessions {
			s := eventually(t, func() (session.Session, error) {
				return nodes[(i+1)%2].Sessions().Get(t.Context(), benchSession(i).ID)
			})
			// The last renewal may have been committed and not told any more.
			if g, told := s.State.Head.Generation, acknowledged[i].Load(); g != told && g != told+1 {
				t.Errorf("round %d: session %d is at generation %d, acknowledged was %d", round, i, g, told)
			}
			acknowledged[i].Store(s.State.Head.Generation)
		}
	}
}

// eventually repeats f until it succeeds, a bounded number of times.
func eventually[T any](t testing.TB, f func() (T, error)) T {
	t.Helper()
	var v T
	var err error
	for range 100 {
		if v, err = f(); err == nil {
			return v
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
	return v
}

// calls are one of each kind.
func calls(t *testing.T, db *DB, s *session.Session) map[string]func() error {
	ctx := t.Context()
	n := 1000
	return map[string]func() error{
		"Get": func() error { _, err := db.Sessions().Get(ctx, s.ID); return err },
		"Move": func() error {
			moved, err := db.Sessions().Move(ctx, nextMove(*s))
			if err == nil {
				*s = moved
			}
			return err
		},
		"Create": func() error { n++; return db.Sessions().Create(ctx, benchSession(n)) },
		"End": func() error {
			err := db.Sessions().End(ctx, rotation.SessionID{1}, session.End{Reason: "logout", At: s.State.HeadAt}, events.Event{Kind: "e"})
			if errors.Is(err, session.ErrNotFound) { // an answer
				err = nil
			}
			return err
		},
		"Check": func() error { return db.Check(ctx) },
	}
}

// TestOutages: whatever is wrong with the server, calls end with an error of
// the right kind, nothing is changed, and when it is over they succeed, without
// a restart of the node.
func TestOutages(t *testing.T) {
	c := pgtest.Shared(t)
	for name, o := range map[string]struct {
		begin, end func(t *testing.T, url string)
		kinds      []error
		reads      bool // go on
	}{
		"gone": {
			begin: func(t *testing.T, _ string) { must(t, c.Stop()) },
			end:   func(t *testing.T, _ string) { must(t, c.Start()) },
			kinds: []error{ErrUnreachable},
		},
		"frozen": {
			begin: func(t *testing.T, _ string) { must(t, c.Freeze()) },
			end:   func(t *testing.T, _ string) { must(t, c.Thaw()) },
			kinds: []error{ErrTimeout, ErrUnreachable},
		},
		"read-only": {
			begin: func(t *testing.T, url string) {
				pgtest.Exec(t, url, "ALTER ROLE node SET default_transaction_read_only = on")
				disconnect(t, url)
			},
			end: func(t *testing.T, url string) {
				pgtest.Exec(t, url, "ALTER ROLE node RESET default_transaction_read_only")
				disconnect(t, url)
			},
			kinds: []error{ErrReadOnly},
			reads: true,
		},
		"out of connections": {
			begin: func(t *testing.T, url string) {
				pgtest.Exec(t, url, "ALTER ROLE node CONNECTION LIMIT 0")
				disconnect(t, url)
			},
			end:   func(t *testing.T, url string) { pgtest.Exec(t, url, "ALTER ROLE node CONNECTION LIMIT -1") },
			kinds: []error{ErrBusy, ErrUnreachable},
		},
		"locked": {
			begin: func(t *testing.T, url string) {
				conn := pgtest.Connect(t, url)
				if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE tacet_sessions, tacet_counters IN ACCESS EXCLUSIVE MODE"); err != nil {
					t.Fatal(err)
				}
				unlock = func() { must(t, conn.Close(context.Background())) }
			},
			end:   func(*testing.T, string) { unlock() },
			kinds: []error{ErrTimeout, ErrBusy},
		},
	} {
		t.Run(name, func(t *testing.T) {
			superuser, url := asNode(t, c)
			db := openURL(t, url, Options{Timeout: 300 * time.Millisecond, Poll: 20 * time.Millisecond})
			s := benchSession(0)
			must(t, db.Sessions().Create(t.Context(), s))
			all := calls(t, db, &s)
			for call, f := range all {
				if err := f(); err != nil {
					t.Fatalf("%s before: %v", call, err)
				}
			}
			o.begin(t, superuser)
			told := false
			for call, f := range all {
				err := f()
				if o.reads && call == "Get" {
					err = nil
					eventually(t, func() (int, error) { return 0, f() })
					continue
				}
				ok := errors.Is(err, ErrTimeout) // on a busy machine
				for _, kind := range o.kinds {
					ok = ok || errors.Is(err, kind)
				}
				told = told || errors.Is(err, o.kinds[0])
				if !ok {
					t.Errorf("%s: %v; want one of %q", call, err, o.kinds)
				}
			}
			if !told {
				t.Errorf("no call failed with %q", o.kinds[0])
			}
			o.end(t, superuser)
			for call, f := range all {
				eventually(t, func() (int, error) {
					if call == "Move" { // one that got an error may have been made, also just now
						if got, err := db.Sessions().Get(t.Context(), s.ID); err == nil {
							s = got
						}
					}
					return 0, f()
				})
			}
		})
	}
}

var unlock func()

// asNode makes a schema for a role that is not the superuser. It returns the
// URLs of both.
func asNode(t *testing.T, c *pgtest.Cluster) (superuser, node string) {
	t.Helper()
	superuser = c.Schema(t)
	pgtest.Exec(t, superuser, `DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'node') THEN CREATE ROLE node LOGIN; END IF; END $$;
		DO $$ BEGIN EXECUTE format('GRANT ALL ON SCHEMA %I TO node', current_schema()); END $$`)
	return superuser, "postgres://node@" + superuser[len("postgres://tacet@"):]
}

// disconnect ends the node's connections.
func disconnect(t *testing.T, url string) {
	t.Helper()
	pgtest.Exec(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'node'")
}

// TestOneLockedRowHoldsUpNobodyElse: a transaction that stands still with a
// session's row keeps only that session waiting.
func TestOneLockedRowHoldsUpNobodyElse(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	db := openURL(t, url, Options{})
	const n = 40
	fill(t, db, n)
	conn := pgtest.Connect(t, url)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("BEGIN; SELECT 1 FROM tacet_sessions WHERE id = '%s' FOR UPDATE", benchSession(0).ID)); err != nil {
		t.Fatal(err)
	}
	batch := make([]*renewal, n)
	for i := range batch {
		batch[i] = &renewal{Move: nextMove(benchSession(i)), done: make(chan struct{})}
	}
	db.renewer.send(batch)
	for i, m := range batch {
		if locked := i == 0; errors.Is(m.err, ErrBusy) != locked || !locked && m.err != nil {
			t.Errorf("session %d: %v", i, m.err)
		}
	}
}
