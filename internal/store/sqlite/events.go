package sqlite

import (
	"context"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
)

// log reads and prunes what the other stores have appended.
type log struct{ db *DB }

// Events returns the log of events. Their numbers grow in the order of commits,
// also across processes, so a reader that has seen a number has seen all before.
func (db *DB) Events() events.Log { return log{db} }

// append adds events within the transaction of what they tell.
func (w *writer) append(ev []events.Event) error {
	for _, e := range ev {
		data := e.Data
		if data == nil {
			data = []byte{}
		}
		_, err := w.exec("INSERT INTO events (at, kind, user_id, session_id, data) VALUES (?, ?, ?, ?, ?)",
			millis(e.At), e.Kind, e.UserID, e.SessionID, data)
		if err != nil {
			return err
		}
		w.appended = true
	}
	return nil
}

// Since returns the events with numbers greater than seq, in order; at most limit.
func (l log) Since(ctx context.Context, seq int64, limit int) ([]events.Event, error) {
	return read(ctx, l.db, func(c *conn) (list []events.Event, err error) {
		err = c.query(context.Background(), "SELECT seq, at, kind, user_id, session_id, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
			[]any{seq, int64(max(limit, 0))}, func(r *row) error {
				list = append(list, events.Event{Seq: r.int(), At: instant(r.int()), Kind: r.text(),
					UserID: r.text(), SessionID: r.text(), Data: r.blob()})
				return nil
			})
		return list, err
	})
}

// Bounds returns the number of the oldest event that is kept and that of the
// newest ever given, 0 and 0 for a new database. If all events were pruned,
// first is last+1.
func (l log) Bounds(ctx context.Context) (first, last int64, err error) {
	b, err := read(ctx, l.db, func(c *conn) (b [2]int64, err error) {
		_, err = c.one(`SELECT COALESCE((SELECT MIN(seq) FROM events), -1),
			COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)`, nil,
			func(r *row) { b[0], b[1] = r.int(), r.int() })
		return b, err
	})
	if b[0] < 0 && b[1] > 0 {
		b[0] = b[1] + 1
	}
	return max(b[0], 0), b[1], err
}

// Prune deletes events that happened before the given time, oldest numbers
// first; at most limit. It stops at the first event that is younger.
func (l log) Prune(ctx context.Context, before time.Time, limit int) (deleted int, err error) {
	n, err := write(ctx, l.db, single, func(w *writer) (int64, error) {
		return w.exec(`WITH oldest AS (SELECT seq, at FROM events ORDER BY seq LIMIT ?)
			DELETE FROM events WHERE seq IN (SELECT seq FROM oldest
				WHERE seq < COALESCE((SELECT MIN(seq) FROM oldest WHERE at >= ?), 9223372036854775807))`,
			int64(max(limit, 0)), millis(before))
	})
	return int(n), err
}
