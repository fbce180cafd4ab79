package session

import (
	"context"
	"sync"
	"time"
)

// applyTimeout bounds a decision, which no single caller may cancel because
// others wait for it too.
const applyTimeout = 5 * time.Second

// deadline gives decisions their time limit. Those that begin within one second
// share a limit, because a context with a timer of its own is 3 % of the CPU of
// a renewal; some of them get up to a second more for it.
type deadline struct {
	mu    sync.Mutex
	ctx   context.Context
	share time.Time // until when ctx is given out
}

// within has the time limit of one context, and also the values of another: a
// call to the store belongs to the trace of the first who asked.
type within struct {
	context.Context
	values context.Context
}

// Value is context.Context.
func (w within) Value(key any) any {
	if v := w.Context.Value(key); v != nil {
		return v
	}
	return w.values.Value(key)
}

func (d *deadline) context() context.Context {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx == nil || !now.Before(d.share) {
		ctx, cancel := context.WithCancel(context.Background())
		d.ctx, d.share = ctx, now.Add(time.Second)
		time.AfterFunc(time.Second+applyTimeout, cancel)
	}
	return d.ctx
}
