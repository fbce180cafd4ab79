package postgres

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// TestUnreleasedDatabaseIsRefused: what commit 5a40820 has written, with and
// without shards. The error says what it is and what to do, and nothing changes.
func TestUnreleasedDatabaseIsRefused(t *testing.T) {
	for name, says := range map[string]string{
		"alone": "its schema has version 4",
		"home":  "it is the first of several databases",
		"shard": "it is number 1 of several databases",
	} {
		t.Run(name, func(t *testing.T) {
			dump, err := os.ReadFile("testdata/unreleased-" + name + ".sql")
			must(t, err)
			url := pgtest.Shared(t).Schema(t)
			pgtest.Exec(t, url, string(dump))
			before := everything(t, url)
			_, opened := Open(t.Context(), url, Options{})
			_, imported := OpenImport(t.Context(), url, Options{})
			_, read := SchemaOf(t.Context(), url)
			for call, err := range map[string]error{
				"Open": opened, "OpenImport": imported, "SchemaOf": read,
				"Migrate": Migrate(t.Context(), url), "MigrateDown": MigrateDown(t.Context(), url, 0),
			} {
				if !errors.Is(err, ErrUnreleased) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "name an empty database") {
					t.Errorf("%s: %v; want %q and what to do", call, err, says)
				}
			}
			if after := everything(t, url); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// everything is all tables of a schema with their columns and rows.
func everything(t *testing.T, url string) string {
	t.Helper()
	c := pgtest.Connect(t, url)
	defer c.Close(context.WithoutCancel(t.Context()))
	var all string
	must(t, c.QueryRow(t.Context(), "SELECT schema_to_xml(current_schema()::name, true, false, '')::text").Scan(&all))
	if !strings.Contains(all, "tacet_sessions") {
		t.Fatalf("the tables are not there:\n%s", all)
	}
	return all
}
