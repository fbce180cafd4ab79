package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Sessions returns the store of sessions.
func (db *DB) Sessions() session.Store { return sessions{db} }

type sessions struct{ db *DB }

// selectSession reads what scan takes. The last column notices that users or
// roles were changed, at the cost of one more row in memory.
const selectSession = `SELECT s.id, s.user_key, s.user_id, s.client, s.generation, s.tag, s.parent, s.head_at, s.created_at, s.address,
	s.ended, s.bound_to, s.details, COALESCE(t.text, ''), ` + directoryVersion + `
	FROM tacet_sessions s LEFT JOIN tacet_texts t ON t.id = s.agent `

const directoryVersion = `(SELECT value FROM tacet_counters WHERE name = 'directory')`

// scan reads a row of selectSession.
func scan(row pgx.CollectableRow) (s session.Session, version int64, err error) {
	var id, key pgtype.UUID
	var user, ended, boundTo string
	var generation int32
	var tag, parent, headAt, createdAt int64
	var addr, agent []byte
	err = row.Scan(&id, &key, &user, &s.ClientID, &generation, &tag, &parent, &headAt, &createdAt, &addr, &ended, &boundTo, &s.Details, &agent, &version)
	if err != nil {
		return s, 0, err
	}
	s.ID, s.UserID = id.Bytes, userID(key, user)
	s.State = rotation.State{
		Head:   rotation.Head{Generation: uint32(generation), Tag: bits(tag), Parent: bits(parent)},
		HeadAt: instant(headAt), CreatedAt: instant(createdAt),
	}
	s.Contact.Address, _ = netip.AddrFromSlice(addr) // the zero Addr if there is none
	s.Contact.UserAgent = string(agent)
	s.Constraint = session.Constraint(boundTo)
	s.State.Ended = ended != ""
	if s.State.Ended {
		s.End, err = parseEnd(ended)
	}
	return s, version, err
}

// query reads sessions; where begins with WHERE.
func (db *DB) query(ctx context.Context, q interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}, where string, args ...any) ([]session.Session, error) {
	rows, err := q.Query(ctx, selectSession+where, args...)
	if err != nil {
		return nil, err
	}
	version := int64(-1)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s session.Session, err error) {
		s, version, err = scan(row)
		return s, err
	})
	if err == nil && len(list) > 0 {
		db.sawDirectory(version)
	}
	return list, err
}

func (st sessions) Create(ctx context.Context, s session.Session) error {
	db := st.db
	first := true
	return db.repeat(ctx, db.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		again := !first
		first = false
		agent, err := db.texts.id(ctx, c, s.Contact.UserAgent)
		if err != nil {
			return err
		}
		key, user := userKey(s.UserID)
		h := s.State.Head
		tag, err := db.exec(ctx, c, `INSERT INTO tacet_sessions (id, user_key, user_id, client, generation, tag, parent, head_at, created_at,
			address, agent, ended, bound_to, details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO NOTHING`,
			uuid(s.ID), key, user, s.ClientID, int32(h.Generation), number(h.Tag), number(h.Parent),
			millis(s.State.HeadAt), millis(s.State.CreatedAt), address(s.Contact.Address), agent, endText(s), string(s.Constraint), s.Details)
		if err != nil || tag.RowsAffected() == 1 {
			return err
		}
		if again { // perhaps an earlier attempt has made it, and its response was lost
			found, err := db.query(ctx, c, "WHERE s.id = $1", uuid(s.ID))
			if err != nil {
				return err
			}
			if len(found) == 1 && found[0].UserID == s.UserID && found[0].State.CreatedAt.Equal(instant(millis(s.State.CreatedAt))) {
				return nil // two random ids of one user do not meet in one millisecond
			}
		}
		return finally(fmt.Errorf("store: session %v exists already", s.ID))
	})
}

func (st sessions) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) (session.Session, error) {
		list, err := st.db.query(ctx, c, "WHERE s.id = $1", uuid(id))
		switch {
		case err != nil:
			return session.Session{}, err
		case len(list) == 0:
			return session.Session{}, finally(session.ErrNotFound)
		}
		return list[0], nil
	})
}

func (st sessions) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	ended := endText(session.Session{State: rotation.State{Ended: true}, End: e})
	err := st.db.commit(ctx, func(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, "UPDATE tacet_sessions SET ended = $2 WHERE id = $1 AND ended = ''", uuid(id), ended)
		if err != nil || tag.RowsAffected() == 1 {
			return ev, err
		}
		var exists bool
		err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM tacet_sessions WHERE id = $1)", uuid(id)).Scan(&exists)
		switch {
		case err != nil:
			return nil, err
		case exists:
			return nil, finally(session.ErrConflict)
		}
		return nil, finally(session.ErrNotFound)
	})
	if errors.Is(err, session.ErrConflict) { // it is over all the same
		st.db.committed(ev)
	}
	return err
}

func (st sessions) List(ctx context.Context, user string, before rotation.SessionID, limit int) ([]session.Session, error) {
	if !storable(user) {
		return nil, nil // nobody has such an id
	}
	where, args := listing(user, before, limit)
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]session.Session, error) {
		return st.db.query(ctx, c, where, args...)
	})
}

// listing is what List asks for.
func listing(user string, before rotation.SessionID, limit int) (where string, args []any) {
	where, args = "WHERE s.ended = ''", []any{max(limit, 0)}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(" AND %s $%d", condition, len(args))
	}
	if user != "" {
		key, text := userKey(user)
		add("s.user_key =", key)
		add("s.user_id =", text)
	}
	if before != (rotation.SessionID{}) {
		add("s.id <", uuid(before))
	}
	return where + " ORDER BY s.id DESC LIMIT $1", args
}

// endText is the column ended.
func endText(s session.Session) string {
	if !s.State.Ended {
		return ""
	}
	return strconv.FormatInt(millis(s.End.At), 10) + " " + s.End.Reason
}

func parseEnd(text string) (session.End, error) {
	at, reason, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return session.End{}, finally(fmt.Errorf("store: a stored session ended %q, which does not begin with a time", text))
	}
	return session.End{Reason: reason, At: instant(ms)}, nil
}

// storable reports whether the database takes a text. One that it does not take
// is the name of nothing that is stored.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

func uuid(id rotation.SessionID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func number(t rotation.Tag) int64 { return int64(binary.BigEndian.Uint64(t[:])) }

func bits(n int64) (t rotation.Tag) {
	binary.BigEndian.PutUint64(t[:], uint64(n))
	return t
}

func millis(t time.Time) int64   { return t.UnixMilli() }
func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// after is the bound for "stored > bound" under which a stored time, which is a
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
