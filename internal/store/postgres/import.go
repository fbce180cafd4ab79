package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store"
	"github.com/tacet-dev/tacet/rotation"
)

// Import fills a database with what another store holds. Until Finish no node
// opens the database. Each method makes one stretch of a table equal to what it
// is given, and does not touch it if it is already: so a copy that was broken
// off is simply made again.
type Import struct{ *DB }

// ErrNotEmpty is wrapped when the database to copy to holds data of its own.
var ErrNotEmpty = &store.Kind{Text: "the database is not empty"}

// OpenImport begins an import, or takes up one that was broken off. The
// database must hold nothing else.
func OpenImport(ctx context.Context, rawURL string, opts Options) (*Import, error) {
	db, err := open(ctx, rawURL, opts, true)
	if err != nil {
		return nil, err
	}
	err = db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO tacet_counters (name, value) VALUES ('copying', 1) ON CONFLICT (name) DO NOTHING")
		if err != nil || tag.RowsAffected() == 0 {
			return err // taken up again
		}
		return db.unused(ctx, tx)
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Import{db}, nil
}

// unused is an error wrapping ErrNotEmpty if the database holds data.
func (db *DB) unused(ctx context.Context, tx pgx.Tx) error {
	var used bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM tacet_sessions) OR EXISTS (SELECT 1 FROM tacet_documents)
		OR EXISTS (SELECT 1 FROM tacet_counters WHERE name = 'events' AND value > 0)`).Scan(&used)
	if err == nil && used {
		err = finally(&store.Error{Where: db.where, Kind: ErrNotEmpty, Err: errors.New("it has been used by tacet; nothing was changed")})
	}
	return err
}

// Sessions is DB.Sessions, but that Sweep, which nobody else does meanwhile, needs
// no lease and deletes nothing: it is for reading everything.
func (im *Import) Sessions() session.Store { return imported{sessions{im.DB}} }

type imported struct{ sessions }

// Sweep is session.Store.
func (st imported) Sweep(ctx context.Context, from rotation.SessionID, limit int, look func(session.Session) bool) (next rotation.SessionID, _ int, err error) {
	list, err := read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]session.Session, error) {
		return st.db.query(ctx, c, "WHERE s.id > $1 ORDER BY s.id LIMIT $2", uuid(from), limit)
	})
	for _, s := range list {
		look(s)
	}
	if err == nil && len(list) == limit {
		next = list[limit-1].ID
	}
	return next, 0, err
}

// Finish lets nodes open the database.
func (im *Import) Finish(ctx context.Context) error {
	return im.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM tacet_counters WHERE name = 'copying'")
		return err
	})
}

// PutSessions makes list all sessions after the id from, up to the last of the
// list or, if that is the end, to the end of the table. It reports whether
// there was anything to do.
func (im *Import) PutSessions(ctx context.Context, from rotation.SessionID, list []session.Session, end bool) (changed bool, err error) {
	upto := rotation.SessionID{}
	for i := range upto {
		upto[i] = 0xff
	}
	if !end {
		upto = list[len(list)-1].ID
	}
	err = im.repeat(ctx, im.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		there, err := im.query(ctx, c, "WHERE s.id > $1 AND s.id <= $2 ORDER BY s.id", uuid(from), uuid(upto))
		if err != nil || equal(there, list) {
			return err
		}
		changed = true
		keep := make([]pgtype.UUID, len(list))
		for i, s := range list {
			keep[i] = uuid(s.ID)
		}
		if len(there) > 0 {
			_, err = c.Exec(ctx, "DELETE FROM tacet_sessions WHERE id > $1 AND id <= $2 AND NOT id = ANY ($3)", uuid(from), uuid(upto), keep)
		}
		if err != nil || len(list) == 0 {
			return err
		}
		return im.insertSessions(ctx, c, list)
	})
	return changed, err
}

func equal(a, b []session.Session) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// PutDocuments makes list all documents after the one from, up to the last of the
// list or to the end.
func (im *Import) PutDocuments(ctx context.Context, from documents.Document, list []documents.Document, end bool) error {
	return im.transact(ctx, func(ctx context.Context, pg pgx.Tx) error {
		where, args := "(d.kind, d.key) > ($1, $2)", []any{from.Kind, from.Key}
		if !end {
			last := list[len(list)-1]
			where, args = where+" AND (d.kind, d.key) <= ($3, $4)", append(args, last.Kind, last.Key)
		}
		there, err := queryDocuments(ctx, pg, "tacet_documents d WHERE "+where+" ORDER BY d.kind, d.key", args...)
		if err != nil || slices.EqualFunc(there, list, documents.Document.Same) {
			return err
		}
		tx := &docTx{ctx: ctx, pg: pg}
		for _, d := range there {
			tx.Delete(d)
		}
		for _, d := range list {
			tx.restore(d)
		}
		tx.flush()
		return tx.err
	})
}

// PutEvents makes list all events with numbers after from, up to the last of
// the list or to the end; the newest ever given is last.
func (im *Import) PutEvents(ctx context.Context, from int64, list []events.Event, last int64, end bool) error {
	upto := int64(1<<63 - 1)
	if !end {
		upto = list[len(list)-1].Seq
	}
	return im.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM tacet_events WHERE seq > $1 AND seq <= $2", from, upto); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE tacet_counters SET value = $1 WHERE name = 'events'", last); err != nil {
			return err
		}
		return insertEvents(ctx, tx, list)
	})
}
