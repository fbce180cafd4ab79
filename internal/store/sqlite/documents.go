package sqlite

import (
	"context"
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
)

// Documents returns the store of documents.
func (db *DB) Documents() documents.Store { return docs{db} }

type docs struct{ db *DB }

func (st docs) Get(ctx context.Context, kind, key string) (documents.Document, error) {
	now := st.db.now()
	return read(ctx, st.db, func(c *conn) (documents.Document, error) { return c.document(kind, key, now) })
}

func (st docs) List(ctx context.Context, kind string, q documents.Query) ([]documents.Document, error) {
	now := st.db.now()
	return read(ctx, st.db, func(c *conn) ([]documents.Document, error) { return c.list(kind, q, now) })
}

// Update is documents.Store. There is one writer, so that any order is kept.
func (st docs) Update(ctx context.Context, _ documents.Order, f func(context.Context, documents.Tx) error) error {
	now := st.db.now()
	ev, err := write(ctx, st.db, multi, func(w *writer) ([]events.Event, error) {
		tx := &docTx{w: w, now: now}
		err := f(ctx, tx)
		if err == nil && tx.expiring {
			tx.sweep()
		}
		if tx.err != nil {
			err = tx.err // perhaps of the whole batch
		}
		return tx.events, err
	})
	if err == nil {
		st.db.committed(ev)
	}
	return err
}

const (
	selectDocument = `SELECT d.kind, d.key, d.version, d.number, COALESCE(d.expires_at, 0), d.indexed, d.body FROM `
	living         = ` AND (d.expires_at IS NULL OR d.expires_at > ?)`
)

func (c *conn) document(kind, key string, now int64) (documents.Document, error) {
	list, err := c.docs("documents d WHERE d.kind = ? AND d.key = ?"+living, kind, key, now)
	if err == nil && len(list) == 0 {
		err = documents.ErrNotFound
	}
	if err != nil {
		return documents.Document{}, err
	}
	return list[0], nil
}

func (c *conn) docs(where string, args ...any) (list []documents.Document, err error) {
	err = c.query(context.Background(), selectDocument+where, args, func(r *row) error {
		d := documents.Document{Kind: r.text(), Key: r.text()}
		version := r.int()
		d.Number = r.int()
		if at := r.int(); at != 0 {
			d.Expires = instant(at)
		}
		indexed := r.text()
		d.Body = append([]byte(nil), r.blob()...)
		list = append(list, documents.Stored(d, version, indexed))
		return nil
	})
	return list, err
}

func (c *conn) list(kind string, q documents.Query, now int64) ([]documents.Document, error) {
	var where string
	var args []any
	column := "d.key"
	if q.Index == "" {
		where, args = "documents d WHERE d.kind = ?", []any{kind}
	} else {
		// In this order: the planner takes the tables as they stand.
		where = "document_values v CROSS JOIN documents d ON d.kind = ? AND d.key = v.key WHERE v.name = ?"
		args, column = []any{kind, documents.Name(kind, q.Index)}, "v.value"
	}
	if q.Equal != "" {
		where, args, column = where+" AND "+column+" = ?", append(args, q.Equal), "d.key"
		if q.Index != "" {
			column = "v.distinct_by"
		}
	}
	if q.After != "" {
		where, args = where+" AND "+column+" > ?", append(args, q.After)
	}
	if q.Prefix != "" {
		where, args = where+" AND "+column+" >= ?", append(args, q.Prefix)
		if end := documents.End(q.Prefix); end != "" {
			where, args = where+" AND "+column+" < ?", append(args, end)
		}
	}
	order := " ORDER BY " + column
	if column == "v.value" {
		order += ", v.distinct_by"
	}
	return c.docs(where+living+order+" LIMIT ?", append(args, now, int64(max(q.Limit, 0)))...)
}

// docTx is documents.Tx on the writer's connection.
type docTx struct {
	w        *writer
	now      int64
	err      error // the first one
	events   []events.Event
	expiring bool // something was put that will be over
}

func (tx *docTx) Get(_ context.Context, kind, key string) (documents.Document, error) {
	if tx.err != nil {
		return documents.Document{}, tx.err
	}
	return tx.w.document(kind, key, tx.now)
}

func (tx *docTx) List(_ context.Context, kind string, q documents.Query) ([]documents.Document, error) {
	if tx.err != nil {
		return nil, tx.err
	}
	return tx.w.list(kind, q, tx.now)
}

