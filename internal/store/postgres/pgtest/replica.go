package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replica makes a standby that follows the cluster's write-ahead log through
// the address via (the cluster's own, or a proxy's), asynchronously, and waits
// until it answers. End it with Remove.
func (c *Cluster) Replica(via string) (*Cluster, error) {
	r, err := empty(c.settings)
	if err != nil {
		return nil, err
	}
	if err := r.Follow(c, via); err != nil {
		return nil, errors.Join(err, r.Remove())
	}
	return r, nil
}

// follows is the setting that names a standby's primary.
const follows = "primary_conninfo="

// Follow makes the cluster, which must not be running, a standby of another one
// in place of what it was, at its old address.
func (c *Cluster) Follow(primary *Cluster, via string) error {
	host, port, err := net.SplitHostPort(via)
	if err != nil {
		return err
	}
	if c.cmd != nil {
		return errors.New("the cluster is running")
	}
	if err := os.RemoveAll(c.data()); err != nil {
		return err
	}
	if err := c.baseBackup(primary, c.data()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.data(), "standby.signal"), nil, 0o644); err != nil {
		return err
	}
	c.settings = append(slices.DeleteFunc(slices.Clone(c.settings), func(s string) bool { return strings.HasPrefix(s, follows) }),
		fmt.Sprintf("%shost=%s port=%s user=%s", follows, host, port, superuser),
		"wal_retrieve_retry_interval=100ms") // by default it stays away for 5 s when its primary was restarted
	return c.Start()
}

// Promote makes a standby a primary: it accepts writes when Promote returns.
// What its primary had not sent is lost.
func (c *Cluster) Promote() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var done bool
	err = conn.QueryRow(ctx, "SELECT pg_promote(true, $1)", int(startTimeout/time.Second)).Scan(&done)
	if err == nil && !done {
		err = fmt.Errorf("the standby was not promoted in time\n%s", c.Log())
	}
	return err
}

// Backup copies the data of the running cluster aside, for Restore. A later one
// takes the place of an earlier one.
func (c *Cluster) Backup() error {
	if err := os.RemoveAll(c.backup()); err != nil {
		return err
	}
	return c.baseBackup(c, c.backup())
}

// Restore puts the Backup in place of the data, which are lost, and starts. The
// cluster must not be running. The backup is used up.
func (c *Cluster) Restore() error {
	if c.cmd != nil {
		return errors.New("the cluster is running")
	}
	if err := errors.Join(os.RemoveAll(c.data()), os.Rename(c.backup(), c.data())); err != nil {
		return err
	}
	return c.Start()
}

func (c *Cluster) backup() string { return filepath.Join(c.dir, "backup") }

func (c *Cluster) baseBackup(from *Cluster, dir string) error {
	host, port, err := net.SplitHostPort(from.Addr())
	if err != nil {
		return err
	}
	return c.run("pg_basebackup", "-D", dir, "-h", host, "-p", port, "-U", superuser, "-X", "stream", "-c", "fast", "--no-sync")
}
