package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
)

// Documents returns the store of documents.
func (db *DB) Documents() documents.Store { return docs{db} }

type docs struct{ db *DB }

func (st docs) Get(ctx context.Context, kind, key string) (documents.Document, error) {
	now := st.db.now()
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) (documents.Document, error) {
		d, err := getDocument(ctx, c, kind, key, now, "")
		if errors.Is(err, documents.ErrNotFound) {
			err = finally(err)
		}
		return d, err
	})
}

func (st docs) List(ctx context.Context, kind string, q documents.Query) ([]documents.Document, error) {
	now := st.db.now()
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]documents.Document, error) {
		return listDocuments(ctx, c, kind, q, now)
	})
}

// bulkTime is how many times longer than other calls a Bulk update may take.
const bulkTime = 24

// Update is documents.Store. A Serial one first raises the version that tells
// other nodes; it stays locked until the commit, so that such updates come one
// after the other.
func (st docs) Update(ctx context.Context, order documents.Order, f func(context.Context, documents.Tx) error) error {
	limit := st.db.opts.Timeout
	if order == documents.Bulk {
		limit *= bulkTime
	}
	now := st.db.now()
	var version int64
	err := st.db.commitFor(ctx, limit, func(ctx context.Context, pg pgx.Tx) ([]events.Event, error) {
		if order != documents.Loose {
			err := pg.QueryRow(ctx, "UPDATE tacet_counters SET value = value + 1 WHERE name = 'directory' RETURNING value").Scan(&version)
			if err != nil {
				return nil, err
			}
		}
		tx := &docTx{ctx: ctx, pg: pg, now: now}
		if err := f(ctx, tx); err != nil && tx.err == nil {
			return nil, finally(err)
		}
		if tx.expiring {
			tx.sweep()
		}
		tx.flush()
		return tx.events, tx.err
	})
	if err == nil && order != documents.Loose {
		st.db.changedDirectory(version)
	}
	return err
}

const selectDocument = `SELECT d.kind, d.key, d.version, d.number, d.expires_at, d.indexed, d.body FROM `

type querier interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}

func queryDocuments(ctx context.Context, q querier, where string, args ...any) ([]documents.Document, error) {
	rows, err := q.Query(ctx, selectDocument+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (documents.Document, error) {
		var d documents.Document
		var version int64
		var expires *int64
		var indexed string
		err := row.Scan(&d.Kind, &d.Key, &version, &d.Number, &expires, &indexed, &d.Body)
		if expires != nil {
			d.Expires = instant(*expires)
		}
		return documents.Stored(d, version, indexed), err
	})
}

func getDocument(ctx context.Context, q querier, kind, key string, now int64, lock string) (documents.Document, error) {
	if !storable(key) {
		return documents.Document{}, documents.ErrNotFound
	}
	list, err := queryDocuments(ctx, q, "tacet_documents d WHERE d.kind = $1 AND d.key = $2 AND (d.expires_at IS NULL OR d.expires_at > $3)"+lock, kind, key, now)
	if err == nil && len(list) == 0 {
		err = documents.ErrNotFound
	}
	if err != nil {
		return documents.Document{}, err
	}
	return list[0], nil
}

// listDocuments writes the limit into the statement: the planner must know it.
func listDocuments(ctx context.Context, q querier, kind string, query documents.Query, now int64) ([]documents.Document, error) {
	if !storable(query.Equal) || !storable(query.Prefix) {
		return nil, nil // no document has such a value
	}
	if !storable(query.After) {
		return nil, finally(fmt.Errorf("store: no %s has a value like %q, after which others could be listed", kind, query.After))
	}
	var where strings.Builder
	args := []any{kind, now}
	add := func(condition string, arg any) {
		args = append(args, arg)
		fmt.Fprintf(&where, " AND %s $%d", condition, len(args))
	}
	from, column := "tacet_documents d", "d.key"
	if query.Index != "" {
		from, column = "tacet_document_values v JOIN tacet_documents d ON d.key = v.key", "v.value"
		add("v.name =", documents.Name(kind, query.Index))
	}
	if query.Equal != "" {
		add(column+" =", query.Equal)
		if column = "d.key"; query.Index != "" {
			column = "v.distinct_by"
		}
	}
	if query.After != "" {
		add(column+" >", query.After)
	}
	if query.Prefix != "" {
		add(column+" >=", query.Prefix)
		if end := documents.End(query.Prefix); end != "" {
			add(column+" <", end)
		}
	}
	order := column
	if column == "v.value" {
		order += ", v.distinct_by"
	}
	return queryDocuments(ctx, q, fmt.Sprintf("%s WHERE d.kind = $1 AND (d.expires_at IS NULL OR d.expires_at > $2)%s ORDER BY %s LIMIT %d",
		from, where.String(), order, max(query.Limit, 0)), args...)
}

