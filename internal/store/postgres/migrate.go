package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tacet-dev/tacet/internal/store"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are the embedded files.
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
	// node at a time migrates. It belongs to a transaction: a pooler would give a
	// session that holds one to somebody else.
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
	// Waiting inside the server would be one more connection of a pooler, of which
	// there may be too few.
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
	m, err := connect(ctx, rawURL, migrations())
	if err != nil {
		return Schema{}, err
	}
	defer m.close()
	s, err := m.schema(ctx, m.conn)
	return s, wrap(m.where, err)
}

// Migrate brings the schema up to date, as Open does.
func Migrate(ctx context.Context, rawURL string) error {
	m, err := connect(ctx, rawURL, migrations())
	if err != nil {
		return err
	}
	defer m.close()
	return m.up(ctx)
}

// MigrateDown takes the schema back to the version given, which an older
// program knows. To take it back to 0 deletes everything.
func MigrateDown(ctx context.Context, rawURL string, version int64) error {
	m, err := connect(ctx, rawURL, migrations())
	if err != nil {
		return err
	}
	defer m.close()
	return m.down(ctx, version)
}

// migrator is one connection that looks after the schema.
type migrator struct {
	where  string
	conn   *pgx.Conn
	server server
	steps  []step // in order
}

// step is one migration: a file of the form of goose, whose parts are SQL.
type step struct {
	version  int64
	up, down string
}

// connect connects to the database that a URL names.
func connect(ctx context.Context, rawURL string, files fs.FS) (*migrator, error) {
	cfg, where, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	return newMigrator(ctx, cfg.ConnConfig, where, files)
}

func newMigrator(ctx context.Context, base *pgx.ConnConfig, where string, files fs.FS) (*migrator, error) {
	steps, err := readSteps(files)
	if err != nil {
		return nil, err
	}
	cfg := base.Copy()
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // no named statements, which a pooler would mix up
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, wrap(where, err)
	}
	m := &migrator{where: where, conn: conn, steps: steps}
	if m.server, err = ask(ctx, conn); err != nil {
		m.close()
		return nil, wrap(where, err)
	}
	return m, nil
}

// close tells the server, which need not respond.
func (m *migrator) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = m.conn.Close(ctx)
}

func readSteps(files fs.FS) ([]step, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		up, down, ok := strings.Cut(string(data), "-- +goose Down")
		if err != nil || !ok {
			return nil, fmt.Errorf("the migration %s has no number or no way back", name)
		}
		steps = append(steps, step{version, up, down})
	}
	slices.SortFunc(steps, func(a, b step) int { return int(a.version - b.version) })
	return steps, nil
}

func (m *migrator) first() int64 { return m.steps[0].version }
func (m *migrator) knows() int64 { return m.steps[len(m.steps)-1].version }

// up brings the schema up to date, or refuses it without having touched it. Of
// nodes that start together, one migrates and the others wait.
func (m *migrator) up(ctx context.Context) error {
	s, err := m.schema(ctx, m.conn)
	for _, step := range m.steps {
		if err != nil || s.Has >= step.version { // the usual start takes no lock
			continue
		}
		err = m.locked(ctx, func(tx pgx.Tx, now Schema) error {
			if s = now; s.Has >= step.version {
				return nil
			}
			return m.apply(ctx, tx, step)
		})
	}
	if err == nil {
		err = m.runs(s)
	}
	return wrap(m.where, err)
}

// apply makes one step up and notes it in the table, which is of goose's form.
func (m *migrator) apply(ctx context.Context, tx pgx.Tx, s step) error {
	there, err := m.has(ctx, tx, versionTable)
	if err == nil && !there {
		_, err = tx.Exec(ctx, "CREATE TABLE "+versionTable+` (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL,
			is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now()); INSERT INTO `+versionTable+" (version_id, is_applied) VALUES (0, true)")
	}
	if err == nil {
		_, err = tx.Exec(ctx, s.up)
	}
	if err == nil {
		_, err = tx.Exec(ctx, "INSERT INTO "+versionTable+" (version_id, is_applied) VALUES ($1, true)", s.version)
	}
	return err
}