// exec runs a statement unless an earlier one has failed.
func (tx *docTx) exec(query string, args ...any) (n int64) {
	if tx.err == nil {
		n, tx.err = tx.w.exec(query, args...)
		tx.err = taken(tx.err)
	}
	return n
}

func (tx *docTx) Put(d documents.Document) {
	var expires any
	if !d.Expires.IsZero() {
		expires, tx.expiring = millis(d.Expires), true
	}
	body := d.Body
	if body == nil {
		body = []byte{}
	}
	if d.Version() == 0 {
		tx.delete("d.kind = ? AND d.key = ? AND d.expires_at <= ?", d.Kind, d.Key, tx.now)
		tx.exec("INSERT INTO documents (kind, key, version, number, expires_at, indexed, body) VALUES (?, ?, 1, ?, ?, ?, ?)",
			d.Kind, d.Key, d.Number, expires, d.Indexed(), body)
	} else if tx.exec("UPDATE documents SET version = version + 1, number = ?, expires_at = ?, indexed = ?, body = ? WHERE kind = ? AND key = ? AND version = ?",
		d.Number, expires, d.Indexed(), body, d.Kind, d.Key, d.Version()) == 0 && tx.err == nil {
		tx.err = fmt.Errorf("store: the %s %q was not read in this transaction, or has been put since", d.Kind, d.Key)
	}
	add, remove, err := d.Change()
	if tx.err == nil {
		tx.err = err
	}
	tx.drop(d, remove)
	for _, v := range add {
		tx.exec("INSERT INTO document_values (name, value, distinct_by, key) VALUES (?, ?, ?, ?)",
			documents.Name(d.Kind, v.Index), v.Value, v.Distinct(d.Key), d.Key)
	}
}

// drop removes values of a document.
func (tx *docTx) drop(d documents.Document, values []documents.Value) {
	for _, v := range values {
		tx.exec("DELETE FROM document_values WHERE name = ? AND value = ? AND distinct_by = ?",
			documents.Name(d.Kind, v.Index), v.Value, v.Distinct(d.Key))
	}
}

func (tx *docTx) Delete(d documents.Document) {
	tx.delete("d.kind = ? AND d.key = ?", d.Kind, d.Key)
}

// delete removes the documents of a condition.
func (tx *docTx) delete(where string, args ...any) {
	if tx.err != nil {
		return
	}
	var list []documents.Document
	list, tx.err = tx.w.docs("documents d WHERE "+where, args...)
	for _, d := range list {
		values, err := d.Was()
		if tx.err == nil {
			tx.err = err
		}
		tx.drop(d, values)
		tx.exec("DELETE FROM documents WHERE kind = ? AND key = ?", d.Kind, d.Key)
	}
}

// sweep deletes some of what is over.
func (tx *docTx) sweep() {
	tx.delete("d.expires_at <= ? ORDER BY d.expires_at LIMIT ?", tx.now, int64(documents.Sweep))
}

func (tx *docTx) Raise(kind, index, value string) {
	tx.exec(`UPDATE documents SET number = number + 1, version = version + 1 WHERE kind = ?
		AND key IN (SELECT key FROM document_values WHERE name = ? AND value = ?)`, kind, documents.Name(kind, index), value)
}

func (tx *docTx) Append(ev ...events.Event) {
	if tx.err == nil {
		tx.err = tx.w.append(ev)
		tx.events = append(tx.events, ev...)
	}
}

// taken turns a violation of uniqueness into documents.ErrExists.
func taken(err error) error {
	var e *sqlite3.Error
	if errors.As(err, &e) && (e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return documents.ErrExists
	}
	return err
}

// EachDocument calls f with pages of all documents in order of kind and key, also
// with those that are over, for a copy of the store.
func (db *DB) EachDocument(ctx context.Context, page int, f func(list []documents.Document) error) error {
	var kind, key string
	for {
		list, err := read(ctx, db, func(c *conn) ([]documents.Document, error) {
			return c.docs("documents d WHERE (d.kind, d.key) > (?, ?) ORDER BY d.kind, d.key LIMIT ?", kind, key, int64(page))
		})
		if err == nil {
			err = f(list)
		}
		if err != nil || len(list) < page {
			return err
		}
		kind, key = list[len(list)-1].Kind, list[len(list)-1].Key
	}
}

// now is the time by which documents are over, in milliseconds.
func (db *DB) now() int64 { return millis(db.opts.Clock()) }

// committed tells of what a call has committed.
func (db *DB) committed(ev []events.Event) {
	if len(ev) > 0 && db.opts.Committed != nil {
		db.opts.Committed(ev)
	}
}
