package events

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// Log is the table of events.
type Log interface {
	// Since returns the events with numbers greater than seq, in order, which is
	// the order of their commits; at most limit.
	Since(ctx context.Context, seq int64, limit int) ([]Event, error)
	// Bounds returns the number of the oldest event that is kept and that of
	// the newest ever given, 0 and 0 if none was. If all were pruned, first is
	// last+1.
	Bounds(ctx context.Context) (first, last int64, err error)
	// Prune deletes events older than before, oldest numbers first, up to the
	// first that is not; at most limit.
	Prune(ctx context.Context, before time.Time, limit int) (deleted int, err error)
}

// Config is what a Hub needs. Log, Clock, Window and Logger are required.
type Config struct {
	Log    Log
	Clock  func() time.Time
	Logger *slog.Logger
	// Window is how long an event matters to those who check access tokens: the
	// longest life of one and a margin for clocks that are wrong.
	Window time.Duration
	// Apply is told of every event, in order, before any subscriber is: by Open
	// of those of the last Window and some before them, by Run of what follows.
	// May be nil.
	Apply func(Event)
	// Restart is called when the log turns out not to be the one that was read, as
	// after a restored backup or a failover, just before Apply is told of the last
	// Window again: what it was told may have been forgotten. May be nil.
	Restart func()
	// Wake says that events may have been committed. Nil: only Poll finds them.
	Wake <-chan struct{}
	// Poll is how often the table is looked at for what other processes have
	// committed. Zero: DefaultPoll.
	Poll time.Duration
	// Needed, if set, is when the oldest event was committed that somebody else still
	// needs: it and what came after it are not pruned.
	Needed func(context.Context) (time.Time, error)
	// Retention is how long events are kept in the table; at least Window.
	// Zero: DefaultRetention.
	Retention time.Duration
}

// Defaults of a Config, and the bounds of what a Hub keeps in memory.
const (
	// DefaultPoll lets what the command line does reach open pages and
	// connections within a quarter of a second. A look that finds nothing costs
	// two look-ups in an index.
	DefaultPoll      = 100 * time.Millisecond
	DefaultRetention = 24 * time.Hour

	ringSize = 4096 // events, a few hundred bytes each
	page     = 512  // events that are read at once
)

// Hub hands committed events to subscribers. It is safe for concurrent use.
type Hub struct {
	cfg  Config
	prun pruner

	mu     sync.Mutex
	at     Position
	ring   []*Event // the last ones, oldest first; at most 2*ringSize
	subs   map[string][]*Subscription
	closed bool
	failed bool // the last look at the table
}

// Position is a place in the log.
type Position struct {
	// Seq is the number of the last event up to here; there may be none with it
	// any more.
	Seq int64
	// Mark tells that event from another one that got the same number after a
	// backup was restored. Empty: not known.
	Mark string
	// AsOf is a time of Config.Clock: whatever was committed before it has a
	// number up to Seq.
	AsOf time.Time
}

// Open reads the end of the log. Run must run for anything to be handed out.
func Open(ctx context.Context, cfg Config) (*Hub, error) {
	if cfg.Poll == 0 {
		cfg.Poll = DefaultPoll
	}
	if cfg.Retention == 0 {
		cfg.Retention = DefaultRetention
	}
	cfg.Retention = max(cfg.Retention, cfg.Window)
	if cfg.Apply == nil {
		cfg.Apply = func(Event) {}
	}
	if cfg.Restart == nil {
		cfg.Restart = func() {}
	}
	h := &Hub{cfg: cfg, prun: newPruner(cfg), subs: map[string][]*Subscription{}}
	first, last, err := cfg.Log.Bounds(ctx)
	if err != nil {
		return nil, fmt.Errorf("events: find the end of the log: %w", err)
	}
	from, err := h.startOf(ctx, cfg.Clock().Add(-cfg.Window), first, last)
	if err != nil {
		return nil, err
	}
	h.at.Seq = max(min(from, last-ringSize), first-1, 0)
	if err := h.read(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// Run hands events out and prunes the log, until ctx is done; then it ends all
// subscriptions.
func (h *Hub) Run(ctx context.Context) {
	defer h.Close()
	poll := time.NewTicker(h.cfg.Poll)
	defer poll.Stop()
	prune := time.NewTimer(pruneEvery)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.cfg.Wake:
		case <-poll.C:
		case <-prune.C:
			prune.Reset(h.prun.bite(ctx))
			continue
		}
		h.report(ctx, h.read(ctx))
	}
}

