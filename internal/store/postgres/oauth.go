package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/oauth"
)

// OAuth returns the store of clients and flows.
func (db *DB) OAuth() oauth.Store { return clients{db} }

type clients struct{ db *DB }

func (st clients) Client(ctx context.Context, id string) (oauth.Client, error) {
	if !storable(id) {
		return oauth.Client{}, oauth.ErrNotFound
	}
	list, err := st.clients(ctx, "WHERE id = $1", id)
	if err == nil && len(list) == 0 {
		err = oauth.ErrNotFound
	}
	if err != nil {
		return oauth.Client{}, err
	}
	return list[0], nil
}

func (st clients) Clients(ctx context.Context) ([]oauth.Client, error) {
	return st.clients(ctx, "ORDER BY id")
}

func (st clients) clients(ctx context.Context, where string, args ...any) ([]oauth.Client, error) {
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) ([]oauth.Client, error) {
		rows, err := c.Query(ctx, "SELECT body FROM tacet_oauth_clients "+where, args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k oauth.Client, err error) {
			var body string
			if err = row.Scan(&body); err == nil {
				err = json.Unmarshal([]byte(body), &k)
			}
			return k, err
		})
	})
}

func (st clients) AddClient(ctx context.Context, k oauth.Client) error {
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error { return insertClient(ctx, tx, k) })
}

func insertClient(ctx context.Context, tx pgx.Tx, k oauth.Client) error {
	k.CreatedAt = stored(k.CreatedAt)
	body, err := json.Marshal(k)
	if err != nil {
		return finally(err)
	}
	tag, err := tx.Exec(ctx, "INSERT INTO tacet_oauth_clients (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING", k.ID, string(body))
	if err == nil && tag.RowsAffected() == 0 {
		err = finally(oauth.ErrExists)
	}
	return err
}

func (st clients) RemoveClient(ctx context.Context, id string) error {
	if !storable(id) {
		return oauth.ErrNotFound
	}
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM tacet_oauth_clients WHERE id = $1", id)
		if err == nil && tag.RowsAffected() == 0 {
			err = finally(oauth.ErrNotFound)
		}
		return err
	})
}

// sweptFlows bounds the work of one AddFlow.
const sweptFlows = 16

func (st clients) AddFlow(ctx context.Context, f oauth.Flow, before time.Time) error {
	body, err := encodeFlow(f)
	if err != nil {
		return err
	}
	var userCode *string
	if f.UserCode != "" {
		userCode = &f.UserCode
	}
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Rows that another node is deleting are left to it.
		_, err := tx.Exec(ctx, `DELETE FROM tacet_oauth_flows WHERE key IN (SELECT key FROM tacet_oauth_flows
			WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)`, millis(before), sweptFlows)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "INSERT INTO tacet_oauth_flows (key, user_code, expires_at, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			f.Key[:], userCode, millis(f.ExpiresAt), body)
		if err == nil && tag.RowsAffected() == 0 {
			err = finally(oauth.ErrExists)
		}
		return err
	})
}

func (st clients) FlowByUserCode(ctx context.Context, code string) (oauth.Flow, error) {
	if !storable(code) {
		return oauth.Flow{}, oauth.ErrNotFound
	}
	return read(ctx, st.db, func(ctx context.Context, c *pgxpool.Conn) (oauth.Flow, error) {
		return scanFlow(c.QueryRow(ctx, "SELECT key, body FROM tacet_oauth_flows WHERE user_code = $1", code))
	})
}

func (st clients) UpdateFlow(ctx context.Context, k oauth.Key, change func(*oauth.Flow) error) error {
	return st.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		f, err := scanFlow(tx.QueryRow(ctx, "SELECT key, body FROM tacet_oauth_flows WHERE key = $1 FOR UPDATE", k[:]))
		if err != nil {
			return err
		}
		if err := change(&f); err != nil {
			return finally(err)
		}
		body, err := encodeFlow(f)
		if err != nil {
			return finally(err)
		}
		_, err = tx.Exec(ctx, "UPDATE tacet_oauth_flows SET body = $2 WHERE key = $1", k[:], body)
		return err
	})
}

func scanFlow(row pgx.Row) (f oauth.Flow, err error) {
	var key []byte
	var body string
	if err := row.Scan(&key, &body); errors.Is(err, pgx.ErrNoRows) {
		return f, finally(oauth.ErrNotFound)
	} else if err != nil {
		return f, err
	}
	err = json.Unmarshal([]byte(body), &f)
	copy(f.Key[:], key)
	return f, err
}

func encodeFlow(f oauth.Flow) (string, error) {
	f.SignedInAt, f.ExpiresAt, f.PolledAt = stored(f.SignedInAt), stored(f.ExpiresAt), stored(f.PolledAt)
	body, err := json.Marshal(f)
	return string(body), err
}

// stored is a time as this store keeps it; none stays none.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return instant(millis(t))
}