func (m *migrator) down(ctx context.Context, version int64) error {
	return wrap(m.where, m.locked(ctx, func(tx pgx.Tx, s Schema) error {
		switch {
		case s.Has > s.Knows:
			return m.newer(s, "the way back from it is known to the newer program: run tacet migrate down with that one")
		case version != 0 && version < m.first() || version > s.Has:
			return fmt.Errorf("the schema has version %d: it can be taken back to %d…%d, or to 0, which deletes everything, and not to %d", s.Has, m.first(), s.Has, version)
		}
		for _, step := range slices.Backward(m.steps) {
			if step.version <= version || step.version > s.Has {
				continue
			}
			if _, err := tx.Exec(ctx, step.down); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "DELETE FROM "+versionTable+" WHERE version_id > $1", version)
		return err
	}))
}

// locked runs f in a transaction while no other node migrates. It is made again
// if it did not get hold of a table in time.
func (m *migrator) locked(ctx context.Context, f func(pgx.Tx, Schema) error) error {
	for tries := 0; ; {
		got, err := m.try(ctx, f)
		wait := lockRetry
		switch {
		case state(err) == "55P03":
			if tries++; tries == tableTries {
				return err
			}
			wait = tableRetry
		case err != nil || got:
			return err
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = errors.New("another node has been migrating for too long")
			}
			return fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// try is locked once; got is false if another node migrates.
func (m *migrator) try(ctx context.Context, f func(pgx.Tx, Schema) error) (got bool, err error) {
	var opts pgx.TxOptions
	if m.server.knows {
		opts.BeginQuery = "BEGIN; " + setLocal([]parameter{within("lock_timeout", tableWait), within("statement_timeout", 0), durable})
	}
	tx, err := m.conn.BeginTx(ctx, opts)
	if err != nil {
		return false, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // does nothing after a commit
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(migrationLock)).Scan(&got); err != nil || !got {
		return false, err
	}
	s, err := m.schema(ctx, tx)
	if err == nil {
		err = f(tx, s)
	}
	if err != nil {
		return false, err
	}
	return true, tx.Commit(ctx)
}

// rowQuerier is a connection or a transaction.
type rowQuerier interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}

// has reports whether there is a table. To try it would end a transaction.
func (m *migrator) has(ctx context.Context, q rowQuerier, table string) (there bool, err error) {
	err = q.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there)
	return there, err
}

func (m *migrator) schema(ctx context.Context, q rowQuerier) (Schema, error) {
	s := Schema{Knows: m.knows()}
	there, err := m.has(ctx, q, versionTable)
	if err != nil || !there { // an empty database
		return s, err
	}
	err = q.QueryRow(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&s.Has)
	if err == nil && s.Has > 0 && s.Has < m.first() {
		return s, m.unreleased(ctx, q, s)
	}
	if err == nil && s.Has > 0 {
		err = q.QueryRow(ctx, "SELECT COALESCE(MAX(value), 0) FROM tacet_counters WHERE name = $1", compatibleFrom).Scan(&s.From)
	}
	return s, err
}

// unreleased is the error for a database whose schema no release had. It says
// which part the database played if there were several (shards).
func (m *migrator) unreleased(ctx context.Context, q rowQuerier, s Schema) error {
	why := fmt.Errorf("its schema has version %d, and that of the first release is %d", s.Has, m.first())
	var shard int
	there, err := m.has(ctx, q, "tacet_database")
	if err == nil && there {
		err = q.QueryRow(ctx, "SELECT shard FROM tacet_database").Scan(&shard)
	}
	switch {
	case !there || errors.Is(err, pgx.ErrNoRows): // it was the only one
	case err != nil:
		return err
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
