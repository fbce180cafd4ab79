package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tacet-dev/tacet/internal/store"
)

// What can be wrong with the store. The error that wraps one of these names the
// database and says what to do.
var (
	ErrNewerSchema = &store.Kind{Text: "written by a newer version of tacet",
		Advice: "nothing was touched; run the newer version of tacet on it, or take the schema back with it (tacet migrate down)"}
	ErrUnreleased = &store.Kind{Text: "written by a version of tacet from before its first release",
		Advice: "nothing was touched; name an empty database, where users have to be added anew, or go on with the version that wrote it"}
	ErrOlderSchema = &store.Kind{Text: "its schema is not up to date", Advice: "run tacet migrate as a database user that may create tables"}
	ErrFull        = &store.Kind{Name: store.Full, Text: "no space left for the database",
		Advice: "make room on the server's disk; no acknowledged write is lost, and no restart is needed"}
	ErrReadOnly = &store.Kind{Name: store.ReadOnly, Text: "the database cannot be written to",
		Advice: "it is a standby, or it was told to be read-only; name the primary, or several hosts with target_session_attrs=read-write"}
	ErrAccess = &store.Kind{Name: store.Access, Text: "the database cannot be opened with this name and password",
		Advice: "check user, password and rights in database-url, and the server's pg_hba.conf"}
	ErrNoDatabase = &store.Kind{Text: "there is no such database", Advice: "create it (createdb), or name another in database-url"}
	ErrBusy       = &store.Kind{Name: store.Busy, Text: "the database has no connection or no lock to give",
		Advice: "raise max_connections on the server or lower database-conns on the nodes; no restart is needed"}
	ErrUnreachable = &store.Kind{Name: store.Unreachable, Text: "the database does not respond",
		Advice: "it is tried again with every call; no acknowledged write is lost, and no restart is needed"}
	ErrTimeout = &store.Kind{Name: store.Timeout, Text: "the database was too slow",
		Advice: "see what the server is busy with (pg_stat_activity); no restart is needed"}
	ErrIO = &store.Kind{Name: store.IO, Text: "the disk under the database failed",
		Advice: "look at the server's log; no acknowledged write is lost as long as the disk kept it"}
	ErrCopying = &store.Kind{Text: "tacet migrate copy has not come to its end on this database",
		Advice: "run the same copy again until it ends, or name another database"}
	ErrPooler = &store.Kind{Text: "the pooler before the database does not do what is asked of it",
		Advice: "a pooler in transaction mode keeps no prepared statements and takes few parameters: take default_query_exec_mode out of database-url (tacet " +
			"finds out by itself how to send statements), and set what else is named here at the role (ALTER ROLE … SET …); see docs/postgresql.md"}
	ErrClosed = &store.Kind{Text: "the store is closed"}
)

// final marks an error that is a result, not a failure of the database: it
// ends an attempt for good and is handed on as it is.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

func finally(err error) error {
	if err == nil {
		return nil
	}
	return final{err}
}

// state is the SQLSTATE of err, empty if the server did not send it.
func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// What a failed attempt means for the write that was tried.
type outcome uint8

const (
	refused outcome = iota // not made, and would not be the next time either
	undone                 // not made; may be tried again
	unknown                // perhaps made
)

// outcomeOf judges an error of the driver.
func outcomeOf(err error) outcome {
	code := state(err)
	switch {
	case refusesParameter(err):
		return refused
	case code == "40001", code == "40P01", // serialization failure, deadlock
		code == "57P03", // the server is starting up
		code == "53300", // too many connections: none was made
		code == "25006", // read-only: another host may be the primary now
		misses(err),
		code == "0A000" && strings.Contains(err.Error(), "cached plan"):
		return undone
	case code == "57P01", code == "57P02", code == "57P05", code == "40003", strings.HasPrefix(code, "08"):
		return unknown // shut down, or said to be unknown
	case code != "":
		return refused
	case errors.Is(err, errMoved), errors.As(err, new(*pgconn.ConnectError)), pgconn.SafeToRetry(err):
		return undone
	case errors.As(err, new(*pgconn.ParseConfigError)), errors.As(err, new(final)):
		return refused
	}
	return unknown
}

// misses reports whether a pooler has changed the server under a prepared
// statement: it is not there (26000), or another's of that name is (42P05).
func misses(err error) bool { return state(err) == "26000" || state(err) == "42P05" }

// refusesParameter reports whether a pooler did not take a parameter of the URL.
func refusesParameter(err error) bool {
	return state(err) == "08P01" && strings.Contains(err.Error(), "startup parameter")
}

// wrap turns an error of the driver into a *store.Error. Results (final) and errors
// of the caller's own context stay as they are.
func (db *DB) wrap(err error) error { return wrap(db.where, err) }

func wrap(where string, err error) error {
	var known *store.Error
	var result final
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.As(err, &result):
		return result.error
	}
	return &store.Error{Where: where, Kind: kindOf(err), Err: errors.New(summary(err))}
}

func kindOf(err error) *store.Kind {
	code := state(err)
	switch {
	case misses(err), refusesParameter(err):
		return ErrPooler
	case code == "53100":
		return ErrFull
	case code == "25006":
		return ErrReadOnly
	case strings.HasPrefix(code, "28"), code == "42501":
		return ErrAccess
	case code == "3D000":
		return ErrNoDatabase
	case code == "42P01", code == "42703", code == "3F000": // no such table, column, schema
		return ErrOlderSchema
	case code == "53300", code == "55P03", code == "40P01", code == "40001":
		return ErrBusy
	case code == "57014":
		return ErrTimeout
	case strings.HasPrefix(code, "58"), strings.HasPrefix(code, "XX"):
		return ErrIO
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"):
		return ErrUnreachable
	case code != "":
		return nil
	}
	switch {
	case errors.Is(err, errNoConnection), errors.Is(err, errMoved):
		return ErrBusy
	case errors.As(err, new(*pgconn.ConnectError)):
		return ErrUnreachable
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return ErrTimeout
	}
	return ErrUnreachable // what is left comes from a broken connection
}

// summary is an error of the driver in one line. A *pgconn.ConnectError lists
// every host that was tried; neither holds the password.
func summary(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return fmt.Sprintf("%s, SQLSTATE %s", e.Message, e.Code)
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
