package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// fillUp adds sessions until the store refuses one, and returns how many it took.
func fillUp(t *testing.T, db *DB) int {
	t.Helper()
	for n := range 100_000 {
		s := benchSession(n)
		s.UserID = strings.Repeat("long ", 200)
		err := db.Sessions().Create(t.Context(), s)
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), db.Path()) || !strings.Contains(err.Error(), "make room") {
			t.Fatalf("full disk: %v", err)
		}
		t.Logf("after %d sessions: %v", n, err)
		return n
	}
	t.Fatal("never full")
	return 0
}

// stillThere checks that all acknowledged sessions can be read.
func stillThere(t *testing.T, db *DB, n int) {
	t.Helper()
	for i := range n {
		if _, err := db.Sessions().Get(t.Context(), benchSession(i).ID); err != nil {
			t.Fatalf("session %d of %d: %v", i, n, err)
		}
	}
}

func limitPages(t *testing.T, db *DB, pages int) {
	t.Helper()
	_, err := write(t.Context(), db, poll, func(w *writer) (int64, error) {
		return w.exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFullDatabase(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	limitPages(t, db, 60)
	n := fillUp(t, db)
	stillThere(t, db, n)
	if err := renew(db, 0); err != nil {
		t.Errorf("a renewal needs no page: %v", err)
	}
	limitPages(t, db, 1_000_000)
	if err := db.Sessions().Create(t.Context(), benchSession(n)); err != nil {
		t.Errorf("with space again: %v", err)
	}
	stillThere(t, db, n+1)
}

func renew(db *DB, n int) error {
	s, err := db.Sessions().Get(context.Background(), benchSession(n).ID)
	if err != nil {
		return err
	}
	h := rotation.Head{Generation: s.State.Head.Generation + 1, Tag: rotation.Tag{1}, Parent: s.State.Head.Tag}
	_, err = db.Sessions().Move(context.Background(), session.Move{ID: s.ID, Condition: s.State.Condition(), Head: h, At: s.State.HeadAt, Contact: s.Contact})
	return err
}

// TestFullDisk runs on a disk of its own, where that is allowed.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	db := openIn(t, dir, Options{})
	ballast := filepath.Join(dir, "ballast")
	writeFile(t, ballast, bytes.Repeat([]byte("x"), 1<<20))
	n := fillUp(t, db)
	stillThere(t, db, n)
	if err := db.Check(t.Context()); err != nil && !errors.Is(err, ErrFull) {
		t.Errorf("Check on a full disk: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := db.Sessions().Create(t.Context(), benchSession(n)); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	stillThere(t, db, n+1)
}

// TestADiskThatIsFullFromTheStart has no room for the empty database.
func TestADiskThatIsFullFromTheStart(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	db, err := Open(t.Context(), dir, Options{BusyTimeout: time.Second})
	if err == nil {
		db.Close()
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("Open: %v, want ErrFull", err)
	}
}

// TestDamageIsFound: pages in the middle are overwritten.
func TestDamageIsFound(t *testing.T) {
	dir := filled(t, 600)
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for page := int64(30); page < 42; page++ {
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), page*4096); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	db := openIn(t, dir, Options{})
	if err := db.Check(t.Context()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("Check: %v", err)
	}
	found := false
	for i := range 600 {
		_, err := db.Sessions().Get(t.Context(), benchSession(i).ID)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("Get of a damaged page: %v, want ErrCorrupt: a caller that takes a lost session for an unknown one signs its user out", err)
		}
		found = found || err != nil
	}
	if !found {
		t.Error("no read met the damage")
	}
}
