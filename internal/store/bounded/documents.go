package bounded

import (
	"context"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/gate"
)

type docs struct {
	next          documents.Store
	get, list     *operation
	loose, serial *operation
	bulk          *operation
}

// Documents bounds a store of documents by a gate (nil: not at all), under a name
// for metrics.
func (c *Config) Documents(name string, g *gate.Gate, next documents.Store) documents.Store {
	return &docs{next,
		// Renewals ask for clients, for which a timer of its own costs too much.
		c.operation(name+".get", g, 0), c.operation(name+".list", g, Timeout),
		c.operation(name+".update", g, Timeout), c.operation(name+".update_serial", g, Timeout), c.operation(name+".update_bulk", g, 0)}
}

// Get is documents.Reader.
func (d *docs) Get(ctx context.Context, kind, key string) (documents.Document, error) {
	return do(ctx, d.get, func(ctx context.Context) (documents.Document, error) { return d.next.Get(ctx, kind, key) })
}

// List is documents.Reader.
func (d *docs) List(ctx context.Context, kind string, q documents.Query) ([]documents.Document, error) {
	return do(ctx, d.list, func(ctx context.Context) ([]documents.Document, error) { return d.next.List(ctx, kind, q) })
}

// Update is documents.Store.
func (d *docs) Update(ctx context.Context, order documents.Order, f func(context.Context, documents.Tx) error) error {
	o := d.loose
	switch order {
	case documents.Serial:
		o = d.serial
	case documents.Bulk:
		o = d.bulk
	}
	return run(ctx, o, func(ctx context.Context) error { return d.next.Update(ctx, order, f) })
}
