package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// database is a PostgreSQL primary with an asynchronous standby, each behind a
// proxy that can cut a connection at a given statement.
type database struct {
	clusters [2]*pgtest.Cluster
	judges   [2]*pgtest.Proxy
	follow   [2]*link // the way of a standby to its primary

	mu      sync.Mutex // held by whoever does something to the database
	primary int
	backup  int
}

func newDatabase(t testing.TB) *database {
	t.Helper()
	d := &database{}
	first, err := pgtest.New()
	must(t, err)
	d.clusters[0] = first
	d.follow[0] = newLink(t, first.Addr())
	t.Cleanup(func() {
		if err := first.Remove(); err != nil {
			t.Error(err)
		}
	})
	second, err := first.Replica(d.follow[0].addr)
	must(t, err)
	d.clusters[1] = second
	d.follow[1] = newLink(t, second.Addr())
	t.Cleanup(func() {
		if err := second.Remove(); err != nil {
			t.Error(err)
		}
	})
	for i, c := range d.clusters {
		d.judges[i] = pgtest.NewProxy(t, c.Addr())
	}
	return d
}

// links is the way of one node to both.
func (d *database) links(t testing.TB) []*link {
	var l []*link
	for _, j := range d.judges {
		l = append(l, newLink(t, j.Addr()))
	}
	return l
}

// url finds the primary behind the links of a node.
func (d *database) url(l []*link) string {
	return strings.Replace(pgtest.URL(l[0].addr+","+l[1].addr), "?", "?target_session_attrs=read-write&", 1)
}

func (d *database) cluster() *pgtest.Cluster { return d.clusters[d.primary] }

// cut breaks connections at statements, of which some permille are lost before
// the server sees them, some are carried out or not, and some answered in vain.
func (d *database) cut(permille int64, random *rand.Rand) {
	for _, j := range d.judges {
		j.Judge(func(request []byte) pgtest.Fate {
			// Bind and what follows, the execution of a prepared statement, or Query,
			// such as a commit.
			if len(request) == 0 || request[0] != 'B' && request[0] != 'Q' || random.Int64N(1000) >= permille {
				return pgtest.Pass
			}
			return []pgtest.Fate{pgtest.CutBefore, pgtest.CutAfter, pgtest.CutAnswer}[random.IntN(3)]
		})
	}
}

func (d *database) uncut() {
	for _, j := range d.judges {
		j.Judge(nil)
	}
}

// ask runs a query with one result on one of the servers.
func (d *database) ask(i int, query string, result any, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, d.clusters[i].URL())
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return c.QueryRow(ctx, query, args...).Scan(result)
}

// promote cuts the standby off while the primary goes on alone; then that dies and
// the standby takes its place. The loss begins at the last
// moment at which the standby certainly had everything.
func (d *database) promote(now func() time.Duration, alone func()) (l loss, err error) {
	old, next := d.primary, 1-d.primary
	for tries := 0; ; tries++ {
		if tries == 500 {
			return l, errors.New("the standby does not follow")
		}
		l.From = now()
		var written string
		if err := d.ask(old, "SELECT pg_current_wal_flush_lsn()::text", &written); err != nil {
			return l, err
		}
		var has bool
		if err := d.ask(next, "SELECT pg_last_wal_receive_lsn() >= $1::pg_lsn", &has, written); err != nil {
			return l, err
		}
		if has {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.follow[old].partition()
	alone()
	l.Down = now()
	if err := d.clusters[old].Kill(); err != nil {
		return l, err
	}
	if err := d.clusters[next].Promote(); err != nil {
		return l, err
	}
	d.primary = next
	l.Up = now()
	d.follow[old].heal()
	return l, nil
}

// rebuild makes the one that is not the primary its standby.
func (d *database) rebuild() error {
	return d.clusters[1-d.primary].Follow(d.cluster(), d.follow[d.primary].addr)
}

// restore puts the backup in place of everything.
func (d *database) restore(now func() time.Duration, from time.Duration) (l loss, err error) {
	l.From, l.Down = from, now()
	for _, c := range d.clusters {
		if err := c.Kill(); err != nil {
			return l, err
		}
	}
	d.primary = d.backup
	err = d.cluster().Restore()
	l.Up = now()
	return l, err
}

// copyDir copies the files of a store at rest.
func copyDir(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
