package bounded

import (
	"context"
	"time"

	"github.com/tacet-dev/tacet/internal/oauth"
)

type flows struct {
	next                                                 oauth.Store
	client, clients, add, remove, begin, device, advance *operation
}

// OAuth bounds a store of clients and flows.
func (c *Config) OAuth(next oauth.Store) oauth.Store {
	return &flows{next,
		// Renewals ask for it too, for which a timer of its own costs too much.
		c.operation("clients.get", c.Others, 0), c.brief("clients.list"), c.brief("clients.create"), c.brief("clients.delete"),
		c.brief("flows.create"), c.brief("flows.by_user_code"), c.brief("flows.update")}
}

// Client is oauth.Store.
func (f *flows) Client(ctx context.Context, id string) (oauth.Client, error) {
	return do(ctx, f.client, func(ctx context.Context) (oauth.Client, error) { return f.next.Client(ctx, id) })
}

// Clients is oauth.Store.
func (f *flows) Clients(ctx context.Context) ([]oauth.Client, error) {
	return do(ctx, f.clients, func(ctx context.Context) ([]oauth.Client, error) { return f.next.Clients(ctx) })
}

// AddClient is oauth.Store.
func (f *flows) AddClient(ctx context.Context, c oauth.Client) error {
	return run(ctx, f.add, func(ctx context.Context) error { return f.next.AddClient(ctx, c) })
}

// RemoveClient is oauth.Store.
func (f *flows) RemoveClient(ctx context.Context, id string) error {
	return run(ctx, f.remove, func(ctx context.Context) error { return f.next.RemoveClient(ctx, id) })
}

// AddFlow is oauth.Store.
func (f *flows) AddFlow(ctx context.Context, flow oauth.Flow, before time.Time) error {
	return run(ctx, f.begin, func(ctx context.Context) error { return f.next.AddFlow(ctx, flow, before) })
}

// FlowByUserCode is oauth.Store.
func (f *flows) FlowByUserCode(ctx context.Context, code string) (oauth.Flow, error) {
	return do(ctx, f.device, func(ctx context.Context) (oauth.Flow, error) { return f.next.FlowByUserCode(ctx, code) })
}

// UpdateFlow is oauth.Store.
func (f *flows) UpdateFlow(ctx context.Context, k oauth.Key, change func(*oauth.Flow) error) error {
	return run(ctx, f.advance, func(ctx context.Context) error { return f.next.UpdateFlow(ctx, k, change) })
}
