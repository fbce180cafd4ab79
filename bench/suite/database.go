package suite

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// database is a PostgreSQL cluster of the benchmark's own, below TMPDIR.
type database struct {
	*pgtest.Cluster
	pid int // of its first process, whose children the others are
}

// asInstalled undoes what keeps the clusters of tests small: these are the
// defaults of PostgreSQL, and synchronous_commit=on, fsync=on and
// full_page_writes=on are as well.
var asInstalled = []string{"shared_buffers=128MB", "max_wal_size=1GB", "restart_after_crash=on"}

func newDatabase() (*database, error) {
	c, err := pgtest.New(asInstalled...)
	if err != nil {
		return nil, err
	}
	pid, err := c.Pid()
	if err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	return &database{Cluster: c, pid: pid}, nil
}

// exec runs a statement.
func (d *database) exec(ctx context.Context, sql string) error {
	c, err := pgx.Connect(ctx, d.URL())
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	_, err = c.Exec(ctx, sql)
	return err
}

// dbStats are the server's own figures.
type dbStats struct {
	WAL     int64 `json:"wal"`     // bytes written to it since the cluster was made
	Updates int64 `json:"updates"` // of sessions
	HOT     int64 `json:"hot"`     // those of them that touched no index
}

// statsLate is how late those of tables are at most, while there are renewals.
const statsLate = 1500 * time.Millisecond

// stats reads the server's figures.
func (d *database) stats(ctx context.Context) (s dbStats, err error) {
	c, err := pgx.Connect(ctx, d.URL())
	if err != nil {
		return s, err
	}
	defer c.Close(context.WithoutCancel(ctx))
	err = c.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, n_tup_upd, n_tup_hot_upd
		FROM pg_stat_user_tables WHERE relname = 'tacet_sessions'`).Scan(&s.WAL, &s.Updates, &s.HOT)
	return s, err
}
