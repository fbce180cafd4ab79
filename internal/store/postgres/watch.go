package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// channel is what nodes notify each other on.
const channel = "tacet"

// watcher learns what other nodes have committed, and tells them what this one
// has. Notifications only make it look at the counters sooner.
type watcher struct {
	db      *DB
	cancel  context.CancelFunc
	running sync.WaitGroup
	tell    chan struct{}
}

// listenAt is where to listen, nil if there is no such place.
func (db *DB) listenAt(base *pgx.ConnConfig, listen *pgxpool.Config) *pgx.ConnConfig {
	hears := "by notifications from database-listen-url"
	at := base
	switch {
	case listen != nil:
		at = listen.ConnConfig
	case db.pooled.Load():
		at, hears = nil, "by polling every "+db.opts.Poll.String()+"; name the database itself in database-listen-url, and they hear at once"
	}
	if db.pooled.Load() {
		db.opts.Logger.Info("there is a pooler before the database: parameters go with each transaction, and nodes hear of each other "+hears, "database", db.where)
	}
	return at
}

// startWatcher listens where cfg says; nil: polling has to do.
func startWatcher(db *DB, cfg *pgx.ConnConfig) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{db: db, cancel: cancel, tell: make(chan struct{}, 1)}
	w.running.Go(func() { w.listen(ctx, cfg) })
	w.running.Go(func() { w.notify(ctx) })
	return w
}

func (w *watcher) stop() {
	w.cancel()
	w.running.Wait()
}

// committed is called after this node has appended events up to number last.
func (w *watcher) committed(last int64) {
	w.db.seen.Store(last)
	if w.db.opts.Notify != nil {
		w.db.opts.Notify()
	}
	w.wakeOthers()
}

func (w *watcher) wakeOthers() {
	select {
	case w.tell <- struct{}{}:
	default: // it is about to be told
	}
}

// notify wakes other nodes, not more often than the server responds. It is sent
// after the commit and not with it: a database without NOTIFY would refuse the
// whole transaction, and PostgreSQL lets no two transactions that notify commit
// at once. If it gets lost, others find out when they next look.
func (w *watcher) notify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.tell:
		}
		bound, cancel := context.WithTimeout(ctx, w.db.opts.Timeout)
		_, _ = w.db.pool.Exec(bound, "SELECT pg_notify($1, '')", channel)
		cancel()
	}
}

// listen looks at the counters whenever there was a notification, and from time
// to time, until ctx is done.
func (w *watcher) listen(ctx context.Context, cfg *pgx.ConnConfig) {
	for ctx.Err() == nil {
		var conn *pgx.Conn
		if cfg != nil {
			var err error
			if conn, err = w.connect(ctx, cfg); errors.Is(err, errPooled) {
				w.db.opts.Logger.Warn("database-listen-url, or database-url if there is none, leads to a pooler, which carries no notifications: "+
					"nodes hear of each other by polling", "every", w.db.opts.Poll)
				cfg = nil
			}
		}
		for ctx.Err() == nil {
			w.look(ctx)
			if conn == nil {
				sleep(ctx, w.db.opts.Poll)
				break
			}
			waiting, cancel := context.WithTimeout(ctx, w.db.opts.Poll)
			_, err := conn.WaitForNotification(waiting)
			quiet := waiting.Err() != nil
			cancel()
			if err != nil && (!quiet || conn.IsClosed()) {
				break // connect again
			}
		}
		if conn != nil {
			hangUp(ctx, conn)
		}
	}
}

func hangUp(ctx context.Context, conn *pgx.Conn) {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(bound)
}

// connect returns a connection that listens.
func (w *watcher) connect(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	bound, cancel := context.WithTimeout(ctx, w.db.opts.Timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(bound, cfg.Copy())
	if err != nil {
		return nil, err
	}
	s, err := ask(bound, conn)
	if err == nil && s.pooled {
		err = errPooled
	}
	if err == nil {
		_, err = conn.Exec(bound, "LISTEN "+channel)
	}
	if err != nil {
		hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// look compares the counters with what is known. They may also have gone back,
// if the server has lost commits or a backup was restored.
// A change of this node that is committed, and whose call has not returned, is
// taken for one of others: caches are dropped once too often, which does no harm.
func (w *watcher) look(ctx context.Context) {
	c, err := w.db.counters(ctx)
	if err != nil {
		return // calls meet the same failure and report it
	}
	if v := c["directory"]; w.db.directory.Swap(v) != v {
		w.db.elsewhere()
	}
	if n := c["events"]; w.db.seen.Swap(n) != n && w.db.opts.Notify != nil {
		w.db.opts.Notify()
	}
}

func (db *DB) counters(ctx context.Context) (map[string]int64, error) {
	return read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) (map[string]int64, error) {
		rows, err := c.Query(ctx, "SELECT name, value FROM tacet_counters")
		if err != nil {
			return nil, err
		}
		values := map[string]int64{}
		var name string
		var value int64
		_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { values[name] = value; return nil })
		return values, err
	})
}

// sawDirectory is called with the version of users and roles that a statement
// has seen, before its result is used.
func (db *DB) sawDirectory(version int64) {
	for {
		known := db.directory.Load()
		if version <= known {
			return
		}
		if db.directory.CompareAndSwap(known, version) {
			db.elsewhere()
			return
		}
	}
}

// changedDirectory is called after this node has made a version.
func (db *DB) changedDirectory(version int64) {
	// If others have made versions in between, these have still to be noticed.
	db.directory.CompareAndSwap(version-1, version)
	db.watch.wakeOthers()
}

func (db *DB) elsewhere() {
	if db.opts.Elsewhere != nil {
		db.opts.Elsewhere()
	}
}
