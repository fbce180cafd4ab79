package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/events"
)

// Events returns the log of events. Their numbers grow in the order of commits,
// on all nodes, so a reader that has seen a number has seen all before it.
func (db *DB) Events() events.Log { return log{db} }

type log struct{ db *DB }

// commit is transact for writes that append events: those that f returns.
func (db *DB) commit(ctx context.Context, f func(context.Context, pgx.Tx) ([]events.Event, error)) error {
	return db.commitFor(ctx, db.opts.Timeout, f)
}

func (db *DB) commitFor(ctx context.Context, limit time.Duration, f func(context.Context, pgx.Tx) ([]events.Event, error)) error {
	var last int64
	var ev []events.Event
	err := db.transactFor(ctx, limit, func(ctx context.Context, tx pgx.Tx) (err error) {
		ev, err = f(ctx, tx)
		if err == nil && len(ev) > 0 {
			last, err = appendEvents(ctx, tx, ev)
		}
		return err
	})
	if err == nil && last > 0 {
		db.watch.committed(last)
		db.committed(ev)
	}
	return err
}

// appendEvents must come last in a transaction: it makes others that append
// wait for the commit.
func appendEvents(ctx context.Context, tx pgx.Tx, ev []events.Event) (last int64, err error) {
	err = tx.QueryRow(ctx, "UPDATE tacet_counters SET value = value + $1 WHERE name = 'events' RETURNING value", len(ev)).Scan(&last)
	if err != nil {
		return 0, err
	}
	numbered := slices.Clone(ev)
	for i := range numbered {
		numbered[i].Seq = last - int64(len(ev)-1-i)
	}
	return last, insertEvents(ctx, tx, numbered)
}

// insertEvents adds events that have their numbers.
func insertEvents(ctx context.Context, tx pgx.Tx, ev []events.Event) error {
	n := len(ev)
	seq, at, data := make([]int64, n), make([]int64, n), make([][]byte, n)
	kind, user, sess := make([]string, n), make([]string, n), make([]string, n)
	for i, e := range ev {
		seq[i], at[i], data[i] = e.Seq, millis(e.At), append([]byte{}, e.Data...)
		kind[i], user[i], sess[i] = e.Kind, e.UserID, e.SessionID
	}
	_, err := tx.Exec(ctx, `INSERT INTO tacet_events (seq, at, kind, user_id, session_id, data)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[])`,
		seq, at, kind, user, sess, data)
	return err
}

// Since is events.Log.
func (l log) Since(ctx context.Context, seq int64, limit int) ([]events.Event, error) {
	return read(ctx, l.db, func(ctx context.Context, c *pgxpool.Conn) ([]events.Event, error) {
		rows, err := c.Query(ctx, "SELECT seq, at, kind, user_id, session_id, data FROM tacet_events WHERE seq > $1 ORDER BY seq LIMIT $2",
			seq, max(limit, 0))
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e events.Event, err error) {
			var at int64
			err = row.Scan(&e.Seq, &at, &e.Kind, &e.UserID, &e.SessionID, &e.Data)
			e.At = instant(at)
			return e, err
		})
	})
}

// Bounds is events.Log. One statement sees one state.
func (l log) Bounds(ctx context.Context) (first, last int64, err error) {
	b, err := read(ctx, l.db, func(ctx context.Context, c *pgxpool.Conn) (b [2]int64, err error) {
		err = c.QueryRow(ctx, `SELECT COALESCE((SELECT MIN(seq) FROM tacet_events), -1), value
			FROM tacet_counters WHERE name = 'events'`).Scan(&b[0], &b[1])
		return b, err
	})
	if b[0] < 0 && b[1] > 0 {
		b[0] = b[1] + 1
	}
	return max(b[0], 0), b[1], err
}

// Prune is events.Log.
func (l log) Prune(ctx context.Context, before time.Time, limit int) (deleted int, err error) {
	err = l.db.repeat(ctx, l.db.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		tag, err := c.Exec(ctx, `WITH oldest AS (SELECT seq, at FROM tacet_events ORDER BY seq LIMIT $1)
			DELETE FROM tacet_events WHERE seq IN (SELECT seq FROM oldest
				WHERE seq < COALESCE((SELECT MIN(seq) FROM oldest WHERE at >= $2), 9223372036854775807))`,
			max(limit, 0), millis(before))
		deleted = int(tag.RowsAffected())
		return err
	})
	return deleted, err
}
