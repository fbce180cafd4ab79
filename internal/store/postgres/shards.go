package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/events"
)

// Several databases that work together (internal/store/sharded): what each of
// them, and the home for all, keeps about it.

// ID names a database.
type ID [16]byte

// Identity says which of several databases this one is.
type Identity struct {
	ID      ID
	Cluster ID  // the home's ID
	Shard   int // HomeShard for the home, joining before it has its number
}

const (
	// HomeShard is the number of the home.
	HomeShard = 0
	// MaxShard is the highest number of a shard.
	MaxShard = 1<<12 - 1

	joining = -1
	// shardsSince is the schema without which a program takes sessions that are
	// in shards for gone.
	shardsSince = 4
)

// ShardState is what a shard is used for.
type ShardState string

const (
	ShardNew      ShardState = "new"      // no sessions are started in it before all nodes know it
	ShardOpen     ShardState = "open"     // takes new sessions
	ShardDraining ShardState = "draining" // takes none; those that are there go on
	ShardRemoved  ShardState = "removed"  // is not there any more
)

// Cursor is a place in the log of a shard: the number of an event and what it
// was, which tells it from another that got the number after a backup was
// restored. Zero: the beginning.
type Cursor struct {
	Seq  int64
	Mark int64
}

// Shard is what the home keeps about one of its shards.
type Shard struct {
	Number  int
	ID      ID
	State   ShardState
	Since   int64 // milliseconds for which it has been in that state
	Relayed Cursor
}

// ErrRelayed is returned by Relay if the cursor has moved.
var ErrRelayed = errors.New("store: another node has taken the shard's events over")

// ErrShardState is wrapped by SetShardState if the shard is not in a state from
// which it can be changed like that.
var ErrShardState = errors.New("the shard is in another state")

// Identity is false for a database that works alone.
func (db *DB) Identity(ctx context.Context) (id Identity, ok bool, err error) {
	id, err = read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) (Identity, error) { return identity(ctx, c) })
	if errors.Is(err, pgx.ErrNoRows) {
		return id, false, nil
	}
	return id, err == nil, err
}

func identity(ctx context.Context, q interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}) (Identity, error) {
	var own, cluster pgtype.UUID
	var id Identity
	err := q.QueryRow(ctx, "SELECT id, cluster, shard FROM tacet_database WHERE one = 1").Scan(&own, &cluster, &id.Shard)
	if errors.Is(err, pgx.ErrNoRows) {
		err = finally(err)
	}
	id.ID, id.Cluster = own.Bytes, cluster.Bytes
	return id, err
}

// BecomeHome makes a database that works alone the home of others. One that has
// an identity keeps it.
func (db *DB) BecomeHome(ctx context.Context) (id Identity, err error) {
	fresh := newUUID()
	err = db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO tacet_database (one, id, cluster, shard) VALUES (1, $1, $1, $2) ON CONFLICT DO NOTHING", fresh, HomeShard)
		if err == nil && tag.RowsAffected() == 1 {
			_, err = tx.Exec(ctx, `INSERT INTO tacet_shards (number, id, state, state_at, relayed, mark) VALUES ($1, $2, $3, `+nowMillis+`, 0, 0)
				ON CONFLICT (number) DO UPDATE SET id = excluded.id`, HomeShard, fresh, ShardOpen)
		}
		return err
	})
	if err == nil {
		id, _, err = db.Identity(ctx)
	}
	return id, err
}

// BeginJoin gives a database that works alone an identity without a number. It
// must hold nothing (ErrNotEmpty). One that has an identity keeps it.
func (db *DB) BeginJoin(ctx context.Context, cluster ID) (id Identity, err error) {
	fresh := newUUID()
	err = db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO tacet_database (one, id, cluster, shard) VALUES (1, $1, $2, $3) ON CONFLICT DO NOTHING",
			fresh, pgtype.UUID{Bytes: cluster, Valid: true}, joining)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return db.unused(ctx, tx)
	})
	if err == nil {
		id, _, err = db.Identity(ctx)
	}
	return id, err
}

// EndJoin gives it its number.
func (db *DB) EndJoin(ctx context.Context, number int) error {
	return db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE tacet_database SET shard = $1 WHERE one = 1 AND shard = $2", number, joining)
		return err
	})
}

