package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/store"
)

// Options for Open. The zero value is fine.
type Options struct {
	// Conns is how many connections this node opens at most; 12 if zero, at
	// least MinConns.
	Conns int
	// Timeout is how long a call may take, waiting and repeating included; 5 s
	// if zero. A server that is gone is found out at once; this is for one that
	// hangs.
	Timeout time.Duration
	// Single sends each renewal as a statement of its own, for databases that are
	// spread over several machines: a statement about many sessions would need all
	// of these.
	Single bool
	// ListenURL names the database for the connection that listens, if the other
	// URL leads to a pooler, which carries no notifications.
	ListenURL string
	// Logger, if set, is told what is peculiar about the database.
	Logger *slog.Logger
	// Poll is how often the tables are looked at for what other nodes have
	// committed, in case no notification arrives; 1 s if zero.
	Poll time.Duration
	// Notify, if set, is called after a commit that added events and after
	// another node was seen to have added some. It must return at once and not
	// call the store.
	Notify func()
	// Committed, if set, is told of the events that a call has committed, and of
	// those of an End that found its session ended, before the call returns.
	Committed func([]events.Event)
	// Clock is by what time documents are over; time.Now if nil.
	Clock func() time.Time
	// Elsewhere, if set, is called when another node was seen to have made
	// a Serial update, before the result of any call that saw it. As Notify.
	Elsewhere func()
	// Batch, if set, is told how many renewals went to the server together. As
	// Notify.
	Batch func(renewals int)
	// Tracer, if set, is told of the statements.
	Tracer pgx.QueryTracer
}

// DB is an open database. Its methods may be called concurrently.
type DB struct {
	opts  Options
	where string
	id    pgtype.UUID // of this node, for leases

	pooled atomic.Bool // there is a pooler before the database
	chosen bool        // the URL says how statements are sent
	knows  bool        // the server knows all of parameters and forRenewals

	pool    *pgxpool.Pool // everything but renewals
	renewer *renewer
	texts   texts
	sweep   sweep
	watch   *watcher

	seen      atomic.Int64 // number of the newest event that is known of
	directory atomic.Int64 // version of users and roles that is known of
	closed    atomic.Bool
}

// MinConns is the least of Options.Conns: renewals have two connections of
// their own and listening has one.
const MinConns = renewers + 2

const (
	defaultConns   = 12
	defaultTimeout = 5 * time.Second
	defaultPoll    = time.Second
	connectTimeout = 3 * time.Second
)

