package postgres

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// sweep is what this node remembers between the bites of a walk.
type sweep struct {
	mu      sync.Mutex
	at      rotation.SessionID // where the next bite must begin
	texts   map[int64]bool     // candidates that were not seen in use; nil: no walk
	textsAt int64              // where the next walk looks for candidates; from the least number on
	unused  time.Duration      // textUnused, but for tests
}

const (
	// sweepLease is how long a node that has begun a walk keeps others from it
	// without another bite.
	sweepLease = time.Minute
	// sweepTexts is how many texts one walk looks after.
	sweepTexts = 1000
	// attemptsKept is how long marks are kept: longer than any call lasts.
	attemptsKept = time.Hour
)

// Sweep is session.Store. One node at a time walks through the table; for the
// others it is at its end at once. A lease in a table and not an advisory lock,
// which belongs to a connection: it would be lost with it, and lent to others
// by a pooler. A walk that has come to the end also removes marks and texts
// that nobody needs any more.
func (st sessions) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (next rotation.SessionID, deleted int, err error) {
	db := st.db
	db.sweep.mu.Lock()
	defer db.sweep.mu.Unlock()
	limit = max(limit, 1) // a walk that never moves would never end
	err = db.repeat(ctx, db.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		next = rotation.SessionID{}
		ours, err := db.lease(ctx, c, sweepLease)
		if err != nil || !ours {
			return err
		}
		if err := db.beginBite(ctx, c, from); err != nil {
			return err
		}
		found, agents, err := db.bite(ctx, c, from, limit)
		if err != nil {
			return err
		}
		gone := found[:0:0]
		for _, s := range found {
			if dead(s) {
				gone = append(gone, s)
			}
		}
		n, err := db.remove(ctx, c, gone)
		deleted += n
		if err != nil {
			return err
		}
		if len(found) == limit {
			next = found[limit-1].ID
		}
		return db.endBite(ctx, c, next, agents)
	})
	return next, deleted, err
}

// lease takes the right to sweep, or keeps it, for the time given.
func (db *DB) lease(ctx context.Context, c *pgxpool.Conn, d time.Duration) (bool, error) {
	tag, err := c.Exec(ctx, "UPDATE tacet_leases SET holder = $1, until = "+nowMillis+" + $2::bigint WHERE name = 'sweep' AND (holder = $1 OR until < "+nowMillis+")",
		db.id, d.Milliseconds())
	return tag.RowsAffected() == 1, err
}

// bite reads the next sessions, and which texts they refer to.
func (db *DB) bite(ctx context.Context, c *pgxpool.Conn, from rotation.SessionID, limit int) ([]session.Session, []int64, error) {
	found, err := db.query(ctx, c, "WHERE s.id > $1 ORDER BY s.id LIMIT $2", uuid(from), limit)
	if err != nil || len(db.sweep.texts) == 0 {
		return found, nil, err
	}
	ids := make([]pgtype.UUID, len(found))
	for i, s := range found {
		ids[i] = uuid(s.ID)
	}
	rows, err := c.Query(ctx, "SELECT DISTINCT agent FROM tacet_sessions WHERE id = ANY ($1)", ids)
	if err != nil {
		return nil, nil, err
	}
	agents, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	return found, agents, err
}

// remove deletes sessions that were found dead, if they are as they were found:
// it locks nothing that it does not delete.
func (db *DB) remove(ctx context.Context, c *pgxpool.Conn, dead []session.Session) (int, error) {
	n := len(dead)
	if n == 0 {
		return 0, nil
	}
	ids, generations, tags, ended := make([]pgtype.UUID, n), make([]int32, n), make([]int64, n), make([]string, n)
	for i, s := range dead {
		ids[i], generations[i], tags[i], ended[i] = uuid(s.ID), int32(s.State.Head.Generation), number(s.State.Head.Tag), endText(s)
	}
	tag, err := c.Exec(ctx, `DELETE FROM tacet_sessions s USING unnest($1::uuid[], $2::integer[], $3::bigint[], $4::text[]) AS d (id, generation, tag, ended)
		WHERE s.id = d.id AND s.generation = d.generation AND s.tag = d.tag AND s.ended = d.ended`, ids, generations, tags, ended)
	return int(tag.RowsAffected()), err
}

// beginBite starts a walk, or goes on with the one that has come to from.
func (db *DB) beginBite(ctx context.Context, c *pgxpool.Conn, from rotation.SessionID) error {
	w := &db.sweep
	if from != (rotation.SessionID{}) {
		if w.at != from { // it starts in the middle
			w.texts = nil
		}
		return nil
	}
	w.texts = nil
	ids, err := db.textCandidates(ctx, c, w.textsAt, sweepTexts)
	if err != nil {
		return err
	}
	w.texts = map[int64]bool{}
	for _, id := range ids {
		w.texts[id] = true
	}
	w.textsAt = math.MinInt64
	if len(ids) == sweepTexts {
		w.textsAt = ids[sweepTexts-1]
	}
	return nil
}

// endBite ends a walk that has come to the end of the table.
func (db *DB) endBite(ctx context.Context, c *pgxpool.Conn, next rotation.SessionID, agents []int64) error {
	w := &db.sweep
	for _, id := range agents {
		delete(w.texts, id)
	}
	w.at = next
	if next != (rotation.SessionID{}) {
		return nil
	}
	ids := make([]int64, 0, len(w.texts))
	for id := range w.texts {
		ids = append(ids, id)
	}
	w.texts = nil
	if err := db.removeTexts(ctx, c, ids); err != nil {
		return err
	}
	if _, err := c.Exec(ctx, "DELETE FROM tacet_attempts WHERE at < "+nowMillis+" - $1::bigint", attemptsKept.Milliseconds()); err != nil {
		return err
	}
	_, err := db.lease(ctx, c, -time.Millisecond) // others need not wait for its end
	return err
}
