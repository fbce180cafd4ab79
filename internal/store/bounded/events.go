package bounded

import (
	"context"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
)

// Events are looked after in the background, a call at a time: they are measured
// and not bounded.

type log struct {
	next                 events.Log
	since, bounds, prune *operation
}

// Events bounds a log of events.
func (c *Config) Events(next events.Log) events.Log {
	return &log{next, c.operation("events.since", nil, 0), c.operation("events.bounds", nil, 0), c.operation("events.prune", nil, 0)}
}

// Since is events.Log.
func (l *log) Since(ctx context.Context, seq int64, limit int) ([]events.Event, error) {
	return do(ctx, l.since, func(ctx context.Context) ([]events.Event, error) { return l.next.Since(ctx, seq, limit) })
}

// Bounds is events.Log.
func (l *log) Bounds(ctx context.Context) (first, last int64, err error) {
	err = run(ctx, l.bounds, func(ctx context.Context) (err error) {
		first, last, err = l.next.Bounds(ctx)
		return err
	})
	return first, last, err
}

// Prune is events.Log.
func (l *log) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	return do(ctx, l.prune, func(ctx context.Context) (int, error) { return l.next.Prune(ctx, before, limit) })
}
