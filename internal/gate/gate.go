// Package gate bounds how much work is under way at once: a few at work, some
// waiting for a short while, everybody else turned away at once. What a server
// cannot do in time it had better refuse in time: those who are refused come
// back later, and those who were let in get their response.
package gate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrShed is wrapped by the refusals of a Gate. Nothing was begun, and nothing
// has changed.
var ErrShed = errors.New("the server is overloaded")

// Limits of a Gate. All must be positive.
type Limits struct {
	Working int           // how many may be at work
	Waiting int           // how many more may wait
	Wait    time.Duration // for how long
}

// Gate is a bulkhead. It is safe for concurrent use; passing an open one takes
// no timer and no memory.
type Gate struct {
	name    string
	limits  Limits
	working chan struct{}
	waiting atomic.Int64

	full, slow atomic.Uint64
}

// New returns a Gate. The name is for errors and metrics.
func New(name string, l Limits) *Gate {
	return &Gate{name: name, limits: l, working: make(chan struct{}, l.Working)}
}

// Enter lets the caller in, who must then call Leave, or returns an error that
// wraps [ErrShed] or that of ctx. Those who wait are let in in their order.
func (g *Gate) Enter(ctx context.Context) error {
	select {
	case g.working <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > int64(g.limits.Waiting) {
		g.waiting.Add(-1)
		g.full.Add(1)
		return fmt.Errorf("%w: %d are being served (%s) and %d are waiting", ErrShed, g.limits.Working, g.name, g.limits.Waiting)
	}
	defer g.waiting.Add(-1)
	patience := time.NewTimer(g.limits.Wait)
	defer patience.Stop()
	select {
	case g.working <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gave up waiting for a turn (%s): %w", g.name, ctx.Err())
	case <-patience.C:
		g.slow.Add(1)
		return fmt.Errorf("%w: no turn within %s (%s)", ErrShed, g.limits.Wait, g.name)
	}
}

// Leave is the end of what Enter let in.
func (g *Gate) Leave() { <-g.working }

// Stats is what a Gate has to tell.
type Stats struct {
	Name             string
	Limits           Limits
	Working, Waiting int
	// How many were turned away since the start: because too many were waiting
	// (Full), or after having waited (Slow).
	Full, Slow uint64
}

// Stats is the present state.
func (g *Gate) Stats() Stats {
	return Stats{Name: g.name, Limits: g.limits, Working: len(g.working), Waiting: int(g.waiting.Load()), Full: g.full.Load(), Slow: g.slow.Load()}
}
