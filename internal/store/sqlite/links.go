package sqlite

import (
	"context"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Links returns the store of where sessions began.
func (db *DB) Links() session.Links { return links{db} }

type links struct{ db *DB }

// sweptLinks bounds the work of one AddLink or Note.
const sweptLinks = 16

func (st links) AddLink(ctx context.Context, l session.Link, before time.Time) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		_, err := w.exec("DELETE FROM session_links WHERE session IN (SELECT session FROM session_links WHERE at < ? ORDER BY at LIMIT ?)",
			millis(before), int64(sweptLinks))
		if err != nil {
			return struct{}{}, err
		}
		_, err = w.exec("INSERT OR REPLACE INTO session_links (session, issuer, subject, sid, at) VALUES (?, ?, ?, ?, ?)",
			l.Session[:], l.Issuer, l.Subject, l.SID, millis(l.At))
		return struct{}{}, err
	})
	return err
}

func (st links) Links(ctx context.Context, issuer, subject, sid string, limit int) ([]session.Link, error) {
	where, args := "WHERE issuer = ?", []any{issuer}
	if subject != "" {
		where, args = where+" AND subject = ?", append(args, subject)
	}
	if sid != "" {
		where, args = where+" AND sid <> '' AND sid = ?", append(args, sid)
	}
	return st.find(ctx, where, append(args, int64(max(limit, 0)))...)
}

func (st links) EachLink(ctx context.Context, after rotation.SessionID, limit int) ([]session.Link, error) {
	return st.find(ctx, "WHERE session > ?", after[:], int64(max(limit, 0)))
}

func (st links) find(ctx context.Context, where string, args ...any) ([]session.Link, error) {
	return read(ctx, st.db, func(c *conn) (list []session.Link, err error) {
		err = c.query(context.Background(), "SELECT session, issuer, subject, sid, at FROM session_links "+where+" ORDER BY session LIMIT ?", args,
			func(r *row) error {
				var l session.Link
				copy(l.Session[:], r.blob())
				l.Issuer, l.Subject, l.SID, l.At = r.text(), r.text(), r.text(), instant(r.int())
				list = append(list, l)
				return nil
			})
		return list, err
	})
}

func (st links) RemoveLinks(ctx context.Context, ids []rotation.SessionID) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		for _, id := range ids {
			if _, err := w.exec("DELETE FROM session_links WHERE session = ?", id[:]); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

func (st links) Note(ctx context.Context, n session.NoteKey, until, before time.Time) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		_, err := w.exec("DELETE FROM notes WHERE key IN (SELECT key FROM notes WHERE until < ? ORDER BY until LIMIT ?)",
			millis(before), int64(sweptLinks))
		if err != nil {
			return struct{}{}, err
		}
		_, err = w.exec("INSERT INTO notes (key, until) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET until = max(until, excluded.until)", n[:], millis(until))
		return struct{}{}, err
	})
	return err
}

func (st links) Noted(ctx context.Context, n session.NoteKey) (time.Time, error) {
	return read(ctx, st.db, func(c *conn) (until time.Time, err error) {
		_, err = c.one("SELECT until FROM notes WHERE key = ?", []any{n[:]}, func(r *row) { until = instant(r.int()) })
		return until, err
	})
}
