package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// FileStore keeps the session in a file that only its owner may read. Any number
// of processes of one user may share it: a lock beside the file (path + ".lock",
// which stays) keeps them apart, and the system drops it with the process that
// held it, however that ends.
type FileStore struct{ path string }

// lockPoll is how often a held lock is tried again. Waiting in the system call
// could not be given up when the context ends.
const lockPoll = 10 * time.Millisecond

// NewFileStore returns the store in the file at path. The file is made by the
// first sign-in; missing directories are made then too, closed to others.
func NewFileStore(path string) (*FileStore, error) {
	if path == "" {
		return nil, &StoreError{"open", errors.New("the path of the token file is empty")}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, &StoreError{"open", err}
	}
	// Saving replaces the file and locking goes by its name: both must mean the
	// file itself, not a link to it.
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	return &FileStore{path: abs}, nil
}

// Lock implements [TokenStore].
func (f *FileStore) Lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return nil, err
	}
	return lockFile(ctx, f.path+".lock")
}

func lockFile(ctx context.Context, path string) (func(), error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	if ok, err := l.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("waiting for the lock %s: %w", path, err)
	} else if !ok {
		return nil, fmt.Errorf("the lock %s could not be taken", path)
	}
	// Closing the file is what unlocks, and cannot fail in a way that keeps it.
	return func() { _ = l.Unlock() }, nil
}

// Load implements [TokenStore]. It refuses a file that other users may read or
// write.
func (f *FileStore) Load(context.Context) ([]byte, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", f.path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s is open to other users (mode %04o); if nobody can have copied it run chmod 600 on it, else delete it and sign in again", f.path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxRecord+1))
	if err != nil {
		return nil, err
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// Save implements [TokenStore]. The file is replaced in one step, after the new
// content is on disk: a crash leaves the old record or the new one.
func (f *FileStore) Save(_ context.Context, record []byte) error {
	// One name is enough, since the caller holds the lock, and a crash leaves
	// nothing behind that the next call does not remove.
	tmp := f.path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeSynced(tmp, record); err != nil {
		_ = os.Remove(tmp) // the first error is the one to tell
		return err
	}
	if err := os.Rename(tmp, f.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path))
}

// Clear implements [TokenStore].
func (f *FileStore) Clear(context.Context) error {
	for _, path := range []string{f.path + ".tmp", f.path} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(filepath.Dir(f.path))
}

func writeSynced(path string, b []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(b); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes a rename or removal durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
