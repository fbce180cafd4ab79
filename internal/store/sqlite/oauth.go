package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/internal/oauth"
)

// OAuth returns the store of clients and flows.
func (db *DB) OAuth() oauth.Store { return clients{db} }

type clients struct{ db *DB }

func (st clients) Client(ctx context.Context, id string) (oauth.Client, error) {
	list, err := st.clients(ctx, "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		return oauth.Client{}, oauth.ErrNotFound
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
	return read(ctx, st.db, func(c *conn) (list []oauth.Client, err error) {
		err = c.query(context.Background(), "SELECT body FROM oauth_clients "+where, args, func(r *row) error {
			list = append(list, oauth.Client{})
			return json.Unmarshal([]byte(r.text()), &list[len(list)-1])
		})
		return list, err
	})
}

func (st clients) AddClient(ctx context.Context, c oauth.Client) error {
	c.CreatedAt = stored(c.CreatedAt)
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = write(ctx, st.db, single, func(w *writer) (struct{}, error) {
		n, err := w.exec("INSERT INTO oauth_clients (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING", c.ID, string(body))
		return struct{}{}, unlessOne(n, err, oauth.ErrExists)
	})
	return err
}

func (st clients) RemoveClient(ctx context.Context, id string) error {
	_, err := write(ctx, st.db, single, func(w *writer) (struct{}, error) {
		n, err := w.exec("DELETE FROM oauth_clients WHERE id = ?", id)
		return struct{}{}, unlessOne(n, err, oauth.ErrNotFound)
	})
	return err
}

// unlessOne is what it means that a statement did not change one row.
func unlessOne(n int64, err, otherwise error) error {
	if err == nil && n != 1 {
		return otherwise
	}
	return err
}

// sweptFlows bounds the work of one AddFlow.
const sweptFlows = 16

func (st clients) AddFlow(ctx context.Context, f oauth.Flow, before time.Time) error {
	body, err := encodeFlow(f)
	if err != nil {
		return err
	}
	var userCode any
	if f.UserCode != "" {
		userCode = f.UserCode
	}
	_, err = write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		_, err := w.exec("DELETE FROM oauth_flows WHERE key IN (SELECT key FROM oauth_flows WHERE expires_at < ? ORDER BY expires_at LIMIT ?)",
			millis(before), int64(sweptFlows))
		if err != nil {
			return struct{}{}, err
		}
		n, err := w.exec("INSERT INTO oauth_flows (key, user_code, expires_at, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
			f.Key[:], userCode, millis(f.ExpiresAt), body)
		return struct{}{}, unlessOne(n, err, oauth.ErrExists)
	})
	return err
}

func (st clients) FlowByUserCode(ctx context.Context, code string) (oauth.Flow, error) {
	return read(ctx, st.db, func(c *conn) (oauth.Flow, error) { return c.flow("user_code = ?", code) })
}

func (st clients) UpdateFlow(ctx context.Context, k oauth.Key, change func(*oauth.Flow) error) error {
	_, err := write(ctx, st.db, multi, func(w *writer) (struct{}, error) {
		f, err := w.flow("key = ?", k[:])
		if err != nil {
			return struct{}{}, err
		}
		if err := change(&f); err != nil {
			return struct{}{}, err
		}
		body, err := encodeFlow(f)
		if err != nil {
			return struct{}{}, err
		}
		_, err = w.exec("UPDATE oauth_flows SET body = ? WHERE key = ?", body, k[:])
		return struct{}{}, err
	})
	return err
}

func (c *conn) flow(where string, arg any) (f oauth.Flow, err error) {
	var body string
	found, err := c.one("SELECT key, body FROM oauth_flows WHERE "+where, []any{arg}, func(r *row) {
		copy(f.Key[:], r.blob())
		body = r.text()
	})
	if err == nil && !found {
		return f, oauth.ErrNotFound
	}
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal([]byte(body), &f)
}

func encodeFlow(f oauth.Flow) (string, error) {
	f.SignedInAt, f.ExpiresAt, f.PolledAt = stored(f.SignedInAt), stored(f.ExpiresAt), stored(f.PolledAt)
	body, err := json.Marshal(f)
	if err != nil {
		return "", errors.Join(errors.New("encode a sign-in under way"), err)
	}
	return string(body), nil
}

// stored is a time as this store keeps it; none stays none.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return instant(millis(t))
}
