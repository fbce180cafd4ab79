package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/tacet-dev/tacet/internal/store"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are the files that goose reads.
func migrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the name above is wrong
	}
	return sub
}

const (
	versionTable = "tacet_schema"
	// migrationLock is "tacet" in ASCII: of the advisory lock under which one
	// node at a time migrates.
	migrationLock = 0x7461636574
	// compatibleFrom is the row of tacet_counters that says which schema a program
	// must know at least to run on this one.
	compatibleFrom = "compatible_from"
	// tableWait is how long a migration waits for a table that others read or
	// write: all who come after it wait with it, so it must give up before a
	// renewal does (lockWait), and try again when they had their turn.
	tableWait  = lockWait / 2
	tableRetry = 2 * lockWait
	tableTries = 60
	// lockRetry is how often a node looks whether another one has finished.
	// Waiting inside the server would be an open transaction, which building an
	// index concurrently waits for: neither would come to an end.
	lockRetry = 50 * time.Millisecond
)

// Schema is the state of a database's schema: versions of migrations.
//
// Migrations add and take nothing away, so a program runs on a schema that is
// newer than itself, as during a rolling upgrade, when the schema says so: the
// migration from which on older programs could not do their work raises From.
type Schema struct {
	Has   int64 // the newest that was applied, 0 for an empty database
	Knows int64 // the newest that this program has
	From  int64 // programs that know this one can run on it; 0: only those that know Has
}

// Runs reports whether this program can work on the schema as it is, or on what
// its own migrations will make of it.
func (s Schema) Runs() bool { return s.Has <= s.Knows || s.From > 0 && s.From <= s.Knows }

// SchemaOf reads the state of the schema and changes nothing.
func SchemaOf(ctx context.Context, rawURL string) (Schema, error) {
	cfg, where, err := parse(rawURL)
	if err != nil {
		return Schema{}, err
	}
	m, err := openMigrator(cfg.ConnConfig, where, migrations())
	if err != nil {
		return Schema{}, err
	}
	defer m.close()
	s, err := m.schema(ctx)
	return s, wrap(where, err)
}

// Migrate brings the schema up to date, as Open does.
func Migrate(ctx context.Context, rawURL string) error {
	cfg, where, err := parse(rawURL)
	if err != nil {
		return err
	}
	return migrateUp(ctx, cfg.ConnConfig, where, migrations())
}

// MigrateDown takes the schema back to the version given, which an older
// program knows. To take it back to 0 deletes everything.
func MigrateDown(ctx context.Context, rawURL string, version int64) error {
	cfg, where, err := parse(rawURL)
	if err != nil {
		return err
	}
	m, err := openMigrator(cfg.ConnConfig, where, migrations())
	if err != nil {
		return err
	}
	defer m.close()
	return wrap(where, m.locked(ctx, func(s Schema) error {
		switch {
		case s.Has > s.Knows:
			return m.newer(s, "the way back from it is known to the newer program: run tacet migrate down with that one")
		case version != 0 && version < m.first || version > s.Has:
			return fmt.Errorf("the schema has version %d: it can be taken back to %d…%d, or to 0, which deletes everything, and not to %d", s.Has, m.first, s.Has, version)
		}
		return m.patiently(ctx, func() error {
			_, err := m.goose.DownTo(ctx, version)
			return err
		})
	}))
}

// migrateUp brings the schema up to date, or refuses it without having touched
// it. Of nodes that start together, one migrates and the others wait.
func migrateUp(ctx context.Context, cfg *pgx.ConnConfig, where string, files fs.FS) error {
	m, err := openMigrator(cfg, where, files)
	if err != nil {
		return err
	}
	defer m.close()
	s, err := m.schema(ctx)
	if err != nil || s.Has >= s.Knows { // the usual start takes no lock
		return wrap(where, errors.Join(err, m.runs(s)))
	}
	return wrap(where, m.locked(ctx, func(s Schema) error {
		if s.Has >= s.Knows {
			return m.runs(s)
		}
		return m.patiently(ctx, func() error {
			_, err := m.goose.Up(ctx)
			return err
		})
	}))
}

