package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/store/sharded"
)

type shardCmd struct {
	List   shardListCmd   `cmd:"" help:"List the databases that sessions are in. Those that are named for the first time become shards."`
	Open   shardOpenCmd   `cmd:"" help:"Let new sessions go to a shard: a new one, once every server knows it."`
	Drain  shardDrainCmd  `cmd:"" help:"Keep new sessions away from a shard; those that are there go on."`
	Remove shardRemoveCmd `cmd:"" help:"End the use of a shard that is drained and has no sessions any more."`
}

// shards opens all databases for f.
func (d dataFlags) shards(e *env, f func(context.Context, *sharded.Store) error) error {
	cfg, err := d.database(e)
	if err != nil {
		return err
	}
	return app.WithShards(e.ctx, cfg, func(st *sharded.Store) error { return f(e.ctx, st) })
}

type shardListCmd struct {
	dataFlags
	outputFlag
}

func (c *shardListCmd) Run(e *env) error {
	cfg, err := c.database(e)
	if err != nil {
		return err
	}
	if len(cfg.ShardURLs) == 0 {
		return &usageError{errors.New("name the shards with --shard-url, --shard-url-file or TACET_SHARD_URL")}
	}
	return c.shards(e, func(ctx context.Context, st *sharded.Store) error {
		list, err := st.Statuses(ctx)
		if err != nil {
			return err
		}
		type entry struct {
			Shard    int    `json:"shard"`
			State    string `json:"state"`
			Since    string `json:"since"`
			Database string `json:"database"`
			Sessions bool   `json:"sessions"`
			Problem  string `json:"problem,omitempty"`
		}
		var entries []entry
		var rows [][]string
		for _, s := range list {
			en := entry{Shard: s.Number, State: string(s.State), Since: (time.Duration(s.Since) * time.Millisecond).Round(time.Second).String(), Database: s.Where, Sessions: s.Holds}
			sessions := map[bool]string{true: "yes", false: "none"}[s.Holds]
			if s.Err != nil {
				en.Problem, sessions = s.Err.Error(), "?"
			}
			entries = append(entries, en)
			rows = append(rows, []string{fmt.Sprint(en.Shard), en.State, en.Since, en.Database, sessions, en.Problem})
		}
		return c.list(e.stdout, []string{"SHARD", "STATE", "SINCE", "DATABASE", "SESSIONS", "PROBLEM"}, rows, entries)
	})
}

type shardOpenCmd struct {
	Shard int `arg:"" help:"Number of the shard."`
	dataFlags
}

func (c *shardOpenCmd) Run(e *env) error {
	err := c.shards(e, func(ctx context.Context, st *sharded.Store) error { return st.OpenShard(ctx, c.Shard) })
	if err == nil {
		_, err = fmt.Fprintf(e.stdout, "shard %d takes new sessions\n", c.Shard)
	}
	return err
}

type shardDrainCmd struct {
	Shard int `arg:"" help:"Number of the shard."`
	dataFlags
}

func (c *shardDrainCmd) Run(e *env) error {
	err := c.shards(e, func(ctx context.Context, st *sharded.Store) error { return st.Drain(ctx, c.Shard) })
	if err == nil {
		_, err = fmt.Fprintf(e.stdout, "shard %d takes no new sessions; when those that it has are over, run: tacet shard remove %d\n", c.Shard, c.Shard)
	}
	return err
}

type shardRemoveCmd struct {
	Shard int  `arg:"" help:"Number of the shard."`
	Lost  bool `help:"The database is lost for good. Its sessions are over: users sign in again."`
	dataFlags
}

func (c *shardRemoveCmd) Run(e *env) (err error) {
	if c.Lost {
		cfg, err := c.database(e)
		if err != nil {
			return err
		}
		if err := app.GiveUpShard(e.ctx, cfg, c.Shard); err != nil {
			return err
		}
	} else if err := c.shards(e, func(ctx context.Context, st *sharded.Store) error { return st.Remove(ctx, c.Shard) }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "shard %d is removed: take its shard-url away from all servers\n", c.Shard)
	return err
}