func (o Options) withDefaults() (Options, error) {
	if o.Conns == 0 {
		o.Conns = defaultConns
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Conns < MinConns || o.Timeout < 0 || o.Poll < 0 {
		return o, fmt.Errorf("store: %d connections, time-out %s: at least %d connections and a positive time-out are needed", o.Conns, o.Timeout, MinConns)
	}
	return o, nil
}

// moving is how many connections are for renewals.
func (o Options) moving() int {
	if o.Single {
		return max(renewers, o.Conns/2)
	}
	return renewers
}

// Open connects to the database that a URL names (postgres://user:password@
// host:port/database?parameters, several hosts are allowed; the parameters are
// libpq's and pgx's) and brings its schema up to date. Errors are of type
// *Error and wrap one of this package's Err… values where one fits; they hold
// no password. ctx bounds the opening only.
func Open(ctx context.Context, rawURL string, opts Options) (*DB, error) {
	return open(ctx, rawURL, opts, false)
}

func open(ctx context.Context, rawURL string, opts Options, importing bool) (*DB, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg, where, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	var listen *pgxpool.Config
	if opts.ListenURL != "" {
		if listen, _, err = parse(opts.ListenURL); err != nil {
			return nil, err
		}
	}
	db := &DB{opts: opts, where: where, id: newUUID(), chosen: chosenMode(rawURL)}
	if err := db.prepare(ctx, cfg); err != nil {
		return nil, err
	}
	db.texts.init()
	db.sweep.unused, db.sweep.textsAt = textUnused, math.MinInt64
	if db.pool, err = db.newPool(ctx, cfg, opts.Conns-opts.moving()-1, parameters(opts.Timeout)); err != nil {
		return nil, db.wrap(err)
	}
	if err := db.checkReady(ctx, importing); err != nil {
		db.pool.Close()
		return nil, err
	}
	renewals, err := db.newPool(ctx, cfg, opts.moving(), forRenewals(opts.Timeout))
	if err != nil {
		db.pool.Close()
		return nil, db.wrap(err)
	}
	db.renewer = startRenewers(db, renewals)
	db.watch = startWatcher(db, db.listenAt(cfg.ConnConfig, listen))
	return db, nil
}

// prepare brings the schema up to date and finds out what kind of server it is.
func (db *DB) prepare(ctx context.Context, cfg *pgxpool.Config) error {
	m, err := newMigrator(ctx, cfg.ConnConfig, db.where, migrations())
	if err != nil {
		return err
	}
	defer m.close()
	db.knows = m.server.knows
	db.pooled.Store(m.server.pooled)
	if !m.server.durable {
		db.opts.Logger.Warn("synchronous_commit is off for this database or its user: tacet turns it on for its own transactions", "database", db.where)
	}
	return m.up(ctx)
}

// checkReady reads the counters, and refuses a database that is not whole.
func (db *DB) checkReady(ctx context.Context, importing bool) error {
	c, err := db.counters(ctx)
	if err != nil {
		return err
	}
	if c["copying"] != 0 && !importing {
		return &store.Error{Where: db.where, Kind: ErrCopying}
	}
	db.seen.Store(c["events"])
	db.directory.Store(c["directory"])
	return nil
}

// CheckURL reports what is wrong with a database URL, without connecting.
func CheckURL(rawURL string) error {
	_, _, err := parse(rawURL)
	return err
}

// Where names the database that a URL means, without user and password.
func Where(rawURL string) string {
	_, where, err := parse(rawURL)
	if err != nil {
		return "(not a database URL)"
	}
	return where
}

func parse(rawURL string) (*pgxpool.Config, string, error) {
	if !strings.HasPrefix(rawURL, "postgres://") && !strings.HasPrefix(rawURL, "postgresql://") {
		return nil, "", errors.New("the database URL must have the form postgres://user:password@host:5432/database")
	}
	cfg, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		// The driver's text may quote parts of the URL.
		reason := "a part of it cannot be read"
		if _, e := url.Parse(rawURL); e != nil {
			reason = "characters like @ : / ? # % in a password must be percent-encoded"
		}
		return nil, "", fmt.Errorf("the database URL is not valid: %s; its form is postgres://user:password@host:5432/database?sslmode=verify-full", reason)
	}
	c := cfg.ConnConfig
	if c.ConnectTimeout == 0 || c.ConnectTimeout > 2*time.Minute { // pgx: 2 minutes
		c.ConnectTimeout = connectTimeout
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "tacet"
	}
	hosts := fmt.Sprintf("%s:%d", c.Host, c.Port)
	for _, f := range c.Fallbacks {
		if h := fmt.Sprintf("%s:%d", f.Host, f.Port); !strings.Contains(hosts, h) { // also once with and once without TLS
			hosts += "," + h
		}
	}
	return cfg, hosts + "/" + c.Database, nil
}

// newPool makes a pool of up to n connections, directly to the server under
// parameters of their own.
func (db *DB) newPool(ctx context.Context, base *pgxpool.Config, n int, list []parameter) (*pgxpool.Pool, error) {
	cfg := base.Copy()
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = int32(n), 0, 0
	cfg.PingTimeout = db.opts.Timeout
	cfg.ConnConfig.Tracer = db.opts.Tracer
	cfg.BeforeConnect = db.unprepared
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { return db.greet(ctx, c, list) }
	return pgxpool.NewWithConfig(ctx, cfg)
}

// Close waits for the writes that are under way or queued, then disconnects.
// Calls that come later fail with ErrClosed.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	db.watch.stop()
	db.renewer.stop()
	db.pool.Close()
	return nil
}

// Queued is how many renewals wait to be sent.
func (db *DB) Queued() int { return len(db.renewer.queue) }

// Pools are the pool of renewals and that of everything else.
func (db *DB) Pools() (renewals, others *pgxpool.Stat) { return db.renewer.pool.Stat(), db.pool.Stat() }

// Size is how many bytes the tables and their indexes take on the server.
func (db *DB) Size() (int64, error) {
	return read(context.Background(), db, func(ctx context.Context, c *pgxpool.Conn) (size int64, err error) {
		err = c.QueryRow(ctx, `SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
			WHERE relkind = 'r' AND relname LIKE 'tacet!_%' ESCAPE '!' AND pg_table_is_visible(oid)`).Scan(&size)
		return size, err
	})
}

// Check makes one durable write, and returns an *Error that says what is wrong
// if that fails.
func (db *DB) Check(ctx context.Context) error {
	return db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE tacet_counters SET value = value + 1 WHERE name = 'checked'")
		return err
	})
}

func newUUID() (id pgtype.UUID) {
	rand.Read(id.Bytes[:]) // never fails (since Go 1.24)
	id.Valid = true
	return id
}
