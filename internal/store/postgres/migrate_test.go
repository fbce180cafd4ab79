package postgres

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
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

// migrateUp is Migrate with other migrations.
func migrateUp(t *testing.T, url string, files fs.FS) error {
	m, err := connect(t.Context(), url, files)
	if err != nil {
		return err
	}
	defer m.close()
	return m.up(t.Context())
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
// work, which also starts again on the newer schema, and down again.
func TestMigrationsKeepWhatIsThere(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	old := openURL(t, url, Options{})
	s := benchSession(1)
	must(t, old.Sessions().Create(t.Context(), s))
	newer := with(t, "00099_extra.sql", addColumn)
	must(t, migrateUp(t, url, newer))

	s, err := old.Sessions().Move(t.Context(), nextMove(s))
	must(t, err)
	must(t, old.Sessions().Create(t.Context(), benchSession(2)))
	if got, err := old.Sessions().Get(t.Context(), s.ID); err != nil || got != s {
		t.Errorf("the older node reads %+v, %v", got, err)
	}
	again := openURL(t, url, Options{})
	s, err = again.Sessions().Move(t.Context(), nextMove(s))
	must(t, err)
	must(t, Migrate(t.Context(), url))
	if state, err := SchemaOf(t.Context(), url); err != nil || state.Has != 99 || !state.Runs() {
		t.Errorf("%+v, %v", state, err)
	}
	// It does not know the way back.
	if err := MigrateDown(t.Context(), url, 1); !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("MigrateDown by an older program: %v", err)
	}
	m, err := connect(t.Context(), url, newer)
	must(t, err)
	defer m.close()
	must(t, m.down(t.Context(), newest(t)))
	if got, err := again.Sessions().Get(t.Context(), s.ID); err != nil || got != s {
		t.Errorf("after the way back: %+v, %v", got, err)
	}
	again = openURL(t, url, Options{})
	if got, err := again.Sessions().Get(t.Context(), s.ID); err != nil || got != s {
		t.Errorf("after the way back: %+v, %v", got, err)
	}
}

// newest is the version that this program knows.
func newest(t *testing.T) int64 {
	t.Helper()
	s, err := SchemaOf(t.Context(), pgtest.Shared(t).Schema(t))
	must(t, err)
	return s.Knows
}

// TestOnlySchemasThatSaySoAreOpenedByOlderPrograms for all combinations.
func TestOnlySchemasThatSaySoAreOpenedByOlderPrograms(t *testing.T) {
	for _, c := range []struct {
		s    Schema
		runs bool
	}{
		{Schema{Has: 0, Knows: 4}, true}, {Schema{Has: 4, Knows: 4, From: 2}, true}, {Schema{Has: 4, Knows: 4, From: 4}, true},
		{Schema{Has: 5, Knows: 4, From: 2}, true}, {Schema{Has: 99, Knows: 4, From: 4}, true},
		{Schema{Has: 5, Knows: 4, From: 5}, false}, {Schema{Has: 5, Knows: 4}, false},
	} {
		if c.s.Runs() != c.runs {
			t.Errorf("%+v: Runs is %v", c.s, !c.runs)
		}
	}
	knows := newest(t)
	for name, raise := range map[string]string{
		"needs a program that knows 99":    "UPDATE tacet_counters SET value = 99 WHERE name = 'compatible_from';",
		"does not say that older programs": "DELETE FROM tacet_counters WHERE name = 'compatible_from';",
	} {
		url := pgtest.Shared(t).Schema(t)
		must(t, Migrate(t.Context(), url))
		must(t, migrateUp(t, url, with(t, "00099_break.sql", "-- +goose Up\n"+raise+"\n-- +goose Down\n")))
		for call, err := range map[string]error{
			"Open":    func() error { _, err := Open(t.Context(), url, Options{}); return err }(),
			"Migrate": Migrate(t.Context(), url),
		} {
			if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "tacet migrate down") {
				t.Errorf("%s: %v; want %q and what to do", call, err, name)
			}
		}
		if s, err := SchemaOf(t.Context(), url); err != nil || s.Has != 99 || s.Knows != knows || s.Runs() {
			t.Errorf("the state must be shown all the same: %+v, %v", s, err)
		}
	}
}

