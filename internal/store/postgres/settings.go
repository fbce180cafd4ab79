package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A pooler in transaction mode (pgbouncer) lends a connection of the server for
// one transaction. What a session of the server remembers is then of no use, and
// does harm where others get the connection: parameters, prepared statements,
// LISTEN, session locks. So behind a pooler the parameters that a statement needs
// go with its transaction (SET LOCAL, written as set_config), statements are not
// prepared by name, and notifications need an address of their own.
//
// Directly connected, parameters are set once for each connection.

// parameter is one of the server's: its name and an SQL expression for its value.
type parameter struct{ name, value string }

// durable makes a commit wait for the disk where the database, the role or the
// pooler has turned that off. Stronger values (remote_apply) stay.
var durable = parameter{"synchronous_commit", "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END"}

// parameters are what the server must know for calls that may take limit: it
// gives up what this node has given up.
func parameters(limit time.Duration) []parameter {
	return []parameter{within("statement_timeout", limit), within("idle_in_transaction_session_timeout", limit), durable}
}

func within(name string, limit time.Duration) parameter {
	return parameter{name, fmt.Sprintf("'%d'", limit.Milliseconds())}
}

// forRenewals also keeps the server from planning to read the whole table while it
// is small, and from holding on to that plan when it has grown.
func forRenewals(limit time.Duration) []parameter {
	return append(parameters(limit), within("lock_timeout", lockWait),
		parameter{"enable_seqscan", "'off'"}, parameter{"enable_hashjoin", "'off'"}, parameter{"enable_mergejoin", "'off'"})
}

// set is the list of expressions of a SELECT that sets parameters; local is an SQL
// condition: for the running transaction, or else for the session.
func set(list []parameter, local string) string {
	calls := make([]string, len(list))
	for i, p := range list {
		calls[i] = fmt.Sprintf("set_config('%s', %s, %s)", p.name, p.value, local)
	}
	return strings.Join(calls, ", ")
}

// setLocal is a statement that sets parameters for the running transaction.
func setLocal(list []parameter) string { return "SELECT " + set(list, "true") }

// server is what a connection tells about whom it leads to.
type server struct {
	// pooled: the server's process is not the one that the connection was told
	// about when it was made, so something between lends it.
	pooled bool
	// durable: synchronous_commit is not off for this database and role.
	durable bool
	// knows: all parameters of forRenewals exist.
	knows bool
}

// ask reads what the server says. It uses no prepared statement.
func ask(ctx context.Context, c *pgx.Conn) (s server, err error) {
	names := make([]string, 0, 8)
	for _, p := range forRenewals(0) {
		names = append(names, "'"+p.name+"'")
	}
	var pid, known int64
	err = c.QueryRow(ctx, "SELECT pg_backend_pid(), current_setting('synchronous_commit', true) IS DISTINCT FROM 'off', (SELECT COUNT(*) FROM pg_settings WHERE name IN ("+
		strings.Join(names, ", ")+"))", pgx.QueryExecModeSimpleProtocol).Scan(&pid, &s.durable, &known)
	s.pooled, s.knows = uint32(pid) != c.PgConn().PID(), known == int64(len(names))
	return s, err
}

// errPooled ends a connection that was made for a server of its own and does not
// have one.
var errPooled = errors.New("there is a pooler before the database")

// greet prepares a new connection of a pool: one that leads to a server of its own
// gets its parameters, in the round trip that finds that out.
func (db *DB) greet(ctx context.Context, c *pgx.Conn, list []parameter) error {
	pid := c.PgConn().PID()
	query := "SELECT pg_backend_pid()"
	if db.knows {
		query += ", " + set(list, fmt.Sprintf("pg_backend_pid() <> %d", pid))
	}
	results, err := c.PgConn().Exec(ctx, query).ReadAll()
	if err != nil {
		return err
	}
	if string(results[0].Rows[0][0]) == fmt.Sprint(pid) || db.pooled.Load() {
		return nil
	}
	db.foundPooler()
	return errPooled
}

// foundPooler is called when it turns out after the opening that there is one.
func (db *DB) foundPooler() {
	if !db.pooled.Swap(true) {
		db.opts.Logger.Warn("a pooler was found before the database: from now on parameters go with each transaction", "database", db.where)
	}
}

// unprepared lets a connection through a pooler do without named statements,
// unless the URL says how statements are sent.
func (db *DB) unprepared(_ context.Context, cfg *pgx.ConnConfig) error {
	if db.pooled.Load() && !db.chosen {
		cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return nil
}

// chosenMode reports whether a URL says how statements are sent.
func chosenMode(rawURL string) bool {
	u, err := url.Parse(rawURL)
	return err == nil && u.Query().Has("default_query_exec_mode")
}

// begin starts a transaction in which the server gives up after limit.
func (db *DB) begin(ctx context.Context, c *pgxpool.Conn, limit time.Duration) (pgx.Tx, error) {
	var opts pgx.TxOptions
	if db.knows && (db.pooled.Load() || limit != db.opts.Timeout) {
		opts.BeginQuery = "BEGIN; " + setLocal(parameters(limit))
	}
	return c.BeginTx(ctx, opts)
}

// run runs one statement as a transaction of its own, under the parameters of
// list, in one round trip. read reads the rows to their end; nothing of them
// counts if run returns an error.
func (db *DB) run(ctx context.Context, c *pgxpool.Conn, list []parameter, read func(pgx.Rows) error, sql string, args ...any) error {
	if !db.knows || !db.pooled.Load() {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		return read(rows)
	}
	batch := &pgx.Batch{} // without a transaction of its own, it is one
	batch.Queue(setLocal(list))
	batch.Queue(sql, args...)
	results := c.SendBatch(ctx, batch)
	_, err := results.Exec()
	if err == nil {
		rows, e := results.Query()
		if err = e; err == nil {
			err = read(rows)
		}
	}
	if e := results.Close(); err == nil { // which is the commit
		err = e
	}
	return err
}

// exec is run for a statement that returns no rows. Every write outside a
// transaction whose loss would matter goes through it.
func (db *DB) exec(ctx context.Context, c *pgxpool.Conn, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = db.run(ctx, c, parameters(db.opts.Timeout), func(rows pgx.Rows) error {
		rows.Close()
		tag = rows.CommandTag()
		return rows.Err()
	}, sql, args...)
	return tag, err
}
