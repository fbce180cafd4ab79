package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
)

// replaceRings counts up the key ring against other processes, and prints how
// often it won.
func replaceRings(dir string) error {
	db, err := Open(context.Background(), dir, Options{})
	if err != nil {
		return err
	}
	won, err := countUp(db)
	fmt.Println(won)
	return errors.Join(err, db.Close())
}

func countUp(db *DB) (won int64, err error) {
	ctx := context.Background()
	for range 60 {
		_, version, err := keys.NewStore(db.Documents()).Load(ctx)
		if err != nil {
			return won, err
		}
		switch err := keys.NewStore(db.Documents()).Replace(ctx, version, nil); {
		case err == nil:
			won++
		case !errors.Is(err, keys.ErrConflict):
			return won, err
		}
	}
	return won, nil
}

// TestProcessesShareTheFile: also its making is a race.
func TestProcessesShareTheFile(t *testing.T) {
	dir := t.TempDir()
	var outs []io.Reader
	var waits []func() error
	for range 3 {
		cmd := helper(t, "replacer", dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		outs, waits = append(outs, out), append(waits, cmd.Wait)
	}
	db := openIn(t, dir, Options{})
	sum, err := countUp(db)
	if err != nil {
		t.Fatal(err)
	}
	for i, out := range outs {
		var won int64
		if _, err := fmt.Fscan(out, &won); err != nil {
			t.Fatal(err)
		}
		sum += won
		if err := waits[i](); err != nil {
			t.Fatal(err)
		}
	}
	if _, version, err := keys.NewStore(db.Documents()).Load(t.Context()); err != nil || version != sum {
		t.Errorf("version %d after %d successes, %v", version, sum, err)
	}
	if n, err := db.ChangedElsewhere(t.Context()); err != nil || n == 0 {
		t.Errorf("ChangedElsewhere %d, %v", n, err)
	}
}

func TestChangedElsewhere(t *testing.T) {
	dir := t.TempDir()
	var notified, elsewhere atomic.Int32
	db := openIn(t, dir, Options{
		Notify:    func() { notified.Add(1) },
		Elsewhere: func() { elsewhere.Add(1) },
	})
	other := openIn(t, dir, Options{})
	changed := func(want bool) {
		t.Helper()
		was := db.elsewhere.Load()
		n, err := db.ChangedElsewhere(t.Context())
		if err != nil || (n > was) != want {
			t.Errorf("ChangedElsewhere went from %d to %d, %v; want a change: %v", was, n, err, want)
		}
	}
	changed(false)
	fill(t, db.Sessions(), 3) // its own
	changed(false)
	if _, err := other.Sessions().Get(t.Context(), benchSession(1).ID); err != nil {
		t.Fatal(err)
	}
	changed(false)
	if notified.Load() != 0 {
		t.Errorf("notified %d times of nothing", notified.Load())
	}
	if err := other.Sessions().Create(t.Context(), benchSession(9)); err != nil {
		t.Fatal(err)
	}
	changed(true)
	changed(false)
	if notified.Load() != 1 || elsewhere.Load() != 1 {
		t.Errorf("notified %d times, of other processes %d times, of one change", notified.Load(), elsewhere.Load())
	}
	if err := db.Sessions().End(t.Context(), benchSession(9).ID, session.End{}, events.Event{Kind: "own"}); err != nil {
		t.Fatal(err)
	}
	if notified.Load() != 2 || elsewhere.Load() != 1 {
		t.Errorf("notified %d times, of other processes %d times, after an event of its own", notified.Load(), elsewhere.Load())
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	db := openIn(t, dir, Options{BusyTimeout: 30 * time.Millisecond})
	other := openIn(t, dir, Options{})
	locked, release := make(chan struct{}), make(chan struct{})
	finished := make(chan error)
	go func() {
		_, err := write(t.Context(), other, single, func(*writer) (int, error) {
			close(locked)
			<-release
			return 0, nil
		})
		finished <- err
	}()
	<-locked
	err := db.Sessions().Create(t.Context(), benchSession(1))
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), db.Path()) {
		t.Errorf("while another process holds the lock: %v", err)
	}
	if _, err := db.Sessions().List(t.Context(), "", benchSession(0).ID, 1); err != nil {
		t.Errorf("reading while another process holds the lock: %v", err)
	}
	close(release)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if err := db.Sessions().Create(t.Context(), benchSession(1)); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}