// patiently makes migrations again that did not get hold of a table in time. Each
// is a transaction: those that were made before are not made twice.
func (m *migrator) patiently(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if state(err) != "55P03" || n == tableTries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(tableRetry):
		}
	}
}

type migrator struct {
	where string
	db    *sql.DB
	goose *goose.Provider
	// first and knows are the oldest and the newest version of the migrations.
	first, knows int64
}

func openMigrator(cfg *pgx.ConnConfig, where string, files fs.FS) (*migrator, error) {
	store, err := database.NewStore(goose.DialectPostgres, versionTable)
	if err != nil {
		return nil, err
	}
	m := &migrator{where: where, db: stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		return set(ctx, c, []string{fmt.Sprintf("SET lock_timeout = %d", tableWait.Milliseconds())})
	}))}
	m.goose, err = goose.NewProvider("", m.db, files, goose.WithStore(store),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, errors.Join(err, m.db.Close())
	}
	sources := m.goose.ListSources() // in order
	m.first, m.knows = sources[0].Version, sources[len(sources)-1].Version
	return m, nil
}

func (m *migrator) close() { _ = m.db.Close() } // nothing is under way

// schema asks the table itself: goose would make it.
func (m *migrator) schema(ctx context.Context) (Schema, error) {
	s := Schema{Knows: m.knows}
	err := m.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&s.Has)
	if err == nil && s.Has > 0 {
		err = m.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(value), 0) FROM tacet_counters WHERE name = $1", compatibleFrom).Scan(&s.From)
	}
	if state(err) == "42P01" || state(err) == "3F000" {
		err = nil // an empty database
	}
	if err == nil && s.Has > 0 && s.Has < m.first {
		err = m.unreleased(ctx, s)
	}
	return s, err
}

// unreleased is the error for a database whose schema no release had. It says
// which part the database played if there were several (shards).
func (m *migrator) unreleased(ctx context.Context, s Schema) error {
	why := fmt.Errorf("its schema has version %d, and that of the first release is %d", s.Has, m.first)
	var shard int
	switch err := m.db.QueryRowContext(ctx, "SELECT shard FROM tacet_database").Scan(&shard); {
	case err != nil: // it was the only one
	case shard == 0:
		why = fmt.Errorf("%w; it is the first of several databases that shared their sessions (shards), which no release does", why)
	default:
		why = fmt.Errorf("%w; it is number %d of several databases that shared their sessions (shards), which no release does", why, shard)
	}
	return &store.Error{Where: m.where, Kind: ErrUnreleased, Err: why}
}

// runs is an error if the program cannot work on the schema.
func (m *migrator) runs(s Schema) error {
	switch {
	case s.Runs():
		return nil
	case s.From > 0:
		return m.newer(s, fmt.Sprintf("and it needs a program that knows %d", s.From))
	}
	return m.newer(s, "and it does not say that older programs can run on it")
}

func (m *migrator) newer(s Schema, why string) error {
	return &store.Error{Where: m.where, Kind: ErrNewerSchema,
		Err: fmt.Errorf("its schema has version %d, this program knows up to %d, %s", s.Has, s.Knows, why)}
}

// locked runs f while no other node migrates.
func (m *migrator) locked(ctx context.Context, f func(Schema) error) (err error) {
	c, err := m.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for {
		var got bool
		if err := c.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(migrationLock)).Scan(&got); err != nil {
			return err
		}
		if got {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another node has been migrating for too long: %w", ctx.Err())
		case <-time.After(lockRetry):
		}
	}
	// The lock ends with the connection, whatever happens to this one.
	defer func() {
		_, e := c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		err = errors.Join(err, e)
	}()
	s, err := m.schema(ctx)
	if err != nil {
		return err
	}
	return f(s)
}
