package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
)

// Kinds of documents and their indexes.
const (
	KindClient = "oauth_client" // its key is the id
	kindFlow   = "oauth_flow"   // its key is Key in base64url
	byUserCode = "user_code"
)

// NewStore returns the Store on documents.
func NewStore(d documents.Store) Store { return stored{d} }

type stored struct{ documents.Store }

// missing turns the errors of documents into those of this package.
func missing(err error) error {
	switch {
	case errors.Is(err, documents.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, documents.ErrExists):
		return ErrExists
	}
	return err
}

func decodeClient(d documents.Document) (c Client, err error) {
	err = d.Decode(&c)
	return c, err
}

func (st stored) Client(ctx context.Context, id string) (Client, error) {
	d, err := st.Get(ctx, KindClient, id)
	if err != nil {
		return Client{}, missing(err)
	}
	return decodeClient(d)
}

func (st stored) Clients(ctx context.Context) ([]Client, error) {
	list, err := documents.All(ctx, st, KindClient, documents.Query{})
	if err != nil {
		return nil, err
	}
	clients := make([]Client, len(list))
	for i, d := range list {
		if clients[i], err = decodeClient(d); err != nil {
			return nil, err
		}
	}
	return clients, nil
}

func (st stored) AddClient(ctx context.Context, c Client) error {
	c.CreatedAt = rounded(c.CreatedAt)
	return missing(st.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Put(documents.Encode(KindClient, c.ID, c))
		return nil
	}))
}

func (st stored) UpdateClient(ctx context.Context, id string, change func(*Client) error) error {
	return missing(st.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, KindClient, id)
		if err != nil {
			return err
		}
		c, err := decodeClient(d)
		if err == nil {
			err = change(&c)
		}
		if err == nil {
			c.OldSecretUntil = rounded(c.OldSecretUntil)
			tx.Put(d.With(documents.Encode(KindClient, id, c)))
		}
		return err
	}))
}

func (st stored) RemoveClient(ctx context.Context, id string) error {
	return missing(st.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, KindClient, id)
		if err == nil {
			tx.Delete(d)
		}
		return err
	}))
}

func flowKey(k Key) string { return base64.RawURLEncoding.EncodeToString(k[:]) }

func encodeFlow(f Flow) documents.Document {
	f.SignedInAt, f.ExpiresAt, f.PolledAt = rounded(f.SignedInAt), rounded(f.ExpiresAt), rounded(f.PolledAt)
	d := documents.Encode(kindFlow, flowKey(f.Key), f, documents.Value{Index: byUserCode, Value: f.UserCode, Unique: true})
	d.Expires = f.ExpiresAt.Add(keep)
	return d
}

func decodeFlow(d documents.Document) (f Flow, err error) {
	if err := d.Decode(&f); err != nil {
		return f, err
	}
	_, err = base64.RawURLEncoding.Decode(f.Key[:], []byte(d.Key))
	return f, err
}

func (st stored) AddFlow(ctx context.Context, f Flow) error {
	return missing(st.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Put(encodeFlow(f))
		return nil
	}))
}

func (st stored) FlowByUserCode(ctx context.Context, code string) (Flow, error) {
	d, err := documents.Find(ctx, st, kindFlow, byUserCode, code)
	if err != nil {
		return Flow{}, missing(err)
	}
	return decodeFlow(d)
}

func (st stored) UpdateFlow(ctx context.Context, k Key, change func(*Flow) error) error {
	return missing(st.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, kindFlow, flowKey(k))
		if err != nil {
			return err
		}
		f, err := decodeFlow(d)
		if err == nil {
			err = change(&f)
		}
		if err == nil {
			tx.Put(d.With(encodeFlow(f)))
		}
		return err
	}))
}

// rounded is a time to the millisecond; none stays none.
func rounded(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}