// report logs a failure once, and its end.
func (h *Hub) report(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !h.failed:
		h.cfg.Logger.Error("the events could not be read; those who wait for them are told later", "error", err, "tried_again_every", h.cfg.Poll.String())
		h.failed = true
	case err == nil && h.failed:
		h.cfg.Logger.Info("the events can be read again")
		h.failed = false
	}
}

// read hands out what was committed since the last time.
func (h *Hub) read(ctx context.Context) error {
	asOf := h.cfg.Clock() // before the look: what is committed during it may be missed
	first, last, err := h.cfg.Log.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("events: find the end of the log: %w", err)
	}
	h.mu.Lock()
	seq, mark := h.at.Seq, h.at.Mark
	h.mu.Unlock()
	same, err := h.same(ctx, seq, mark, first, last)
	switch {
	case err != nil:
		return err
	case !same:
		if err := h.again(ctx, last); err != nil {
			return err
		}
		seq = last
	case first > seq+1:
		// While this process slept, or by one whose clock is far ahead.
		h.startOver("events were pruned before this process has seen them; everybody who listens starts over", first-1)
		seq = first - 1
	}
	for seq < last {
		list, err := h.cfg.Log.Since(ctx, seq, page)
		if err != nil {
			return fmt.Errorf("events: read the log after number %d: %w", seq, err)
		}
		if len(list) == 0 { // pruned since
			break
		}
		seq = list[len(list)-1].Seq
		h.publish(list)
	}
	h.mu.Lock()
	if h.at.Seq < last {
		h.at.Seq, h.at.Mark = last, ""
	}
	h.at.AsOf = asOf
	h.mu.Unlock()
	return nil
}

// same reports whether the log, which now ends at last, is the one that was read
// up to seq. The event there is looked at when others have come after it, and when
// the log could not be read for a while; not every time.
func (h *Hub) same(ctx context.Context, seq int64, mark string, first, last int64) (bool, error) {
	if last < seq || mark == "" || first > seq || last == seq && !h.failed {
		return last >= seq, nil
	}
	return h.holds(ctx, seq, mark)
}

// again applies what is now in the log, up to last. Numbers have been given twice,
// so some of it may look as if it had been read.
func (h *Hub) again(ctx context.Context, last int64) error {
	var list []Event
	err := h.Recent(ctx, last, func(e *Event) error {
		list = append(list, *e)
		return nil
	})
	if err != nil {
		return err
	}
	h.cfg.Restart()
	for _, e := range list {
		h.cfg.Apply(e)
	}
	h.startOver("the log of events is not the one that was read, as after a restored backup or a failover; everybody who listens starts over", last)
	return nil
}

// publish applies events and queues them for their subscribers.
func (h *Hub) publish(list []Event) {
	for _, e := range list {
		h.cfg.Apply(e)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range list {
		e := new(list[i])
		h.ring = append(h.ring, e)
		h.at.Seq, h.at.Mark = e.Seq, e.fingerprint()
		h.deliver("", e)
		if e.UserID != "" {
			h.deliver(e.UserID, e)
		}
	}
	if len(h.ring) > 2*ringSize {
		h.ring = append([]*Event(nil), h.ring[len(h.ring)-ringSize:]...)
	}
}

// startOver goes to a place that does not follow on what was read so far.
func (h *Hub) startOver(why string, seq int64) {
	h.cfg.Logger.Error(why, "number", seq)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = Position{Seq: seq}
	h.ring = nil
	h.endAll(ErrSlow)
}

// fingerprint is a short hash of the event.
func (e *Event) fingerprint() string {
	f := fnv.New64a()
	for _, s := range []string{strconv.FormatInt(e.At.UnixMilli(), 36), e.Kind, e.UserID, e.SessionID, string(e.Data)} {
		_, _ = f.Write([]byte(s)) // never fails (hash.Hash)
		_, _ = f.Write([]byte{0})
	}
	return strconv.FormatUint(f.Sum64(), 36)
}