// TestMigrationsAddOnly: what older programs, which go on running, read and
// write must stay as it is. One that takes something away must say who can
// still run (compatible_from), and then this test knows.
func TestMigrationsAddOnly(t *testing.T) {
	names, err := fs.Glob(migrations(), "*.sql")
	must(t, err)
	for _, name := range names[1:] { // nothing is older than the first
		data, err := fs.ReadFile(migrations(), name)
		must(t, err)
		if statement := breaking(string(data)); statement != "" {
			t.Errorf("%s: older programs could not run after\n%s", name, statement)
		}
	}
	for sql, want := range map[string]string{
		addColumn: "",
		"-- +goose Up\nALTER TABLE tacet_sessions DROP COLUMN agent;":                       "ALTER TABLE tacet_sessions DROP COLUMN agent",
		"-- +goose Up\nALTER TABLE tacet_sessions ADD COLUMN extra bigint NOT NULL;":        "ALTER TABLE tacet_sessions ADD COLUMN extra bigint NOT NULL",
		"-- +goose Up\nUPDATE tacet_counters SET value = 9 WHERE name = 'compatible_from';": "",
	} {
		if got := breaking(sql); got != want {
			t.Errorf("%s\nis found to break older programs by %q, want %q", sql, got, want)
		}
	}
}

// breaking is the first statement of a migration after which older programs could
// not run, unless it says itself which ones can.
func breaking(sql string) string {
	// A column must come with a value for the rows that older programs insert.
	additive := regexp.MustCompile(`(?is)^(CREATE TABLE\s.*|CREATE (UNIQUE )?INDEX\s.*|INSERT INTO tacet_\w+ .*|` +
		`ALTER TABLE \w+ ADD COLUMN( IF NOT EXISTS)? \w+ [^,]*(NOT NULL DEFAULT [^,]+|[^,]*))$`)
	mandatory := regexp.MustCompile(`(?is)ADD COLUMN[^,;]*NOT NULL`)
	up, _, _ := strings.Cut(sql, "-- +goose Down")
	up = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(up, "")
	if strings.Contains(up, "compatible_from") {
		return ""
	}
	for statement := range strings.SplitSeq(up, ";") {
		statement = strings.TrimSpace(statement)
		if statement == "" {
			continue
		}
		if !additive.MatchString(statement) || mandatory.MatchString(statement) && !strings.Contains(strings.ToUpper(statement), "DEFAULT") {
			return statement
		}
	}
	return ""
}

// TestMigrationWaitsItsTurn: for a table that somebody reads for long, such as a
// backup, without holding up the renewals that come after it.
func TestMigrationWaitsItsTurn(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	db := openURL(t, url, Options{})
	s := benchSession(1)
	must(t, db.Sessions().Create(t.Context(), s))
	backup := pgtest.Connect(t, url)
	defer backup.Close(context.WithoutCancel(t.Context()))
	reading, err := backup.Begin(t.Context())
	must(t, err)
	_, err = reading.Exec(t.Context(), "SELECT COUNT(*) FROM tacet_sessions")
	must(t, err)
	migrated := make(chan error, 1)
	go func() {
		migrated <- migrateUp(t, url, with(t, "00099_extra.sql", addColumn))
	}()
	waiting := pgtest.Connect(t, url)
	defer waiting.Close(context.WithoutCancel(t.Context()))
	for seen, n := 0, 0; seen < 2; n++ { // it has tried while renewals went on
		if n == 50_000 {
			t.Fatal("the migration does not wait for the table")
		}
		var n int
		must(t, waiting.QueryRow(t.Context(), "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = 'tacet_sessions'::regclass").Scan(&n))
		seen += n
		if s, err = db.Sessions().Move(t.Context(), nextMove(s)); err != nil {
			t.Fatalf("a renewal during a migration: %v", err)
		}
	}
	select {
	case err := <-migrated:
		t.Fatalf("the migration ended while the table was being read: %v", err)
	default:
	}
	must(t, reading.Rollback(t.Context()))
	must(t, <-migrated)
	if _, err := db.Sessions().Move(t.Context(), nextMove(s)); err != nil {
		t.Error(err)
	}
}

func TestMigrateDownAndUp(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	must(t, Migrate(t.Context(), url))
	must(t, Migrate(t.Context(), url))
	for _, version := range []int64{-1, 1, 77} {
		if err := MigrateDown(t.Context(), url, version); err == nil {
			t.Errorf("taken down to version %d, which it does not have", version)
		}
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
	bad := with(t, "00099_bad.sql", "-- +goose Up\nALTER TABLE tacet_sessions ADD COLUMN extra bigint;\nSELECT 1/0;\n-- +goose Down\n")
	if err := migrateUp(t, url, bad); err == nil {
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
