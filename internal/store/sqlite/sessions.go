package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Sessions returns the store of sessions.
func (db *DB) Sessions() session.Store { return sessions{db} }

type sessions struct{ db *DB }

const (
	sessionColumns = `s.id, s.user_id, s.head, s.parent, s.head_at, s.created_at, s.address,
		s.bound_to, s.details, s.ended_at, COALESCE(s.end_reason, ''), s.client, s.agent`
	// For connections that do not know the texts.
	selectSession = `SELECT ` + sessionColumns + `, COALESCE(c.text, ''), COALESCE(a.text, '')
		FROM sessions s LEFT JOIN texts c ON c.id = s.client LEFT JOIN texts a ON a.id = s.agent `
)

func (st sessions) Create(ctx context.Context, s session.Session) error {
	_, err := write(ctx, st.db, single, func(w *writer) (struct{}, error) {
		client, err := w.textID(s.ClientID)
		if err != nil {
			return struct{}{}, err
		}
		agent, err := w.textID(s.Contact.UserAgent)
		if err != nil {
			return struct{}{}, err
		}
		var endedAt, reason any
		if s.State.Ended {
			endedAt, reason = millis(s.End.At), s.End.Reason
		}
		h := s.State.Head
		_, err = w.exec(`INSERT INTO sessions (id, user_id, client, head, parent, head_at, created_at,
			address, agent, bound_to, details, ended_at, end_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			s.ID[:], s.UserID, client, headBytes(h.Generation, h.Tag), h.Parent[:],
			millis(s.State.HeadAt), millis(s.State.CreatedAt), address(s.Contact.Address), agent,
			textOrNil(string(s.Constraint)), textOrNil(s.Details), endedAt, reason)
		return struct{}{}, err
	})
	return err
}

func (st sessions) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	return read(ctx, st.db, func(c *conn) (s session.Session, err error) {
		found, err := c.one(selectSession+"WHERE s.id = ?", []any{id[:]}, func(r *row) { s = scanWithTexts(r) })
		if err == nil && !found {
			err = session.ErrNotFound
		}
		return s, err
	})
}

// A renewal is these two: one row, no index. The write lock is held, so nothing
// comes between them. As one statement with RETURNING it took a quarter more CPU,
// for the table that SQLite makes for what is returned. Each column that is read
// costs, too: those that most sessions leave empty are read only if they are not.
const (
	movable = ` FROM sessions WHERE id = ? AND head = ? AND head_at > ? AND created_at > ? AND ended_at IS NULL`
	usual   = `SELECT user_id, client, created_at` + movable + ` AND bound_to IS NULL AND details IS NULL`
	unusual = `SELECT user_id, client, created_at, bound_to, details` + movable
	move    = `UPDATE sessions SET head = ?, parent = ?, head_at = ?, address = ?, agent = ? WHERE id = ?`
)

func (st sessions) Move(ctx context.Context, m session.Move) (session.Session, error) {
	return write(ctx, st.db, single, func(w *writer) (s session.Session, err error) {
		h := m.Head
		s, client, err := w.movable(m)
		if err != nil {
			return s, err
		}
		agent, err := w.textID(m.Contact.UserAgent)
		if err != nil {
			return s, err
		}
		if s.ClientID, err = w.text(client); err != nil {
			return s, err
		}
		_, err = w.exec(move, headBytes(h.Generation, h.Tag), h.Parent[:], millis(m.At), address(m.Contact.Address), agent, m.ID[:])
		return s, err
	})
}

// movable returns the session as it will be after a move, if it may be made, and the
// id of its client's text.
func (w *writer) movable(m session.Move) (s session.Session, client int64, err error) {
	c := m.Condition
	args := []any{m.ID[:], headBytes(c.Generation, c.Tag), after(c.HeadAfter), after(c.CreatedAfter)}
	read := func(r *row) {
		s = session.Session{ID: m.ID, UserID: r.text(), Contact: m.Contact}
		client = r.int()
		s.State = rotation.State{Head: m.Head, HeadAt: instant(millis(m.At)), CreatedAt: instant(r.int())}
		if len(r.cols) > 0 { // unusual
			s.Constraint, s.Details = session.Constraint(r.textOrNull()), r.textOrNull()
		}
	}
	found := false
	if m.Constraint == "" {
		found, err = w.one(usual, args, read)
	}
	if !found && err == nil {
		found, err = w.one(unusual, args, read)
	}
	if err == nil && (!found || s.Constraint != m.Constraint) {
		err = session.ErrConflict
	}
	return s, client, err
}

func (st sessions) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		n, err := w.exec("UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL",
			millis(e.At), e.Reason, id[:])
		if err != nil {
			return struct{}{}, err
		}
		if n == 0 {
			found, err := w.one("SELECT 1 FROM sessions WHERE id = ?", []any{id[:]}, func(*row) {})
			if err == nil && found {
				err = session.ErrConflict
			} else if err == nil {
				err = session.ErrNotFound
			}
			return struct{}{}, err
		}
		return struct{}{}, w.append(ev)
	})
	if err == nil || errors.Is(err, session.ErrConflict) { // it is over either way
		st.db.committed(ev)
	}
	return err
}

func (st sessions) List(ctx context.Context, userID string, before rotation.SessionID, limit int) ([]session.Session, error) {
	query, args := selectSession+"WHERE s.ended_at IS NULL", []any{}
	if userID != "" {
		query, args = query+" AND s.user_id = ?", append(args, userID)
	}
	if before != (rotation.SessionID{}) {
		query, args = query+" AND s.id < ?", append(args, before[:])
	}
	args = append(args, int64(max(limit, 0))) // SQLite takes a negative limit for none
	return read(ctx, st.db, func(c *conn) (list []session.Session, err error) {
		err = c.query(context.Background(), query+" ORDER BY s.id DESC LIMIT ?", args, func(r *row) error {
			list = append(list, scanWithTexts(r))
			return nil
		})
		return list, err
	})
}

// Sweep also removes texts that nobody uses, up to limit, whenever a walk from
// the zero id has come to the end of the table.
func (st sessions) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (next rotation.SessionID, deleted int, err error) {
	type result struct {
		next    rotation.SessionID
		deleted int
	}
	limit = max(limit, 1) // a walk that never moves would never end
	res, err := write(ctx, st.db, multi, func(w *writer) (res result, err error) {
		w.texts.beginBite(from[:])
		found, err := w.bite(from, limit)
		if err != nil {
			return res, err
		}
		for _, s := range found {
			if dead(s) {
				if _, err := w.exec("DELETE FROM sessions WHERE id = ?", s.ID[:]); err != nil {
					return res, err
				}
				res.deleted++
			}
		}
		if len(found) == limit {
			res.next = found[limit-1].ID
		}
		return res, w.endBite(res.next[:], limit)
	})
	return res.next, res.deleted, err
}

// bite reads the next sessions of a sweep.
func (w *writer) bite(from rotation.SessionID, limit int) (found []session.Session, err error) {
	type ids struct{ client, agent int64 }
	var refs []ids
	err = w.query(context.Background(), "SELECT "+sessionColumns+" FROM sessions s WHERE s.id > ? ORDER BY s.id LIMIT ?",
		[]any{from[:], int64(limit)}, func(r *row) error {
			found = append(found, scan(r))
			refs = append(refs, ids{r.int(), r.int()})
			return nil
		})
	for i, ref := range refs {
		if err != nil {
			return nil, err
		}
		w.texts.use(ref.client)
		w.texts.use(ref.agent)
		if found[i].ClientID, err = w.text(ref.client); err == nil {
			found[i].Contact.UserAgent, err = w.text(ref.agent)
		}
	}
	return found, err
}

// scan reads sessionColumns up to end_reason.
func scan(r *row) (s session.Session) {
	copy(s.ID[:], r.blob())
	s.UserID = r.text()
	if head := r.blob(); len(head) == headLen {
		s.State.Head.Generation = binary.BigEndian.Uint32(head)
		copy(s.State.Head.Tag[:], head[4:])
	}
	copy(s.State.Head.Parent[:], r.blob())
	s.State.HeadAt, s.State.CreatedAt = instant(r.int()), instant(r.int())
	s.Contact.Address, _ = netip.AddrFromSlice(r.blob()) // the zero Addr if there is none
	s.Constraint, s.Details = session.Constraint(r.textOrNull()), r.textOrNull()
	if s.End.At, s.State.Ended = r.instantOrNull(); s.State.Ended {
		s.End.Reason = r.text()
	} else {
		r.next()
	}
	return s
}

func scanWithTexts(r *row) session.Session {
	s := scan(r)
	r.next()
	r.next()
	s.ClientID, s.Contact.UserAgent = r.text(), r.text()
	return s
}

// textOrNil is how an empty text is stored in a column that may be NULL.
func textOrNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (r *row) textOrNull() string {
	if len(r.cols) > 0 && r.cols[0] == nil {
		r.next()
		return ""
	}
	return r.text()
}

func (r *row) instantOrNull() (t time.Time, ok bool) {
	if len(r.cols) > 0 && r.cols[0] == nil {
		r.next()
		return time.Time{}, false
	}
	return instant(r.int()), true
}

func millis(t time.Time) int64   { return t.UnixMilli() }
func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

const headLen = 4 + len(rotation.Tag{})

// headBytes is the column head: what tells one head of a session from another.
func headBytes(generation uint32, tag rotation.Tag) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, headLen), generation), tag[:]...)
}

// after is the bound for "stored > ?" under which a stored time, which is a
// whole millisecond, is later than t. Rounding t down is exact: a whole
// millisecond is later than t just when it is later than t's millisecond.
func after(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return millis(t)
}

func address(a netip.Addr) []byte {
	if !a.IsValid() {
		return []byte{}
	}
	return a.AsSlice()
}
