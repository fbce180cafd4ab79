package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// TestPostgresScripts run against a cluster of their own; each script has two
// empty schemas, $DB and $DB2.
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
			e.Setenv("DB2", cluster.Schema(t))
			e.Setenv("ADDR", cluster.Addr())
			urls := filepath.Join(e.WorkDir, "urls")
			if err := os.WriteFile(urls, []byte(e.Getenv("DB2")+"\n"), 0o600); err != nil {
				return err
			}
			return nil
		}})
	})
}