// maxQueued bounds how many statements of an Update go to the server together.
const maxQueued = 1000

// docTx is documents.Tx. Writes go to the server together, before the next reading
// or at the end.
type docTx struct {
	ctx      context.Context // of the transaction
	pg       pgx.Tx
	now      int64
	queued   pgx.Batch
	err      error // the first one
	events   []events.Event
	expiring bool // something was put that will be over
}

// queue adds a statement. must: it has to change a row, or this is the error.
func (tx *docTx) queue(must error, statement string, args ...any) {
	if tx.err != nil {
		return
	}
	tx.queued.Queue(statement, args...).Exec(func(tag pgconn.CommandTag) error {
		if must != nil && tag.RowsAffected() == 0 {
			return must
		}
		return nil
	})
	if tx.queued.Len() >= maxQueued {
		tx.flush()
	}
}

// flush sends what is queued.
func (tx *docTx) flush() {
	if tx.err != nil || tx.queued.Len() == 0 {
		return
	}
	batch := tx.queued
	tx.queued = pgx.Batch{}
	if err := tx.pg.SendBatch(tx.ctx, &batch).Close(); err != nil {
		tx.err = taken(err)
	}
}

func (tx *docTx) Get(ctx context.Context, kind, key string) (documents.Document, error) {
	if tx.flush(); tx.err != nil {
		return documents.Document{}, tx.err
	}
	d, err := getDocument(ctx, tx.pg, kind, key, tx.now, " FOR UPDATE")
	if err != nil && !errors.Is(err, documents.ErrNotFound) {
		tx.err = err
	}
	return d, err
}

func (tx *docTx) List(ctx context.Context, kind string, q documents.Query) ([]documents.Document, error) {
	if tx.flush(); tx.err != nil {
		return nil, tx.err
	}
	list, err := listDocuments(ctx, tx.pg, kind, q, tx.now)
	tx.err = err
	return list, err
}

// errMoved is of a document that was listed, and has been changed since by
// somebody else: the transaction is made again.
var errMoved = errors.New("a document has been changed since it was listed")

func (tx *docTx) Put(d documents.Document) {
	var expires *int64
	if !d.Expires.IsZero() {
		expires, tx.expiring = new(millis(d.Expires)), true
	}
	body := append([]byte{}, d.Body...)
	if d.Version() == 0 {
		if expires != nil {
			tx.remove("d.kind = $1 AND d.key = $2 AND d.expires_at <= $3", d.Kind, d.Key, tx.now)
		}
		tx.queue(nil, "INSERT INTO tacet_documents (kind, key, version, number, expires_at, indexed, body) VALUES ($1, $2, 1, $3, $4, $5, $6)",
			d.Kind, d.Key, d.Number, expires, d.Indexed(), body)
	} else {
		tx.queue(errMoved, `UPDATE tacet_documents SET version = version + 1, number = $4, expires_at = $5, indexed = $6, body = $7
			WHERE kind = $1 AND key = $2 AND version = $3`, d.Kind, d.Key, d.Version(), d.Number, expires, d.Indexed(), body)
	}
	add, remove, err := d.Change()
	if tx.err == nil && err != nil {
		tx.err = finally(err)
	}
	tx.drop(d, remove)
	tx.insert(d, add, "")
}

