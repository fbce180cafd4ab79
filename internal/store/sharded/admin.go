package sharded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres"
)

// Status is what can be said about one shard.
type Status struct {
	postgres.Shard
	Where string // empty: this node has no database for it
	Holds bool   // sessions, also ended ones that were not swept yet
	Err   error  // it does not answer
}

// Statuses are all shards that there have been, the home first.
func (st *Store) Statuses(ctx context.Context) ([]Status, error) {
	list, err := st.Shards(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Status, len(list))
	for i, r := range list {
		out[i].Shard = r
		s := st.table.Load().find(r.Number)
		if s == nil || r.State == postgres.ShardRemoved {
			continue
		}
		if s.db != nil {
			out[i].Where = s.db.Where()
		}
		out[i].Holds, out[i].Err = call(s, func(db *postgres.DB) (bool, error) { return db.Holds(ctx) })
	}
	return out, nil
}

// drainTime is how long a shard has to be draining before it can be found empty:
// longer than any node takes to learn of it.
const drainTime = time.Minute

// OpenShard lets new sessions go to a shard: a new one, once every node knows it,
// or one that was draining.
func (st *Store) OpenShard(ctx context.Context, number int) error {
	return st.SetShardState(ctx, number, postgres.ShardOpen, postgres.ShardNew, postgres.ShardDraining)
}

// Drain keeps new sessions away from a shard. Those that are there go on until
// they are over.
func (st *Store) Drain(ctx context.Context, number int) error {
	list, err := st.Shards(ctx)
	if err != nil {
		return err
	}
	open := 0
	for _, s := range list {
		if s.State == postgres.ShardOpen && s.Number != number {
			open++
		}
	}
	if open == 0 {
		return fmt.Errorf("shard %d is the only one that takes new sessions: open another one first", number)
	}
	return st.SetShardState(ctx, number, postgres.ShardDraining, postgres.ShardNew, postgres.ShardOpen)
}

// Remove ends the use of a shard that is drained and empty, and whose events have
// all been relayed.
func (st *Store) Remove(ctx context.Context, number int) error {
	if number == postgres.HomeShard {
		return errors.New("shard 0 is the home: it can be drained, and not be removed")
	}
	list, err := st.Shards(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Number == number && r.State == postgres.ShardDraining && time.Duration(r.Since)*time.Millisecond < drainTime {
			return fmt.Errorf("shard %d is being drained for less than %s: try again after that, when every node knows", number, drainTime)
		}
	}
	s := st.table.Load().find(number)
	if s == nil || s.db == nil {
		return fmt.Errorf("shard %d cannot be looked at: give its shard-url; or, if it is lost for good, say so", number)
	}
	holds, err := s.db.Holds(ctx)
	switch {
	case err != nil:
		return err
	case holds:
		return fmt.Errorf("shard %d still has sessions: drain it (tacet shard drain %d) and try again when they are over", number, number)
	}
	r := relay{st: st, s: s}
	if err := r.run(ctx); err != nil {
		return err
	}
	return st.SetShardState(ctx, number, postgres.ShardRemoved, postgres.ShardDraining)
}

// GiveUp ends the use of a shard that is lost for good, with its sessions. home is
// the URL of the home; no shard has to answer.
func GiveUp(ctx context.Context, home string, opts postgres.Options, number int) (err error) {
	db, err := postgres.Open(ctx, home, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if number == postgres.HomeShard {
		return errors.New("shard 0 is the home: it cannot be given up")
	}
	return db.SetShardState(ctx, number, postgres.ShardRemoved, postgres.ShardNew, postgres.ShardOpen, postgres.ShardDraining)
}
