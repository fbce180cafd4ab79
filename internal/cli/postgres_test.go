package cli

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// TestPostgresScripts run against a cluster of their own; each script has an
// empty schema, $DB.
func TestPostgresScripts(t *testing.T) {
	cluster, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Remove(); err != nil {
			t.Error(err)
		}
	})
	// One script after the other: they are few, and the cluster must outlive them.
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, testscript.Params{Dir: "testdata/postgres", Setup: func(e *testscript.Env) error {
			e.Setenv("DB", cluster.Schema(t))
			e.Setenv("ADDR", cluster.Addr())
			return nil
		}})
	})
}
