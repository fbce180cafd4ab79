//go:build ha

package cli

import (
	"testing"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// TestOperateGuideBehindAPooler is TestOperateGuide with nodes that reach their
// database through pgbouncer.
func TestOperateGuideBehindAPooler(t *testing.T) {
	operateGuide(t, func(c *pgtest.Cluster) string {
		b, err := c.NewBouncer()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Stop(); err != nil {
				t.Error(err)
			}
		})
		return b.Addr()
	})
}
