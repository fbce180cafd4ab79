// Package sqlitetest makes databases for the tests of other packages.
package sqlitetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tacet-dev/tacet/internal/store/sqlite"
)

// Dir is a data directory of the test's own with an empty database, as Open leaves
// it. The migrations run once in a process: under the race detector they take
// longer than most tests.
func Dir(t testing.TB) string {
	t.Helper()
	file, err := template()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, sqlite.FileName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

var template = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "tacet")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := sqlite.Open(context.Background(), dir, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range left {
		if f.Name() == sqlite.FileName+"-wal" {
			return nil, fmt.Errorf("sqlitetest: a database that was closed left %s behind", f.Name())
		}
	}
	return os.ReadFile(filepath.Join(dir, sqlite.FileName))
})
