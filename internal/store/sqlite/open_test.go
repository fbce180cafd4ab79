package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store"
)

// refused checks that Open fails with this kind of error, in words that name
// the path and more, and leaves the file as it was.
func refused(t *testing.T, dir string, kind *store.Kind, words ...string) {
	t.Helper()
	path := filepath.Join(dir, FileName)
	before, _ := os.ReadFile(path)
	db, err := Open(t.Context(), dir, Options{BusyTimeout: 50 * time.Millisecond})
	if err == nil {
		db.Close()
		t.Fatalf("Open succeeded, want %v", kind)
	}
	var typed *store.Error
	if !errors.Is(err, kind) || !errors.As(err, &typed) {
		t.Fatalf("Open: %v (%T), want %v", err, err, kind)
	}
	for _, w := range append(words, dir, kind.Advice) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
	t.Log(err)
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesWhatItCannotUse(t *testing.T) {
	t.Run("directory is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		writeFile(t, file, []byte("x"))
		refused(t, file, ErrNotDirectory)
		refused(t, filepath.Join(file, "below"), ErrNotDirectory)
	})
	t.Run("garbage", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, FileName), bytes.Repeat([]byte("garbage "), 1000))
		refused(t, dir, ErrCorrupt)
	})
	t.Run("directory in place of the file", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, FileName), 0o700); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, ErrCorrupt, "not a regular file")
	})
	t.Run("another program's database", func(t *testing.T) {
		dir := t.TempDir()
		edit(t, dir, "CREATE TABLE other (x)")
		refused(t, dir, ErrCorrupt, "not one of tacet")
	})
	t.Run("newer schema", func(t *testing.T) {
		dir := filled(t, 1)
		edit(t, dir, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
		refused(t, dir, ErrNewerSchema, "99", "up to 5", "was not touched")
	})
	t.Run("cut off", func(t *testing.T) {
		dir := filled(t, 500)
		path := filepath.Join(dir, FileName)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, data[:len(data)/2])
		refused(t, dir, ErrCorrupt)
	})
	t.Run("read-only file", func(t *testing.T) {
		dir := filled(t, 1)
		chmod(t, filepath.Join(dir, FileName), 0o444)
		chmod(t, dir, 0o755)
		asOrdinaryUser(t, dir, func() { refused(t, dir, ErrReadOnly) })
	})
	t.Run("unreadable file", func(t *testing.T) {
		dir := filled(t, 1)
		chmod(t, filepath.Join(dir, FileName), 0)
		chmod(t, dir, 0o755)
		asOrdinaryUser(t, dir, func() { refused(t, dir, ErrAccess) })
	})
	t.Run("unreadable directory", func(t *testing.T) {
		dir := filled(t, 1)
		chmod(t, dir, 0)
		asOrdinaryUser(t, dir, func() { refused(t, dir, ErrAccess) })
		chmod(t, dir, 0o700)
	})
	t.Run("directory that cannot be made", func(t *testing.T) {
		parent := t.TempDir()
		chmod(t, parent, 0o555)
		asOrdinaryUser(t, parent, func() { refused(t, filepath.Join(parent, "data"), ErrAccess) })
	})
}

// filled is a directory with a database of n sessions, closed.
func filled(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db.Sessions(), n)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// edit changes the database behind the store's back.
func edit(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// asOrdinaryUser runs f without the rights of root, for whom permissions mean
// nothing: on a thread of its own with another file system user, which ends
// with it. dir and its parents up to the temporary directory become passable.
func asOrdinaryUser(t *testing.T, dir string, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	for d := filepath.Dir(dir); d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		chmod(t, d, 0o755)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			t.Error(errno)
			return
		}
		f()
	}()
	<-done
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	db := openIn(t, dir, Options{})
	fill(t, db.Sessions(), 1)
	for path, want := range map[string]fs.FileMode{dir: 0o700, db.Path(): 0o600, db.Path() + "-wal": 0o600, db.Path() + "-shm": 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

func TestOddDirectoryNames(t *testing.T) {
	for _, name := range []string{"a b", "50% off", "what?_pragma=x", "a#b", "目录", "it's"} {
		db := openIn(t, filepath.Join(t.TempDir(), name), Options{})
		fill(t, db.Sessions(), 1)
		if _, err := os.Stat(filepath.Join(filepath.Dir(db.Path()), FileName)); err != nil || filepath.Base(filepath.Dir(db.Path())) != name {
			t.Errorf("%q: %v in %q", name, err, db.Path())
		}
	}
}

func TestManyOpensOfANewDirectoryAtOnce(t *testing.T) {
	dir := t.TempDir()
	var running sync.WaitGroup
	for i := range 6 {
		running.Go(func() {
			db, err := Open(t.Context(), dir, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if err := db.Sessions().Create(t.Context(), benchSession(i)); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	list, err := openIn(t, dir, Options{}).Sessions().List(t.Context(), "", session.Session{}.ID, 10)
	if err != nil || len(list) != 6 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}

// TestUpgrade: a later version of the program has one more migration.
func TestUpgrade(t *testing.T) {
	with := func(next string) fstest.MapFS {
		files := fstest.MapFS{"99999_next.sql": {Data: []byte("-- +goose Up\nCREATE TABLE next (x INTEGER);\n" + next)}}
		names, err := fs.Glob(migrations(), "*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := fs.ReadFile(migrations(), name)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = &fstest.MapFile{Data: data}
		}
		return files
	}
	later := with("INSERT INTO next VALUES (1);")
	upgrade := func(ctx context.Context, dir string, busy time.Duration) error {
		path := filepath.Join(dir, FileName)
		return wrap(path, migrate(ctx, path, busy, later))
	}

	t.Run("keeps the data", func(t *testing.T) {
		dir := filled(t, 3)
		for range 2 {
			if err := upgrade(t.Context(), dir, time.Second); err != nil {
				t.Fatal(err)
			}
		}
		edit(t, dir, "UPDATE next SET x = 2 WHERE x = 1")
		refused(t, dir, ErrNewerSchema)
	})
	t.Run("not under a running server", func(t *testing.T) {
		dir := filled(t, 3)
		db, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := upgrade(t.Context(), dir, 50*time.Millisecond); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "no other process") {
			t.Errorf("upgrade of a database in use: %v", err)
		}
		fill(t, db.Sessions(), 0)
		if err := db.Sessions().Create(t.Context(), benchSession(4)); err != nil {
			t.Errorf("the running server after the attempt: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := upgrade(t.Context(), dir, time.Second); err != nil {
			t.Errorf("after the server has stopped: %v", err)
		}
	})
	t.Run("all or nothing", func(t *testing.T) {
		dir := filled(t, 3)
		broken := with("INSERT INTO nowhere VALUES (1);")
		path := filepath.Join(dir, FileName)
		if err := migrate(t.Context(), path, time.Second, broken); err == nil {
			t.Fatal("a broken migration succeeded")
		}
		if err := upgrade(t.Context(), dir, time.Second); err != nil {
			t.Errorf("the right migration after the broken one: %v", err)
		}
	})
}
