package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/store"
)

// FileName is the database's name in the data directory. SQLite keeps two more
// files beside it while it is open (-wal and -shm); they belong to it.
const FileName = "tacet.db"

// Options for Open. The zero value is fine.
type Options struct {
	// BusyTimeout is how long a write waits for another process, 5 s if zero.
	BusyTimeout time.Duration
	// Notify, if set, is called after a commit that added events and after
	// another process was seen to have written. It runs on the goroutine that
	// writes: it must return at once and not call the store.
	Notify func()
	// Committed, if set, is told of the events that a call has committed, and of
	// those of an End that found its session ended, before the call returns.
	Committed func([]events.Event)
	// Clock is by what time documents are over; time.Now if nil.
	Clock func() time.Time
	// Elsewhere, if set, is called when another process was seen to have
	// written, before the result of any write that saw it. As Notify.
	Elsewhere func()
	// Batch, if set, is told how many writes were committed together. As Notify.
	Batch func(writes int)
}

// DB is an open database. Its methods may be called concurrently.
type DB struct {
	path    string
	opts    Options
	readers chan *conn // idle ones
	open    []*conn    // all readers

	queue     chan *op
	closing   sync.RWMutex // held for reading while sending to queue
	closed    bool
	stopped   chan struct{} // closed when the writer has ended
	elsewhere atomic.Uint64
}

const (
	// Measured from 1 to 8 KiB: no difference beyond the noise in CPU, latency
	// or space, so SQLite's own. The same holds for when it checkpoints (every
	// 1,000 pages: a write-ahead log of 4 MB), also against not at all.
	pageSize = 4096
	readers  = 4
	// maxBatch bounds how long the first write of a group waits for the last.
	maxBatch = 256
)

// creating keeps two Opens in this process apart while the file is made:
// closing a file drops all POSIX locks that the process holds on it, so the
// plain handle must be gone before SQLite has one.
var creating sync.Mutex

// Open opens the database in dir, which it creates (mode 0700) with an empty
// database (mode 0600) if there is none, and brings its schema up to date.
// Errors are of type *Error and wrap one of this package's Err… values where
// one fits. ctx bounds the opening only.
func Open(ctx context.Context, dir string, opts Options) (*DB, error) {
	if opts.BusyTimeout == 0 {
		opts.BusyTimeout = 5 * time.Second
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	path, err := create(dir)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, path, opts.BusyTimeout, migrations()); err != nil {
		return nil, wrap(path, err)
	}
	db := &DB{
		path: path, opts: opts,
		readers: make(chan *conn, readers),
		queue:   make(chan *op, 4*maxBatch),
		stopped: make(chan struct{}),
	}
	w, err := db.openConns(ctx)
	if err != nil {
		return nil, wrap(path, errors.Join(err, db.closeReaders()))
	}
	go w.loop()
	return db, nil
}

func create(dir string) (path string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", wrap(dir, err)
	}
	path = filepath.Join(dir, FileName)
	creating.Lock()
	defer creating.Unlock()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return path, wrap(path, f.Close())
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", wrap(path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", wrap(path, err)
	}
	if !info.Mode().IsRegular() {
		return "", &store.Error{Where: path, Kind: ErrCorrupt, Err: errors.New("not a regular file")}
	}
	return path, nil
}

// connector opens connections to the file with pragmas such as "query_only(1)".
func connector(path string, busy time.Duration, pragmas ...string) (driver.Connector, error) {
	q := url.Values{"_pragma": append([]string{"busy_timeout(" + strconv.FormatInt(busy.Milliseconds(), 10) + ")"}, pragmas...)}
	// Only the message that belongs to the code, not one left over from before.
	q.Set("_error_rc", "1")
	return sqlite3.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode())
}

func (db *DB) openConns(ctx context.Context) (*writer, error) {
	w := &writer{db: db}
	var err error
	w.connector, err = connector(db.path, db.opts.BusyTimeout,
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-8000)", "journal_size_limit(67108864)")
	if err != nil {
		return nil, err
	}
	reading, err := connector(db.path, db.opts.BusyTimeout, "query_only(1)")
	if err != nil {
		return nil, err
	}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	for range readers {
		c, err := connect(ctx, reading)
		if err != nil {
			return nil, errors.Join(err, w.conn.close())
		}
		db.open = append(db.open, c)
		db.readers <- c
	}
	return w, nil
}

// Close waits for the writes that are under way or queued, then closes the
// file. Calls that come later fail with ErrClosed.
func (db *DB) Close() error {
	db.closing.Lock()
	again := db.closed
	db.closed = true
	db.closing.Unlock()
	if again {
		<-db.stopped
		return nil
	}
	close(db.queue)
	<-db.stopped
	return wrap(db.path, db.closeReaders())
}

func (db *DB) closeReaders() error {
	var errs []error
	for range db.open {
		errs = append(errs, (<-db.readers).close())
	}
	return errors.Join(errs...)
}

// Queued is how many writes wait.
func (db *DB) Queued() int { return len(db.queue) }

// Path is the database file.
func (db *DB) Path() string { return db.path }

// Size is how many bytes the database and its write-ahead log take on disk.
func (db *DB) Size() (int64, error) {
	var size int64
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(db.path + suffix)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue
		}
		if err != nil {
			return 0, wrap(db.path, err)
		}
		size += info.Size()
	}
	return size, nil
}

// read runs f on a connection that cannot write.
func read[T any](ctx context.Context, db *DB, f func(*conn) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	db.closing.RLock()
	defer db.closing.RUnlock()
	if db.closed {
		return none, &store.Error{Where: db.path, Kind: ErrClosed}
	}
	select {
	case c := <-db.readers:
		defer func() { db.readers <- c }()
		v, err := f(c)
		if err != nil {
			return none, wrap(db.path, err)
		}
		return v, nil
	case <-ctx.Done():
		return none, fmt.Errorf("store %s: waiting for a connection to read with: %w", db.path, ctx.Err())
	}
}
