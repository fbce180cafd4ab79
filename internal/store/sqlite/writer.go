package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"

	"github.com/tacet-dev/tacet/internal/store"
)

// op is one queued write.
type op struct {
	ctx  context.Context
	kind opKind
	run  func(*writer) error // may be called again after a rollback
	err  error
	// panicked is what run panicked with: a fault of the caller's code, which
	// belongs on the caller's goroutine.
	panicked any
	done     chan struct{}
}

type opKind uint8

const (
	single opKind = iota // one statement that writes, which undoes itself if it fails
	multi                // several statements: under a savepoint
	poll                 // writes nothing
)

// write queues run, waits for its commit and returns what run returned. run
// works on the writer's goroutine; it must be quick and not call the store.
func write[T any](ctx context.Context, db *DB, kind opKind, run func(*writer) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	// On the heap of its own, and read only after the commit: a caller that
	// gives up leaves it to the writer.
	res := new(T)
	o := &op{ctx: ctx, kind: kind, done: make(chan struct{})}
	o.run = func(w *writer) (err error) {
		*res, err = run(w)
		return err
	}
	if err := db.enqueue(ctx, o); err != nil {
		return none, err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		return none, fmt.Errorf("store %s: gave up waiting for a write, which may or may not be made: %w", db.path, ctx.Err())
	}
	if o.panicked != nil {
		panic(o.panicked)
	}
	if o.err != nil {
		return none, wrap(db.path, o.err)
	}
	return *res, nil
}

func (db *DB) enqueue(ctx context.Context, o *op) error {
	db.closing.RLock()
	defer db.closing.RUnlock()
	if db.closed {
		return &store.Error{Where: db.path, Kind: ErrClosed}
	}
	select {
	case db.queue <- o:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("store %s: waiting to write: %w", db.path, ctx.Err())
	}
}

// writer owns the writing connection. Its methods run on one goroutine.
type writer struct {
	*conn // nil after a failure, until the next batch connects again
	db    *DB

	connector   driver.Connector
	dataVersion int64
	texts       texts
	appended    bool // events, in this transaction
}

func (w *writer) connect(ctx context.Context) (err error) {
	if w.conn, err = connect(ctx, w.connector); err != nil {
		w.conn = nil
		return err
	}
	w.texts.forget()
	// Takes the write lock once: a file that cannot be written to is refused
	// here, not at the first sign-in.
	if _, err = w.exec("BEGIN IMMEDIATE"); err == nil {
		_, err = w.exec("ROLLBACK")
	}
	if err == nil {
		w.dataVersion, err = w.version()
	}
	if err != nil {
		err = errors.Join(err, w.conn.close())
		w.conn = nil
	}
	return err
}

// loop commits batches until the queue is closed and empty.
func (w *writer) loop() {
	defer close(w.db.stopped)
	batch := make([]*op, 0, maxBatch)
	for o := range w.db.queue {
		batch = append(batch[:0], o)
		// Requests that are ready to run get their turn first and join this
		// batch: fewer commits, each with its cost and its wait for the disk.
		runtime.Gosched()
		for len(batch) < maxBatch {
			select {
			case o, ok := <-w.db.queue:
				if ok {
					batch = append(batch, o)
					continue
				}
			default:
			}
			break
		}
		w.commit(batch)
		for i, o := range batch {
			close(o.done)
			batch[i] = nil
		}
	}
	if w.conn != nil {
		w.conn.close() // every commit has returned: nothing to lose
	}
}

// commit gives every op of the batch its result.
func (w *writer) commit(batch []*op) {
	culprit, err := w.transact(batch)
	switch {
	case err == nil:
	case culprit && len(batch) > 1:
		// One write met a failure that undid the others: each on its own, so
		// that none suffers for its neighbour.
		for i := range batch {
			w.commit(batch[i : i+1])
		}
	default:
		for _, o := range batch {
			o.err = err
		}
	}
}