// restore puts a document as it was in another store, with its version and index.
// A value that a document has which is still to be replaced is taken from it.
func (tx *docTx) restore(d documents.Document) {
	var expires *int64
	if !d.Expires.IsZero() {
		expires = new(millis(d.Expires))
	}
	values, err := d.Was()
	if tx.err == nil && err != nil {
		tx.err = finally(err)
	}
	d.Index = values
	tx.queue(nil, "INSERT INTO tacet_documents (kind, key, version, number, expires_at, indexed, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		d.Kind, d.Key, d.Version(), d.Number, expires, d.Indexed(), append([]byte{}, d.Body...))
	tx.insert(d, values, "ON CONFLICT (name, value, distinct_by) DO UPDATE SET key = excluded.key")
}

// insert adds values of a document.
func (tx *docTx) insert(d documents.Document, values []documents.Value, conflict string) {
	if len(values) == 0 {
		return
	}
	names, texts, distinct := columns(d, values)
	tx.queue(nil, `INSERT INTO tacet_document_values (name, value, distinct_by, key)
		SELECT n, v, d, $4 FROM unnest($1::text[], $2::text[], $3::text[]) AS t (n, v, d) `+conflict, names, texts, distinct, d.Key)
}

func columns(d documents.Document, values []documents.Value) (names, texts, distinct []string) {
	for _, v := range values {
		names, texts, distinct = append(names, documents.Name(d.Kind, v.Index)), append(texts, v.Value), append(distinct, v.Distinct(d.Key))
	}
	return names, texts, distinct
}

// drop removes values of a document.
func (tx *docTx) drop(d documents.Document, values []documents.Value) {
	if len(values) == 0 {
		return
	}
	names, texts, distinct := columns(d, values)
	tx.queue(nil, `DELETE FROM tacet_document_values WHERE (name, value, distinct_by) IN
		(SELECT n, v, d FROM unnest($1::text[], $2::text[], $3::text[]) AS t (n, v, d)) AND key = $4`, names, texts, distinct, d.Key)
}

func (tx *docTx) Delete(d documents.Document) {
	values, err := d.Was()
	if tx.err == nil && err != nil {
		tx.err = finally(err)
	}
	tx.drop(d, values)
	tx.queue(errMoved, "DELETE FROM tacet_documents WHERE kind = $1 AND key = $2 AND version = $3", d.Kind, d.Key, d.Version())
}

// remove deletes the documents of a condition. Rows that another node has locked
// are left to it.
func (tx *docTx) remove(where string, args ...any) {
	if tx.flush(); tx.err != nil {
		return
	}
	var list []documents.Document
	list, tx.err = queryDocuments(tx.ctx, tx.pg, "tacet_documents d WHERE "+where+" FOR UPDATE SKIP LOCKED", args...)
	for _, d := range list {
		tx.Delete(d)
	}
}

// sweep deletes some of what is over.
func (tx *docTx) sweep() {
	tx.remove(fmt.Sprintf("d.expires_at <= $1 ORDER BY d.expires_at LIMIT %d", documents.Sweep), tx.now)
}

func (tx *docTx) Raise(kind, index, value string) {
	tx.queue(nil, `UPDATE tacet_documents SET number = number + 1, version = version + 1 WHERE kind = $1
		AND key IN (SELECT key FROM tacet_document_values WHERE name = $2 AND value = $3)`, kind, documents.Name(kind, index), value)
}

func (tx *docTx) Append(ev ...events.Event) { tx.events = append(tx.events, ev...) }

// taken turns a violation of uniqueness into documents.ErrExists.
func taken(err error) error {
	if state(err) == "23505" {
		return finally(documents.ErrExists)
	}
	return err
}

// EachDocument calls f with pages of all documents in order of kind and key, also
// with those that are over, for a copy of the store.
func (db *DB) EachDocument(ctx context.Context, page int, f func(list []documents.Document) error) error {
	var kind, key string
	for {
		list, err := read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) ([]documents.Document, error) {
			return queryDocuments(ctx, c, fmt.Sprintf("tacet_documents d WHERE (d.kind, d.key) > ($1, $2) ORDER BY d.kind, d.key LIMIT %d", page), kind, key)
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
