package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	lib "modernc.org/sqlite/lib"

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

// applicationID is "TCET" in the header of the file.
const applicationID = 0x54434554

// busyRetry is how often a migration that waits for other processes looks again.
const busyRetry = 20 * time.Millisecond

// migrate brings the schema of the file up to date, or refuses it without
// having touched it. Migrations run while no other process has the file open:
// an older server must not meet a newer schema.
func migrate(ctx context.Context, path string, busy time.Duration, files fs.FS) error {
	first, known, err := knownVersions(files)
	if err != nil {
		return err
	}
	deadline := time.After(busy)
	for {
		has, err := schemaVersion(ctx, path, busy)
		switch {
		case err != nil:
			return err
		case has > known:
			return &store.Error{Where: path, Kind: ErrNewerSchema,
				Err: fmt.Errorf("its schema has version %d, this program knows up to %d", has, known)}
		case has > 0 && has < first:
			return &store.Error{Where: path, Kind: ErrUnreleased,
				Err: fmt.Errorf("its schema has version %d, and that of the first release is %d", has, first)}
		case has == known: // perhaps because another process was quicker
			return nil
		}
		err = upgrade(ctx, path, files)
		if code(err) != lib.SQLITE_BUSY {
			return err
		}
		select {
		case <-deadline:
			return fmt.Errorf("the schema must be brought up to date while no other process uses the file: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(busyRetry):
		}
	}
}

// upgrade takes the file for itself alone and runs the migrations. If others use
// the file it gives up with SQLITE_BUSY, and lets go of what it holds: two that
// both want the file would wait for each other.
func upgrade(ctx context.Context, path string, files fs.FS) (err error) {
	dsn, err := connector(path, busyRetry, "locking_mode(EXCLUSIVE)", fmt.Sprintf("page_size(%d)", pageSize))
	if err != nil {
		return err
	}
	db := sql.OpenDB(dsn)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // the one that holds the lock
	// The mark tells file(1) whose file it is; and a disk without room for this
	// one page is found here, not after goose has tried for seconds.
	if _, err := db.ExecContext(ctx, fmt.Sprintf("BEGIN EXCLUSIVE; PRAGMA application_id = %d; COMMIT", applicationID)); err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// knownVersions are those of the oldest and the newest migration in files.
func knownVersions(files fs.FS) (oldest, newest int64, err error) {
	names, err := fs.Glob(files, "*.sql") // in order
	if err != nil {
		return 0, 0, err
	}
	oldest, err = goose.NumericComponent(names[0])
	if err == nil {
		newest, err = goose.NumericComponent(names[len(names)-1])
	}
	return oldest, newest, err
}

// schemaVersion is that of the newest migration that the file has seen, 0 for a
// new file.
func schemaVersion(ctx context.Context, path string, busy time.Duration) (v int64, err error) {
	dsn, err := connector(path, busy, "query_only(1)")
	if err != nil {
		return 0, err
	}
	c, err := connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var tables []string
	err = c.query(ctx, "SELECT name FROM sqlite_master WHERE type = 'table'", nil, func(r *row) error {
		tables = append(tables, r.text())
		return nil
	})
	if err != nil || len(tables) == 0 {
		return 0, err
	}
	if !slices.Contains(tables, goose.DefaultTablename) {
		return 0, &store.Error{Where: path, Kind: ErrCorrupt, Err: errors.New("an SQLite database, but not one of tacet")}
	}
	_, err = c.one("SELECT COALESCE(MAX(version_id), 0) FROM "+goose.DefaultTablename+" WHERE is_applied", nil,
		func(r *row) { v = r.int() })
	return v, err
}
