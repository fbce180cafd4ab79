package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
)

// Keys returns the store of the key ring, which all nodes share.
func (db *DB) Keys() keys.Store { return keyRing{db} }

type keyRing struct{ db *DB }

func (st keyRing) Load(ctx context.Context) ([]keys.Key, int64, error) {
	var version int64
	ring, err := read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]keys.Key, error) {
		// One statement sees one state; the version comes with every row, also
		// with the one that stands for an empty ring.
		rows, err := c.Query(ctx, `SELECT v.value, k.id, COALESCE(k.use, ''), COALESCE(k.algorithm, ''), COALESCE(k.created_at, 0),
			COALESCE(k.active_at, 0), k.retired_at, k.sealed
			FROM tacet_counters v LEFT JOIN tacet_keys k ON true WHERE v.name = 'key_ring' ORDER BY k.position`)
		if err != nil {
			return nil, err
		}
		var ring []keys.Key
		var id, retired *int64
		var k keys.Key
		var created, active int64
		_, err = pgx.ForEachRow(rows, []any{&version, &id, &k.Use, &k.Algorithm, &created, &active, &retired, &k.Sealed}, func() error {
			if id == nil {
				return nil
			}
			k.ID, k.CreatedAt, k.ActiveAt, k.RetiredAt = uint32(*id), instant(created), instant(active), time.Time{}
			if retired != nil {
				k.RetiredAt = instant(*retired)
			}
			ring = append(ring, k)
			k.Sealed = nil
			return nil
		})
		return ring, err
	})
	return ring, version, err
}

func (st keyRing) Replace(ctx context.Context, version int64, ring []keys.Key, ev ...events.Event) error {
	return st.db.commit(ctx, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, "UPDATE tacet_counters SET value = value + 1 WHERE name = 'key_ring' AND value = $1", version)
		if err == nil && tag.RowsAffected() == 0 {
			err = finally(keys.ErrConflict)
		}
		if err != nil {
			return nil, err
		}
		return ev, insertRing(ctx, tx, ring)
	})
}

// insertRing puts ring in the place of the stored one.
func insertRing(ctx context.Context, tx pgx.Tx, ring []keys.Key) error {
	if _, err := tx.Exec(ctx, "DELETE FROM tacet_keys"); err != nil {
		return err
	}
	for i, k := range ring {
		var retired *int64
		if !k.RetiredAt.IsZero() {
			retired = new(millis(k.RetiredAt))
		}
		_, err := tx.Exec(ctx, `INSERT INTO tacet_keys (position, id, use, algorithm, created_at, active_at, retired_at, sealed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, i, int64(k.ID), string(k.Use), k.Algorithm,
			millis(k.CreatedAt), millis(k.ActiveAt), retired, append([]byte{}, k.Sealed...))
		if err != nil {
			return err
		}
	}
	return nil
}
