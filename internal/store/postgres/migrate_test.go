package postgres

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

// with adds a migration to the embedded ones.
func with(t *testing.T, name, sql string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{name: {Data: []byte(sql)}}
	names, err := fs.Glob(migrations(), "*.sql")
	must(t, err)
	for _, n := range names {
		data, err := fs.ReadFile(migrations(), n)
		must(t, err)
		files[n] = &fstest.MapFile{Data: data}
	}
	return files
}

const addColumn = `-- +goose Up
ALTER TABLE tacet_sessions ADD COLUMN extra bigint NOT NULL DEFAULT 7;
-- +goose Down
ALTER TABLE tacet_sessions DROP COLUMN extra;
`

// TestNodesThatStartTogetherMigrateOnce: on an empty database.
func TestNodesThatStartTogetherMigrateOnce(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			db, err := Open(t.Context(), url, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			must(t, db.Close())
		})
	}
	running.Wait()
	s, err := SchemaOf(t.Context(), url)
	if err != nil || s.Has != s.Knows || s.Knows == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestMigrationsKeepWhatIsThere: up while a node of the older version is at
// work, and down again.
func TestMigrationsKeepWhatIsThere(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	old := openURL(t, url, Options{})
	s := benchSession(1)
	must(t, old.Sessions().Create(t.Context(), s))
	cfg, where, err := parse(url)
	must(t, err)
	newer := with(t, "00099_extra.sql", addColumn)
	must(t, migrateUp(t.Context(), cfg.ConnConfig, where, newer))

	s, err = old.Sessions().Move(t.Context(), renewal(s))
	must(t, err)
	must(t, old.Sessions().Create(t.Context(), benchSession(2)))
	if got, err := old.Sessions().Get(t.Context(), s.ID); err != nil || got != s {
		t.Errorf("the older node reads %+v, %v", got, err)
	}
	// But one that starts now is not made for this schema.
	for name, err := range map[string]error{
		"Open":        func() error { _, err := Open(t.Context(), url, Options{}); return err }(),
		"Migrate":     Migrate(t.Context(), url),
		"MigrateDown": MigrateDown(t.Context(), url, 0),
	} {
		if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("%s on a newer schema: %v", name, err)
		}
	}
	m, err := openMigrator(cfg.ConnConfig, where, newer)
	must(t, err)
	defer m.close()
	if _, err := m.goose.DownTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	again := openURL(t, url, Options{})
	if got, err := again.Sessions().Get(t.Context(), s.ID); err != nil || got != s {
		t.Errorf("after the way back: %+v, %v", got, err)
	}
}

func TestMigrateDownAndUp(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	must(t, Migrate(t.Context(), url))
	must(t, Migrate(t.Context(), url))
	if err := MigrateDown(t.Context(), url, 5); err == nil {
		t.Error("taken down to a version that it does not have")
	}
	must(t, MigrateDown(t.Context(), url, 0))
	if s, err := SchemaOf(t.Context(), url); err != nil || s.Has != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	db := openURL(t, url, Options{})
	if _, err := db.Sessions().List(t.Context(), "", rotation.SessionID{}, 1); err != nil {
		t.Error(err)
	}
}

// TestFailedMigrationLeavesNothing: it is a transaction.
func TestFailedMigrationLeavesNothing(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	must(t, Migrate(t.Context(), url))
	cfg, where, err := parse(url)
	must(t, err)
	bad := with(t, "00099_bad.sql", "-- +goose Up\nALTER TABLE tacet_sessions ADD COLUMN extra bigint;\nSELECT 1/0;\n-- +goose Down\n")
	if err := migrateUp(t.Context(), cfg.ConnConfig, where, bad); err == nil {
		t.Fatal("a migration that divides by zero succeeded")
	}
	openURL(t, url, Options{}) // and has no trouble
	var n int
	conn := pgtest.Connect(t, url)
	defer conn.Close(context.Background())
	must(t, conn.QueryRow(t.Context(), "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = current_schema() AND column_name = 'extra'").Scan(&n))
	if n != 0 {
		t.Error("the column of a failed migration is there")
	}
}

// TestErrorsNameTheDatabaseAndNotThePassword also of URLs that cannot be read.
func TestErrorsNameTheDatabaseAndNotThePassword(t *testing.T) {
	c := pgtest.Shared(t)
	addr := c.Addr()
	for url, want := range map[string]struct {
		kind error
		says string
	}{
		"postgres://tacet:geheim@" + addr + "/nowhere?sslmode=disable":           {ErrNoDatabase, "createdb"},
		"postgres://nobody:geheim@" + addr + "/postgres?sslmode=disable":         {ErrAccess, "user, password and rights"},
		"postgres://tacet:geheim@127.0.0.1:1/postgres?sslmode=disable":           {ErrUnreachable, "127.0.0.1:1/postgres"},
		"postgres://tacet:ge#heim%zz@127.0.0.1/postgres":                         {nil, "percent-encoded"},
		"postgres://tacet:geheim@127.0.0.1:port/postgres":                        {nil, "percent-encoded"},
		"postgres://tacet:geheim@127.0.0.1/postgres?sslmode=perhaps":             {nil, "cannot be read"},
		"mysql://tacet:geheim@127.0.0.1/postgres":                                {nil, "postgres://user:password@host"},
		"host=127.0.0.1 user=tacet password=geheim":                              {nil, "postgres://user:password@host"},
		"postgres://tacet:geheim@" + addr + "/postgres?sslmode=require&x=geheim": {ErrUnreachable, addr + "/postgres"},
	} {
		_, err := Open(t.Context(), url, Options{})
		if err == nil {
			t.Errorf("%s was opened", url)
			continue
		}
		if want.kind != nil && !errors.Is(err, want.kind) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v; want %v, %q", url, err, want.kind, want.says)
		}
		if strings.Contains(err.Error(), "heim") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
	// A user without the right to make tables is told what to do.
	superuser, url := asNode(t, c)
	pgtest.Exec(t, superuser, "DO $$ BEGIN EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM node', current_schema()); END $$")
	_, err := Open(t.Context(), url, Options{})
	if !errors.Is(err, ErrAccess) {
		t.Errorf("without rights: %v", err)
	}
	// And where the schema was made by somebody who has it, none is needed.
	must(t, Migrate(t.Context(), superuser))
	pgtest.Exec(t, superuser, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+superuser[strings.LastIndex(superuser, "=")+1:]+" TO node")
	db := openURL(t, url, Options{})
	must(t, db.Sessions().Create(t.Context(), benchSession(1)))
	must(t, db.Check(t.Context()))
}
