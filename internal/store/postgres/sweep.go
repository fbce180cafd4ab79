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
		gone := map[rotation.SessionID]session.Session{}
		for _, s := range found {
			if dead(s) {
				gone[s.ID] = s
			}
		}
		n, err := db.remove(ctx, c, gone, dead)
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

// remove deletes sessions that were found dead, and are so when nobody can
// change them any more.
func (db *DB) remove(ctx context.Context, c *pgxpool.Conn, gone map[rotation.SessionID]session.Session, dead func(session.Session) bool) (int, error) {
	if len(gone) == 0 {
		return 0, nil
	}
	ids := make([]pgtype.UUID, 0, len(gone))
	for id := range gone {
		ids = append(ids, uuid(id))
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback(ctx) // does nothing after a commit
	list, err := db.query(ctx, tx, "WHERE s.id = ANY ($1) ORDER BY s.id FOR UPDATE OF s", ids)
	if err != nil {
		return 0, err
	}
	ids = ids[:0]
	for _, s := range list {
		if s == gone[s.ID] || dead(s) {
			ids = append(ids, uuid(s.ID))
		}
	}
	if _, err := tx.Exec(ctx, "DELETE FROM tacet_sessions WHERE id = ANY ($1)", ids); err != nil {
		return 0, err
	}
	return len(ids), tx.Commit(ctx)
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
