package keys

import (
	"context"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
)

// The ring is one document: it is read and replaced as a whole.
const (
	kindRing = "key_ring"
	keyRing  = "ring"
)

// NewStore returns the Store on documents.
func NewStore(d documents.Store) Store { return stored{d} }

type stored struct{ documents.Store }

func (st stored) Load(ctx context.Context) ([]Key, int64, error) {
	d, err := st.Get(ctx, kindRing, keyRing)
	if errors.Is(err, documents.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var ring []Key
	return ring, d.Number, d.Decode(&ring)
}

func (st stored) Replace(ctx context.Context, version int64, ring []Key, ev ...events.Event) error {
	next := documents.Encode(kindRing, keyRing, rounded(ring))
	next.Number = version + 1
	err := st.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, kindRing, keyRing)
		switch {
		case errors.Is(err, documents.ErrNotFound) && version == 0:
			tx.Put(next)
		case errors.Is(err, documents.ErrNotFound), err == nil && d.Number != version:
			return ErrConflict
		case err != nil:
			return err
		default:
			tx.Put(d.With(next))
		}
		tx.Append(ev...)
		return nil
	})
	if errors.Is(err, documents.ErrExists) { // two made the first one
		return ErrConflict
	}
	return err
}

// rounded is the ring with times to the millisecond.
func rounded(ring []Key) []Key {
	next := make([]Key, len(ring))
	for i, k := range ring {
		k.CreatedAt, k.ActiveAt = k.CreatedAt.Truncate(time.Millisecond).UTC(), k.ActiveAt.Truncate(time.Millisecond).UTC()
		if !k.RetiredAt.IsZero() {
			k.RetiredAt = k.RetiredAt.Truncate(time.Millisecond).UTC()
		}
		next[i] = k
	}
	return next
}
