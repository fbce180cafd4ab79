package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/store"
)

// attempts bounds how often a call goes to the server. A server that has just
// been restarted, or a standby that has just become the primary, is reached at
// the second; more are for transactions that others made fail.
const attempts = 8

// connects bounds it while no connection can be made: a server that is not there
// will not be there in half a second either, and callers have other things to do.
const connects = 3

// errNoConnection is wrapped when all connections of this node stayed in use.
var errNoConnection = errors.New("every connection of this node is in use")

// repeat runs f until it succeeds, says that repeating is of no use, or the
// call's time is over. f must be harmless to repeat after an unknown outcome.
//
// Waiting for a connection ends with the caller's context, but a statement that
// was sent is waited for (up to Options.Timeout) even if the caller has gone: to
// break it off would cost the connection, and clients go away all the time.
func (db *DB) repeat(ctx context.Context, pool *pgxpool.Pool, f func(context.Context, *pgxpool.Conn) error) error {
	return db.repeatFor(ctx, db.opts.Timeout, pool, f)
}

func (db *DB) repeatFor(ctx context.Context, limit time.Duration, pool *pgxpool.Pool, f func(context.Context, *pgxpool.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if db.closed.Load() && pool == db.pool { // renewals that are queued are still made
		return &store.Error{Where: db.where, Kind: ErrClosed}
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	waiting, cancelWaiting := context.WithTimeout(ctx, db.opts.Timeout)
	defer cancelWaiting()
	var last error // of an attempt that did not just run out of time
	for n := 1; ; n++ {
		err := once(bound, waiting, pool, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return fmt.Errorf("store %s: gave up waiting: %w", db.where, ctx.Err())
		}
		if outcomeOf(err) == refused || n >= attempts || n >= connects && errors.As(err, new(*pgconn.ConnectError)) || !pause(waiting, n) {
			if bound.Err() != nil && last != nil && state(err) == "" {
				err = last // says more
			}
			return db.wrap(err)
		}
		last = err
		if misses(err) { // greet did not notice it
			db.foundPooler()
		}
		if state(err) == "" && !errors.Is(err, errMoved) || state(err) == "25006" || misses(err) {
			pool.Reset() // the other connections have likely gone the same way
		}
	}
}

func once(bound, waiting context.Context, pool *pgxpool.Pool, f func(context.Context, *pgxpool.Conn) error) error {
	c, err := pool.Acquire(waiting)
	if err != nil {
		if waiting.Err() != nil && pool.Stat().AcquiredConns() == pool.Config().MaxConns {
			return fmt.Errorf("%w: %w", errNoConnection, err)
		}
		return err
	}
	defer c.Release()
	return f(bound, c)
}

// pause waits before the next attempt, longer each time, by a random share so
// that those who collided do not do so again. It is false if time is up.
func pause(ctx context.Context, n int) bool {
	d := time.Millisecond << min(2*n, 8) // 4 ms … 256 ms
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// read runs f, which only reads.
func read[T any](ctx context.Context, db *DB, f func(context.Context, *pgxpool.Conn) (T, error)) (v T, err error) {
	err = db.repeat(ctx, db.pool, func(ctx context.Context, c *pgxpool.Conn) (err error) {
		v, err = f(ctx, c)
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}

// transact runs f in a transaction that is committed exactly once if transact
// returns nil, whatever became of connections meanwhile. f may run several
// times; its errors of its own must be marked with finally.
func (db *DB) transact(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	return db.transactFor(ctx, db.opts.Timeout, f)
}

func (db *DB) transactFor(ctx context.Context, limit time.Duration, f func(context.Context, pgx.Tx) error) error {
	mark := newUUID()
	return db.repeatFor(ctx, limit, db.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		tx, err := db.begin(ctx, c, limit)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx) // does nothing after a commit
		// Waits for an earlier attempt that is still under way to end.
		tag, err := tx.Exec(ctx, "INSERT INTO tacet_attempts (id, at) VALUES ($1, "+nowMillis+") ON CONFLICT (id) DO NOTHING", mark)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return nil // it was committed, and the response lost
		}
		if err := f(ctx, tx); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
}

// nowMillis is the database's clock.
const nowMillis = "(EXTRACT(EPOCH FROM now()) * 1000)::bigint"