// AddShard gives a database a number among the shards of this home, or returns
// the one that it has. As long as there are no sessions nobody has to learn of
// it first, and it is open at once. Programs that know of no shards cannot open
// the home from then on.
func (db *DB) AddShard(ctx context.Context, id ID) (number int, err error) {
	err = db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// The first statement makes those who add shards wait for each other.
		_, err := tx.Exec(ctx, "UPDATE tacet_counters SET value = GREATEST(value, $2) WHERE name = $1", compatibleFrom, shardsSince)
		if err != nil {
			return err
		}
		shard := pgtype.UUID{Bytes: id, Valid: true}
		if err = tx.QueryRow(ctx, "SELECT number FROM tacet_shards WHERE id = $1", shard).Scan(&number); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		var used bool
		err = tx.QueryRow(ctx, "SELECT COALESCE(MAX(number), 0) + 1, EXISTS (SELECT 1 FROM tacet_sessions) FROM tacet_shards").Scan(&number, &used)
		if err != nil {
			return err
		}
		if number > MaxShard {
			return finally(fmt.Errorf("store: there have been %d shards already, and there are no more numbers", MaxShard))
		}
		state := ShardOpen
		if used {
			state = ShardNew
		}
		_, err = tx.Exec(ctx, "INSERT INTO tacet_shards (number, id, state, state_at, relayed, mark) VALUES ($1, $2, $3, "+nowMillis+", 0, 0)", number, shard, state)
		return err
	})
	return number, err
}

// Shards are those of this home, itself among them, by number.
func (db *DB) Shards(ctx context.Context) ([]Shard, error) {
	return read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) ([]Shard, error) {
		rows, err := c.Query(ctx, "SELECT number, id, state, "+nowMillis+" - state_at, relayed, mark FROM tacet_shards ORDER BY number")
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Shard, err error) {
			var id pgtype.UUID
			err = row.Scan(&s.Number, &id, &s.State, &s.Since, &s.Relayed.Seq, &s.Relayed.Mark)
			s.ID = id.Bytes
			return s, err
		})
	})
}

// SetShardState changes what a shard is used for, if it is in one of the states
// from, or to already.
func (db *DB) SetShardState(ctx context.Context, number int, to ShardState, from ...ShardState) error {
	states := make([]string, len(from))
	for i, s := range from {
		states[i] = string(s)
	}
	return db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE tacet_shards SET state = $2, state_at = "+nowMillis+" WHERE number = $1 AND state = ANY ($3)", number, to, states)
		if err != nil || tag.RowsAffected() == 1 {
			return err
		}
		var is ShardState
		err = tx.QueryRow(ctx, "SELECT state FROM tacet_shards WHERE number = $1", number).Scan(&is)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return finally(fmt.Errorf("store: there is no shard %d", number))
		case err != nil || is == to:
			return err
		}
		return finally(fmt.Errorf("store: shard %d is %s and cannot become %s: %w", number, is, to, ErrShardState))
	})
}

// Holds reports whether there are sessions in this database, also ended ones.
func (db *DB) Holds(ctx context.Context) (bool, error) {
	return read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) (holds bool, err error) {
		err = c.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM tacet_sessions)").Scan(&holds)
		return holds, err
	})
}

// Relayed is how far the events of a shard have been taken over.
func (db *DB) Relayed(ctx context.Context, number int) (Cursor, error) {
	return read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) (at Cursor, err error) {
		err = c.QueryRow(ctx, "SELECT relayed, mark FROM tacet_shards WHERE number = $1", number).Scan(&at.Seq, &at.Mark)
		return at, err
	})
}

// Relay takes events of a shard over and moves the cursor, in one transaction:
// whatever becomes of those who try, each event gets here once. It returns
// ErrRelayed if the cursor is not at from any more.
func (db *DB) Relay(ctx context.Context, number int, from, to Cursor, ev []events.Event) error {
	return db.commit(ctx, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, "UPDATE tacet_shards SET relayed = $4, mark = $5 WHERE number = $1 AND relayed = $2 AND mark = $3",
			number, from.Seq, from.Mark, to.Seq, to.Mark)
		if err == nil && tag.RowsAffected() == 0 {
			err = finally(ErrRelayed)
		}
		return ev, err
	})
}

// Forget deletes the events before the number given, which have been relayed.
func (db *DB) Forget(ctx context.Context, before int64) error {
	return db.repeat(ctx, db.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, "DELETE FROM tacet_events WHERE seq < $1", before)
		return err
	})
}
