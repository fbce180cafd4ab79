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
	// lockRetry is how often a node looks whether another one has finished.
	// Waiting inside the server would be an open transaction, which building an
	// index concurrently waits for: neither would come to an end.
	lockRetry = 50 * time.Millisecond
)

// Schema is the state of a database's schema: versions of migrations.
type Schema struct {
	Has   int64 // the newest that was applied, 0 for an empty database
	Knows int64 // the newest that this program has
}

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
			return m.newer(s)
		case version < 0 || version > s.Has:
			return fmt.Errorf("the schema has version %d: it can be taken back to 0…%d, not to %d", s.Has, s.Has, version)
		}
		_, err := m.goose.DownTo(ctx, version)
		return err
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
	if err != nil || s.Has == s.Knows { // the usual start takes no lock
		return wrap(where, err)
	}
	return wrap(where, m.locked(ctx, func(s Schema) error {
		if s.Has > s.Knows {
			return m.newer(s)
		}
		_, err := m.goose.Up(ctx)
		return err
	}))
}

type migrator struct {
	where string
	db    *sql.DB
	goose *goose.Provider
	knows int64
}

func openMigrator(cfg *pgx.ConnConfig, where string, files fs.FS) (*migrator, error) {
	store, err := database.NewStore(goose.DialectPostgres, versionTable)
	if err != nil {
		return nil, err
	}
	m := &migrator{where: where, db: stdlib.OpenDB(*cfg)}
	m.goose, err = goose.NewProvider("", m.db, files, goose.WithStore(store),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, errors.Join(err, m.db.Close())
	}
	for _, s := range m.goose.ListSources() {
		m.knows = max(m.knows, s.Version)
	}
	return m, nil
}

func (m *migrator) close() { _ = m.db.Close() } // nothing is under way

// schema asks the table itself: goose would make it.
func (m *migrator) schema(ctx context.Context) (Schema, error) {
	s := Schema{Knows: m.knows}
	err := m.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&s.Has)
	if state(err) == "42P01" || state(err) == "3F000" {
		err = nil // an empty database
	}
	if err == nil && s.Has > s.Knows {
		return s, m.newer(s)
	}
	return s, err
}

func (m *migrator) newer(s Schema) error {
	return &Error{Where: m.where, Kind: ErrNewerSchema,
		Err: fmt.Errorf("its schema has version %d, this program knows up to %d", s.Has, s.Knows)}
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
	if err != nil && !errors.Is(err, ErrNewerSchema) {
		return err
	}
	return f(s)
}
