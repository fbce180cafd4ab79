package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

var shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
	schemas atomic.Int64

	bouncerOnce sync.Once
	bouncer     *Bouncer
	bouncerErr  error
}

// Main is TestMain for a package whose tests use Shared or SharedBouncer.
func Main(m *testing.M) {
	code := m.Run()
	if b := shared.bouncer; b != nil {
		_ = b.Stop() // its files go with the cluster's
	}
	if c := shared.cluster; c != nil {
		if err := c.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Shared is one cluster for all tests of a package, durable as in production.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = New() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// Schema makes an empty schema, for one test, and returns the URL of the
// database that lets everything happen in it.
func (c *Cluster) Schema(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", shared.schemas.Add(1))
	c.Exec(t, "CREATE SCHEMA "+name)
	return c.URL() + "&search_path=" + name
}

// Exec runs statements as the superuser.
func (c *Cluster) Exec(t testing.TB, sql string) { Exec(t, c.URL(), sql) }

// Exec runs statements on the database that the URL names.
func Exec(t testing.TB, url, sql string) {
	t.Helper()
	conn := Connect(t, url)
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// Connect opens a connection of the test's own.
func Connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
