package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// grouped holds the writer up while calls are made, so that they are committed
// in one group in the order given, and returns their results.
func grouped(t *testing.T, db *DB, calls ...func() error) []error {
	t.Helper()
	busy, release := make(chan struct{}), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		_, err := write(context.Background(), db, single, func(*writer) (int, error) {
			close(busy)
			<-release
			return 0, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-busy
	results := make([]error, len(calls))
	for i, call := range calls {
		running.Go(func() { results[i] = call() })
		for len(db.queue) <= i { // its turn in the queue
			runtime.Gosched()
		}
	}
	close(release)
	running.Wait()
	return results
}

func add(db *DB, n int) func() error {
	return func() error { return db.Sessions().Create(context.Background(), benchSession(n)) }
}

func TestWritesAreCommittedInGroups(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	var calls []func() error
	for i := range 100 {
		calls = append(calls, add(db, i))
	}
	before := frames(t, db)
	for i, err := range grouped(t, db, calls...) {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	// A hundred commits would write at least a frame for each.
	if n := frames(t, db) - before; n == 0 || n > 40 {
		t.Errorf("%d frames written for 100 sessions", n)
	}
	list, err := db.Sessions().List(t.Context(), "", rotation.SessionID{}, 200)
	if err != nil || len(list) != 100 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}

// frames is how long the write-ahead log is.
func frames(t *testing.T, db *DB) (n int64) {
	t.Helper()
	_, err := write(t.Context(), db, poll, func(w *writer) (int, error) {
		_, err := w.one("PRAGMA wal_checkpoint(NOOP)", nil, func(r *row) { r.int(); n = r.int() })
		return 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAFailureHurtsNoNeighbour(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	boom := errors.New("boom")
	ann := directory.User{ID: "ann", Name: "ann", Roles: []string{"r"}}
	bob := directory.User{ID: "bob", Name: "ann", Roles: []string{"r"}}
	errs := grouped(t, db,
		add(db, 1),
		add(db, 1), // the same id
		func() error { return directory.NewStore(db.Documents()).CreateUser(context.Background(), ann) },
		func() error { return directory.NewStore(db.Documents()).CreateUser(context.Background(), bob) }, // the same name
		func() error { // fails after it has written
			_, err := write(context.Background(), db, multi, func(w *writer) (int, error) {
				_, err := w.exec("UPDATE users SET disabled = 1")
				return 0, errors.Join(err, boom)
			})
			return err
		},
		func() error {
			return db.Sessions().End(context.Background(), benchSession(7).ID, session.End{}, events.Event{Kind: "never"})
		},
		add(db, 2),
	)
	for i, want := range []error{nil, errAny, nil, directory.ErrExists, boom, session.ErrNotFound, nil} {
		if want == errAny && errs[i] != nil {
			continue
		}
		if !errors.Is(errs[i], want) {
			t.Errorf("call %d: %v, want %v", i, errs[i], want)
		}
	}
	list, err := db.Sessions().List(t.Context(), "", rotation.SessionID{}, 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	if u, err := directory.NewStore(db.Documents()).UserByID(t.Context(), "ann"); err != nil || u.Disabled || !slices.Equal(u.Roles, ann.Roles) {
		t.Errorf("%+v, %v", u, err)
	}
	if _, last, err := db.Events().Bounds(t.Context()); err != nil || last != 0 {
		t.Errorf("an event of a failed write: %d, %v", last, err)
	}
}

var errAny = errors.New("any error")

// TestAFatalFailureHurtsNoNeighbour: one that rolls back everybody's work.
func TestAFatalFailureHurtsNoNeighbour(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	errs := grouped(t, db, add(db, 1),
		func() error {
			_, err := write(context.Background(), db, single, func(w *writer) (int, error) {
				if _, err := w.exec(fmt.Sprintf("PRAGMA max_page_count = %d", 1)); err != nil { // as many as there are
					return 0, err
				}
				_, err := w.exec("INSERT INTO events (at, kind, user_id, session_id, data) VALUES (0, '', '', '', zeroblob(1000000))")
				_, errBack := w.exec("PRAGMA max_page_count = 1073741823")
				return 0, errors.Join(err, errBack)
			})
			return err
		}, add(db, 2))
	if errs[0] != nil || !errors.Is(errs[1], ErrFull) || errs[2] != nil {
		t.Errorf("results %v", errs)
	}
	list, err := db.Sessions().List(t.Context(), "", rotation.SessionID{}, 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}

func TestAPanicReachesItsCaller(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	if err := directory.NewStore(db.Documents()).CreateUser(t.Context(), directory.User{ID: "ann", Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if r := recover(); r != "oops" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = directory.NewStore(db.Documents()).UpdateUser(t.Context(), "ann", func(*directory.User) ([]events.Event, error) { panic("oops") })
	}()
	if err := add(db, 1)(); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

// TestABrokenConnectionIsReplaced: after a failure that may lie with the
// connection, also the calls in the same group get a new one.
func TestABrokenConnectionIsReplaced(t *testing.T) {
	garbage := t.TempDir()
	writeFile(t, filepath.Join(garbage, FileName), bytes.Repeat([]byte("garbage "), 1000))
	_, broken := schemaVersion(t.Context(), filepath.Join(garbage, FileName), 0)
	if !fatal(broken) {
		t.Fatalf("not a failure of the database: %v", broken)
	}
	db := openIn(t, t.TempDir(), Options{})
	var used []*conn
	which := func() error {
		_, err := write(context.Background(), db, single, func(w *writer) (int, error) {
			used = append(used, w.conn)
			return 0, nil
		})
		return err
	}
	errs := grouped(t, db, which, add(db, 1), func() error {
		_, err := write(context.Background(), db, single, func(*writer) (int, error) { return 0, broken })
		return err
	}, add(db, 2), which)
	if !errors.Is(errs[2], ErrCorrupt) || errors.Join(errs[0], errs[1], errs[3], errs[4]) != nil {
		t.Errorf("results %v", errs)
	}
	if used[0] == used[len(used)-1] {
		t.Error("the connection was kept")
	}
	list, err := db.Sessions().List(t.Context(), "", rotation.SessionID{}, 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}

func TestCloseDrainsTheQueue(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var calls []func() error
	for i := range 50 {
		calls = append(calls, add(db, i))
	}
	closed := make(chan error, 1)
	calls = append(calls, func() error {
		go func() { closed <- db.Close() }()
		return add(db, 1000)() // keeps the queue growing by one more, or is refused
	})
	errs := grouped(t, db, calls...)
	for i, err := range errs[:50] {
		if err != nil {
			t.Errorf("queued write %d: %v", i, err)
		}
	}
	if err := errs[50]; err != nil && !errors.Is(err, ErrClosed) {
		t.Errorf("late write: %v", err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := add(db, 2000)(); !errors.Is(err, ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
	if _, err := db.Sessions().Get(t.Context(), benchSession(1).ID); !errors.Is(err, ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	list, err := openIn(t, dir, Options{}).Sessions().List(t.Context(), "", rotation.SessionID{}, 100)
	if err != nil || len(list) < 50 {
		t.Errorf("%d sessions after opening again, %v", len(list), err)
	}
}

// TestARenewalTouchesNoIndex: the program of the statement writes one b-tree.
func TestARenewalTouchesNoIndex(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	_, err := write(t.Context(), db, single, func(w *writer) (int, error) {
		args := slices.Repeat([]any{int64(0)}, strings.Count(move, "?"))
		written := 0
		return 0, errors.Join(w.query(t.Context(), "EXPLAIN "+move, args, func(r *row) error {
			r.int()
			if r.text() == "OpenWrite" {
				written++
			}
			return nil
		}), func() error {
			if written != 1 {
				return fmt.Errorf("%d b-trees are opened for writing", written)
			}
			return nil
		}())
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCommitsAreDurable(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	_, err := write(t.Context(), db, poll, func(w *writer) (int, error) {
		var mode string
		var sync int64
		_, err := w.one("PRAGMA journal_mode", nil, func(r *row) { mode = r.text() })
		if err == nil {
			_, err = w.one("PRAGMA synchronous", nil, func(r *row) { sync = r.int() })
		}
		if mode != "wal" || sync != 2 {
			t.Errorf("journal_mode %s, synchronous %d", mode, sync)
		}
		return 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
}
