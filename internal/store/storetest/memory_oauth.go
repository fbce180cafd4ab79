package storetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/internal/oauth"
)

type memoryOAuth struct{ *memory }

func (m memoryOAuth) Client(ctx context.Context, id string) (c oauth.Client, err error) {
	err = m.locked(ctx, func() error {
		var ok bool
		if c, ok = m.clients[id]; !ok {
			return oauth.ErrNotFound
		}
		return nil
	})
	return c, err
}

func (m memoryOAuth) Clients(ctx context.Context) (list []oauth.Client, err error) {
	err = m.locked(ctx, func() error {
		list = slices.SortedFunc(maps.Values(m.clients), func(a, b oauth.Client) int { return cmp.Compare(a.ID, b.ID) })
		return nil
	})
	return list, err
}

func (m memoryOAuth) AddClient(ctx context.Context, c oauth.Client) error {
	return m.locked(ctx, func() error {
		if _, ok := m.clients[c.ID]; ok {
			return oauth.ErrExists
		}
		m.clients[c.ID] = c
		return nil
	})
}

func (m memoryOAuth) RemoveClient(ctx context.Context, id string) error {
	return m.locked(ctx, func() error {
		if _, ok := m.clients[id]; !ok {
			return oauth.ErrNotFound
		}
		delete(m.clients, id)
		return nil
	})
}

func (m memoryOAuth) AddFlow(ctx context.Context, f oauth.Flow, before time.Time) error {
	return m.locked(ctx, func() error {
		for k, old := range m.flows {
			if old.ExpiresAt.Before(before) {
				delete(m.flows, k)
			}
		}
		for k, old := range m.flows {
			if k == f.Key || f.UserCode != "" && old.UserCode == f.UserCode {
				return oauth.ErrExists
			}
		}
		m.flows[f.Key] = f
		return nil
	})
}

func (m memoryOAuth) FlowByUserCode(ctx context.Context, code string) (f oauth.Flow, err error) {
	err = m.locked(ctx, func() error {
		for _, f = range m.flows {
			if f.UserCode == code && code != "" {
				return nil
			}
		}
		return oauth.ErrNotFound
	})
	return f, err
}

func (m memoryOAuth) UpdateFlow(ctx context.Context, k oauth.Key, change func(*oauth.Flow) error) error {
	return m.locked(ctx, func() error {
		f, ok := m.flows[k]
		if !ok {
			return oauth.ErrNotFound
		}
		if err := change(&f); err != nil {
			return err
		}
		m.flows[k] = f
		return nil
	})
}
