package sqlite

import (
	"context"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
)

// Keys returns the store of the key ring.
func (db *DB) Keys() keys.Store { return keyRing{db} }

type keyRing struct{ db *DB }

func (st keyRing) Load(ctx context.Context) ([]keys.Key, int64, error) {
	var version int64
	ring, err := read(ctx, st.db, func(c *conn) (ring []keys.Key, err error) {
		// One statement sees one state; the version comes with every row, also
		// with the one that stands for an empty ring.
		err = c.query(context.Background(), `SELECT v.value, k.id, k.use, k.algorithm, k.created_at, k.active_at, k.retired_at, k.sealed
			FROM counters v LEFT JOIN keys k WHERE v.name = 'key_ring' ORDER BY k.position`, nil, func(r *row) error {
			version = r.int()
			if r.cols[0] == nil {
				return nil
			}
			k := keys.Key{ID: uint32(r.int()), Use: keys.Use(r.text()), Algorithm: r.text(),
				CreatedAt: instant(r.int()), ActiveAt: instant(r.int())}
			k.RetiredAt, _ = r.instantOrNull()
			k.Sealed = r.blob()
			ring = append(ring, k)
			return nil
		})
		return ring, err
	})
	return ring, version, err
}

func (st keyRing) Replace(ctx context.Context, version int64, ring []keys.Key, ev ...events.Event) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		n, err := w.exec("UPDATE counters SET value = value + 1 WHERE name = 'key_ring' AND value = ?", version)
		if err == nil && n == 0 {
			err = keys.ErrConflict
		}
		if err == nil {
			_, err = w.exec("DELETE FROM keys")
		}
		for i, k := range ring {
			if err != nil {
				break
			}
			_, err = w.exec(`INSERT INTO keys (position, id, use, algorithm, created_at, active_at, retired_at, sealed)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, int64(i), int64(k.ID), string(k.Use), k.Algorithm,
				millis(k.CreatedAt), millis(k.ActiveAt), orNull(k.RetiredAt), append([]byte{}, k.Sealed...))
		}
		if err == nil {
			err = w.append(ev)
		}
		return struct{}{}, err
	})
	return err
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return millis(t)
}
