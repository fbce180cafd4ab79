package webhooks

import (
	"context"
	"errors"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/httpapi"
)

// Settings are those of this wing: flags, variables and keys of the file.
type Settings struct {
	Webhook           string `help:"Tell this URL of ended sessions, reuse and changed grants (docs/webhooks.md); https, or a loopback host." placeholder:"URL"`
	WebhookSecretFile string `help:"File with the secret that signs these messages, whsec_ and base64." placeholder:"FILE" type:"path"`
}

// Wing sends while the server runs.
func Wing(s *Sender) httpapi.Builder {
	return func(*httpapi.API) (httpapi.Wing, error) { return httpapi.Wing{Run: s.Run}, nil }
}

// position is a [Position] in a document, which nodes share. Several nodes may
// send at once; then messages come more than once.
type position struct{ store documents.Store }

// NewPosition returns the place that is kept in a store.
func NewPosition(store documents.Store) Position { return position{store} }

const kind, key = "webhook", "position"

// Load is Position.
func (p position) Load(ctx context.Context) (seq int64, known bool, err error) {
	d, err := p.store.Get(ctx, kind, key)
	if errors.Is(err, documents.ErrNotFound) {
		return 0, false, nil
	}
	return d.Number, err == nil, err
}

// Save is Position.
func (p position) Save(ctx context.Context, seq int64) error {
	return p.store.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, kind, key)
		if errors.Is(err, documents.ErrNotFound) {
			d = documents.Document{Kind: kind, Key: key}
		} else if err != nil {
			return err
		}
		d.Number = seq
		tx.Put(d)
		return nil
	})
}
