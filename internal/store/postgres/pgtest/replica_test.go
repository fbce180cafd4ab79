package pgtest_test

import (
	"context"
	"testing"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// count is how many rows the table t has; -1 if it cannot be asked.
func count(t *testing.T, c *pgtest.Cluster) (n int) {
	t.Helper()
	conn := pgtest.Connect(t, c.URL())
	defer conn.Close(context.WithoutCancel(t.Context()))
	if conn.QueryRow(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n) != nil {
		return -1
	}
	return n
}

// A standby that is cut off loses what was committed since; a backup what was
// committed after it.
func TestReplicaAndBackup(t *testing.T) {
	t.Parallel()
	first, err := pgtest.New("fsync=off")
	must(t, err)
	t.Cleanup(func() { _ = first.Remove() })
	first.Exec(t, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
	must(t, first.Backup())

	link := pgtest.NewProxy(t, first.Addr())
	second, err := first.Replica(link.Addr())
	must(t, err)
	t.Cleanup(func() { _ = second.Remove() })
	first.Exec(t, "INSERT INTO t VALUES (2)")
	for range 2000 {
		if count(t, second) == 2 {
			break
		}
	}
	link.Hold()
	first.Exec(t, "INSERT INTO t VALUES (3)")
	must(t, first.Kill())
	link.Cut()
	must(t, second.Promote())
	if n := count(t, second); n != 2 {
		t.Errorf("after the promotion there are %d rows, want 2:\n%s", n, second.Log())
	}
	second.Exec(t, "INSERT INTO t VALUES (4)")

	must(t, first.Restore())
	if n := count(t, first); n != 1 {
		t.Errorf("after the restore there are %d rows, want 1", n)
	}
	must(t, first.Kill())
	must(t, first.Follow(second, second.Addr())) // it takes the other's place
	if n := count(t, first); n != 3 {
		t.Errorf("as the other's standby it has %d rows, want 3", n)
	}
}
