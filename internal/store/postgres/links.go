package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Links returns the store of where sessions began.
func (db *DB) Links() session.Links { return links{db} }

type links struct{ db *DB }

// sweptLinks bounds the work of one AddLink or Note.
const sweptLinks = 16

func (st links) AddLink(ctx context.Context, l session.Link, before time.Time) error {
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Rows that another node is deleting are left to it.
		_, err := tx.Exec(ctx, `DELETE FROM tacet_session_links WHERE session IN (SELECT session FROM tacet_session_links
			WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)`, millis(before), sweptLinks)
		if err != nil {
			return err
		}
		return insertLink(ctx, tx, l)
	})
}

func insertLink(ctx context.Context, tx pgx.Tx, l session.Link) error {
	_, err := tx.Exec(ctx, `INSERT INTO tacet_session_links (session, issuer, subject, sid, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (session) DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject, sid = excluded.sid, at = excluded.at`,
		uuid(l.Session), l.Issuer, l.Subject, l.SID, millis(l.At))
	return err
}

func (st links) Links(ctx context.Context, issuer, subject, sid string, limit int) ([]session.Link, error) {
	if !storable(issuer) || !storable(subject) || !storable(sid) {
		return nil, nil
	}
	where, args := "WHERE issuer = $1", []any{issuer}
	if subject != "" {
		args = append(args, subject)
		where += fmt.Sprintf(" AND subject = $%d", len(args))
	}
	if sid != "" {
		args = append(args, sid)
		where += fmt.Sprintf(" AND sid <> '' AND sid = $%d", len(args))
	}
	return st.find(ctx, where, limit, args...)
}

func (st links) EachLink(ctx context.Context, after rotation.SessionID, limit int) ([]session.Link, error) {
	return st.find(ctx, "WHERE session > $1", limit, uuid(after))
}

func (st links) find(ctx context.Context, where string, limit int, args ...any) ([]session.Link, error) {
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]session.Link, error) {
		return queryLinks(ctx, c, where, limit, args...)
	})
}

func queryLinks(ctx context.Context, q querier, where string, limit int, args ...any) ([]session.Link, error) {
	rows, err := q.Query(ctx, fmt.Sprintf("SELECT session, issuer, subject, sid, at FROM tacet_session_links %s ORDER BY session LIMIT %d", where, max(limit, 0)), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l session.Link, err error) {
		var id pgtype.UUID
		var at int64
		err = row.Scan(&id, &l.Issuer, &l.Subject, &l.SID, &at)
		l.Session, l.At = id.Bytes, instant(at)
		return l, err
	})
}

func (st links) RemoveLinks(ctx context.Context, ids []rotation.SessionID) error {
	list := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		list[i] = uuid(id)
	}
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM tacet_session_links WHERE session = ANY ($1)", list)
		return err
	})
}

func (st links) Note(ctx context.Context, n session.NoteKey, until, before time.Time) error {
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM tacet_notes WHERE key IN (SELECT key FROM tacet_notes
			WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)`, millis(before), sweptLinks)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tacet_notes (key, until) VALUES ($1, $2)
			ON CONFLICT (key) DO UPDATE SET until = greatest(tacet_notes.until, excluded.until)`, n[:], millis(until))
		return err
	})
}

func (st links) Noted(ctx context.Context, n session.NoteKey) (time.Time, error) {
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) (time.Time, error) {
		var until int64
		err := c.QueryRow(ctx, "SELECT until FROM tacet_notes WHERE key = $1", n[:]).Scan(&until)
		if errors.Is(err, pgx.ErrNoRows) {
			return time.Time{}, nil
		}
		return instant(until), err
	})
}

// PutLinks makes list all links of sessions after the one given, up to the last
// of the list or to the end. Notes last minutes and are not copied.
func (im *Import) PutLinks(ctx context.Context, from rotation.SessionID, list []session.Link, end bool) error {
	return im.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		where, args := "WHERE session > $1", []any{uuid(from)}
		if !end {
			where, args = where+" AND session <= $2", append(args, uuid(list[len(list)-1].Session))
		}
		_, err := tx.Exec(ctx, "DELETE FROM tacet_session_links "+where, args...)
		for _, l := range list {
			if err == nil {
				err = insertLink(ctx, tx, l)
			}
		}
		return err
	})
}