// transact runs the batch in one transaction. If it returns an error nothing of
// the batch was committed; culprit says that one op brought it about.
func (w *writer) transact(batch []*op) (culprit bool, err error) {
	if w.conn == nil {
		if err := w.connect(context.Background()); err != nil {
			return false, err
		}
		w.changed()
	}
	if onlyPolls(batch) { // not worth the lock that others may want
		if err := w.notice(); err != nil {
			return false, w.failed(err)
		}
		for _, o := range batch {
			o.err = w.runOne(o)
		}
		return false, nil
	}
	if _, err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return false, w.failed(err)
	}
	w.appended = false
	if err := w.notice(); err != nil {
		return false, w.rollback(err)
	}
	for _, o := range batch {
		o.err = w.runOne(o)
		if fatal(o.err) {
			return true, w.rollback(o.err)
		}
	}
	if _, err := w.exec("COMMIT"); err != nil {
		return false, w.rollback(err)
	}
	if w.db.opts.Batch != nil {
		w.db.opts.Batch(len(batch))
	}
	if w.appended && w.db.opts.Notify != nil {
		w.db.opts.Notify()
	}
	return false, nil
}

func onlyPolls(batch []*op) bool {
	for _, o := range batch {
		if o.kind != poll {
			return false
		}
	}
	return true
}

func (w *writer) runOne(o *op) (err error) {
	if err := o.ctx.Err(); err != nil {
		return err // nobody waits any more
	}
	defer func() {
		if o.panicked = recover(); o.panicked != nil {
			err = errors.New("panic")
		}
		if o.kind == multi && !fatal(err) {
			err = w.endSavepoint(err)
		}
	}()
	if o.kind == multi {
		if _, err := w.exec("SAVEPOINT op"); err != nil {
			return err
		}
	}
	return o.run(w)
}

// endSavepoint keeps or undoes what an op did. Only single ops store texts, so
// what w.texts remembers is never undone here.
func (w *writer) endSavepoint(err error) error {
	if err != nil {
		if _, e := w.exec("ROLLBACK TO op"); e != nil {
			return e
		}
	}
	if _, e := w.exec("RELEASE op"); e != nil {
		return e
	}
	return err
}

// rollback ends a failed transaction; the error is that of the failure.
func (w *writer) rollback(err error) error {
	w.texts.forget()
	// SQLite has rolled some failures back itself and then refuses this. If
	// the transaction is still there after it, the next BEGIN fails and the
	// connection is replaced.
	_, _ = w.exec("ROLLBACK")
	return w.failed(err)
}

// failed drops the connection after a failure that may lie with it.
func (w *writer) failed(err error) error {
	if k := kindOf(err); err != nil && k != ErrBusy && k != ErrFull {
		w.conn.close() // its error would only hide the first one
		w.conn = nil
	}
	return err
}

func (w *writer) version() (v int64, err error) {
	_, err = w.one("PRAGMA data_version", nil, func(r *row) { v = r.int() })
	return v, err
}

// notice learns whether another process has written. Inside a transaction,
// none can until its end.
func (w *writer) notice() error {
	v, err := w.version()
	if err == nil && v != w.dataVersion {
		w.dataVersion = v
		w.changed()
	}
	return err
}

func (w *writer) changed() {
	w.texts.forget()
	w.db.elsewhere.Add(1)
	if w.db.opts.Elsewhere != nil {
		w.db.opts.Elsewhere()
	}
	if w.db.opts.Notify != nil {
		w.db.opts.Notify()
	}
}

// ChangedElsewhere returns a number that is greater than before if another
// process has written since the last call. It costs microseconds, but waits for
// the commit that is under way.
func (db *DB) ChangedElsewhere(ctx context.Context) (uint64, error) {
	return write(ctx, db, poll, func(*writer) (uint64, error) { return db.elsewhere.Load(), nil })
}
