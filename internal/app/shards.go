package app

import (
	"context"
	"errors"

	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/sharded"
)

// Shard is what can be said about one of several databases with sessions.
type Shard = sharded.Status

// WithShards opens the databases of a configuration for a tool, and closes them
// again.
func WithShards(ctx context.Context, c Config, f func(*sharded.Store) error) (err error) {
	st, err := sharded.Open(ctx, c.DatabaseURL, c.ShardURLs, sharded.Options{Options: postgres.Options{Conns: postgres.MinConns, Timeout: c.DatabaseTimeout}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return f(st)
}

// GiveUpShard takes a shard that is lost for good out of use; its sessions are over.
func GiveUpShard(ctx context.Context, c Config, number int) error {
	return sharded.GiveUp(ctx, c.DatabaseURL, postgres.Options{Conns: postgres.MinConns, Timeout: c.DatabaseTimeout}, number)
}
