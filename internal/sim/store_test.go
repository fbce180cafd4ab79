package sim

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/storetest"
	"github.com/tacet-dev/tacet/rotation"
)

// store is the database that the nodes share: the reference store behind a network
// and a queue. It can be slow or away, cut connections in the middle of a commit,
// and fall back to an earlier state.
type store struct {
	w       *world
	data    storetest.Stores
	backup  func() (restore func())
	version int64         // of users and roles
	era     int           // how many times it fell back
	down    atomic.Bool   // also read by background work
	slow    time.Duration // more for every call
	good    time.Time     // it answers as it should since then
}

func newStore(w *world) *store {
	s := &store{w: w, good: w.begin}
	s.data, s.backup = storetest.MemoryWithBackup()
	return s
}

// op is one call to the store on its way.
type op struct {
	node *incarnation
	key  string // tells calls apart that are made at once
	do   func() error
	err  error
	done chan struct{}
}

var (
	errDown   = errors.New("the simulated store is away")
	errCut    = errors.New("the connection to the simulated store broke; whether it had committed is unknown")
	errKilled = errors.New("the simulated node was killed")
)

// queue takes a call on its way to the store and back. Whoever asked may be gone
// by then: what was sent is carried out all the same.
func (s *store) queue(o *op) {
	w := s.w
	if o.do == nil { // only a turn
		w.after(0, func() { close(o.done) })
		return
	}
	there := w.between(50*time.Microsecond, 400*time.Microsecond) + s.slow
	if w.chance(w.storeSpikes) {
		there += w.about(300 * time.Millisecond)
	}
	cut := w.chance(w.storeCuts)
	w.after(there, func() {
		switch {
		case s.down.Load():
			o.err = errDown
		case o.node.isDead() && w.chance(0.5): // it had not left the node
			return
		default:
			o.err = o.do()
			if cut {
				w.note("", "store: %s: connection cut after the commit", o.node.name)
				o.err = errCut
			}
		}
		w.after(w.between(50*time.Microsecond, 400*time.Microsecond)+s.slow, func() { close(o.done) })
	})
}

// fall takes the store back to an earlier state.
func (s *store) fall(restore func(), from time.Time) {
	restore()
	s.era++
	s.version++ // nodes see another number than they know
	s.good = time.Now()
	s.w.oracle.fellBack(from)
}

type callKey struct{}

// handle is the store as one node has it: app.Store.
type handle struct {
	*store
	node  *incarnation
	hooks app.Hooks
	seen  int64
}

// do makes a call to the store that takes its time and turn.
func (h *handle) do(ctx context.Context, key string, f func() error) error {
	o := &op{node: h.node, key: h.node.name + " " + key, do: f, done: make(chan struct{})}
	if id, ok := ctx.Value(callKey{}).(uint64); ok {
		o.key += fmt.Sprintf(" %016x", id)
	}
	h.w.mu.Lock()
	h.w.asked = append(h.w.asked, o)
	h.w.mu.Unlock()
	select {
	case <-o.done:
		return o.err
	case <-h.node.killed:
		return errKilled
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read is do for calls of requests; background work, which has goroutines and
// moments of its own, is answered at once.
func (h *handle) read(ctx context.Context, key string, f func() error) error {
	if _, ok := ctx.Value(callKey{}).(uint64); ok {
		return h.do(ctx, key, f)
	}
	if h.down.Load() {
		return errDown
	}
	return f()
}

// saw drops what the node remembers of users if others have changed them. It is
// called where postgres does.
func (h *handle) saw() {
	if h.seen != h.version {
		h.seen = h.version
		h.hooks.Elsewhere()
	}
}

// committed tells all nodes that there are events; the others hear of it late or
// never.
func (h *handle) committed() {
	h.hooks.Notify()
	for _, n := range h.w.nodes {
		if in := n.up; in != nil && in != h.node && !h.w.chance(h.w.lostNotices) {
			h.w.after(h.w.between(time.Millisecond, 20*time.Millisecond), func() {
				if !in.isDead() && in.store != nil {
					in.store.saw()
					in.store.hooks.Notify()
				}
			})
		}
	}
}

func (h *handle) Sessions() session.Store    { return sessions{h} }
func (h *handle) Documents() documents.Store { return docs{h} }
func (h *handle) Events() events.Log         { return log{h} }
func (h *handle) Size() (int64, error)       { return 0, nil }
func (h *handle) Close() error               { return nil }

func (h *handle) Check(context.Context) error {
	if h.down.Load() {
		return errDown
	}
	return nil
}

var _ app.Store = (*handle)(nil)

type sessions struct{ *handle }

func (h sessions) Create(ctx context.Context, s session.Session) error {
	return h.do(ctx, "create", func() error {
		err := h.data.Sessions.Create(context.Background(), s)
		if err == nil {
			h.w.oracle.created(s)
		}
		return err
	})
}

func (h sessions) Get(ctx context.Context, id rotation.SessionID) (s session.Session, err error) {
	var got session.Session
	if err := h.do(ctx, "get "+string(id[:]), func() (err error) {
		h.saw()
		got, err = h.data.Sessions.Get(context.Background(), id)
		return err
	}); err != nil {
		if h.w.mutant.blind && errors.Is(err, errDown) {
			err = session.ErrNotFound
		}
		return s, err
	}
	return got, nil
}

func (h sessions) Move(ctx context.Context, m session.Move) (s session.Session, err error) {
	var got session.Session
	if err := h.do(ctx, "move "+string(m.ID[:])+string(m.Head.Tag[:]), func() (err error) {
		h.saw()
		if do := h.w.mutant.move; do != nil {
			got, err = do(h, m)
		} else {
			got, err = h.data.Sessions.Move(context.Background(), m)
		}
		h.w.oracle.moved(h.node, m, err)
		return err
	}); err != nil {
		if h.w.mutant.blind && errors.Is(err, errDown) {
			err = session.ErrConflict
		}
		return s, err
	}
	return got, nil
}

func (h sessions) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	err := h.do(ctx, "end "+string(id[:]), func() error { return h.end(id, e, ev...) })
	if err == nil || errors.Is(err, session.ErrConflict) {
		h.hooks.Committed(ev)
	}
	return err
}

func (h sessions) end(id rotation.SessionID, e session.End, ev ...events.Event) error {
	if do := h.w.mutant.end; do != nil {
		if done, err := do(h, id, e, ev...); done {
			return err
		}
	}
	err := h.data.Sessions.End(context.Background(), id, e, ev...)
	if err == nil {
		h.w.oracle.ended(id, e)
		h.committed()
	}
	return err
}

func (h sessions) List(ctx context.Context, userID string, before rotation.SessionID, limit int) (list []session.Session, err error) {
	err = h.read(ctx, "list", func() (err error) {
		list, err = h.data.Sessions.List(context.Background(), userID, before, limit)
		return err
	})
	return list, err
}

func (h sessions) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (next rotation.SessionID, n int, err error) {
	if h.down.Load() || h.node.isDead() {
		return next, 0, errDown
	}
	return h.data.Sessions.Sweep(ctx, from, limit, func(s session.Session) bool {
		yes := dead(s)
		if do := h.w.mutant.sweep; do != nil {
			yes = do(h.w, s)
		}
		if yes {
			h.w.later(func() { h.w.oracle.swept(s) })
		}
		return yes
	})
}

// docs are users, roles and keys.
type docs struct{ *handle }

func (h docs) Get(ctx context.Context, kind, key string) (d documents.Document, err error) {
	var got documents.Document
	if err := h.ask(ctx, kind, "get "+kind+" "+key, func() (err error) {
		got, err = h.data.Documents.Get(context.Background(), kind, key)
		return err
	}); err != nil {
		return d, err
	}
	return got, nil
}

func (h docs) List(ctx context.Context, kind string, q documents.Query) (list []documents.Document, err error) {
	var got []documents.Document
	if err := h.ask(ctx, kind, fmt.Sprintf("list %s %+v", kind, q), func() (err error) {
		got, err = h.data.Documents.List(context.Background(), kind, q)
		return err
	}); err != nil {
		return nil, err
	}
	return got, nil
}

// keyRing is the kind of the document with the keys, which are looked after in the
// background.
const keyRing = "key_ring"

func (h docs) ask(ctx context.Context, kind, key string, f func() error) error {
	if kind == keyRing {
		ctx = context.Background()
	}
	return h.read(ctx, key, f)
}

// Update takes its time and turn if it changes users or roles.
func (h docs) Update(ctx context.Context, order documents.Order, f func(context.Context, documents.Tx) error) error {
	var made *recorded
	run := func() error {
		made = &recorded{w: h.w}
		return h.data.Documents.Update(context.Background(), order, func(ctx context.Context, tx documents.Tx) error {
			*made = recorded{Tx: tx, w: h.w}
			return f(ctx, made)
		})
	}
	if order == documents.Loose {
		if h.down.Load() {
			return errDown
		}
		err := run()
		if ring := made.ring; err == nil && ring != nil {
			h.w.later(func() { h.w.oracle.rotated(ring) })
		}
		return err
	}
	err := h.do(ctx, "update", func() error {
		err := run()
		if err == nil {
			if h.version++; h.seen == h.version-1 {
				h.seen++
			}
			h.w.oracle.grantsChanged(made.user)
			h.committed()
		}
		return err
	})
	if err == nil {
		h.hooks.Committed(made.events)
	}
	return err
}

// recorded is a transaction whose work is noted down.
type recorded struct {
	documents.Tx
	w      *world
	events []events.Event
	user   string // who was put; empty: a role
	ring   []keys.Key
}

func (r *recorded) Put(d documents.Document) {
	switch d.Kind {
	case keyRing:
		if err := d.Decode(&r.ring); err != nil {
			panic(err) // it has just been encoded
		}
		if do := r.w.mutant.keys; do != nil {
			r.ring = do(r.ring)
			next := documents.Encode(d.Kind, d.Key, r.ring)
			next.Number = d.Number
			d = d.With(next)
		}
	case directory.KindUser:
		r.user = d.Key
	}
	r.Tx.Put(d)
}

func (r *recorded) Append(ev ...events.Event) {
	r.events = append(r.events, ev...)
	if do := r.w.mutant.events; do != nil {
		ev = do(ev)
	}
	r.Tx.Append(ev...)
}

type log struct{ *handle }

func (h log) Since(ctx context.Context, seq int64, limit int) ([]events.Event, error) {
	if h.down.Load() {
		return nil, errDown
	}
	return h.data.Events.Since(ctx, seq, limit)
}

func (h log) Bounds(ctx context.Context) (int64, int64, error) {
	if h.down.Load() {
		return 0, 0, errDown
	}
	return h.data.Events.Bounds(ctx)
}

func (h log) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if h.down.Load() {
		return 0, errDown
	}
	return h.data.Events.Prune(ctx, before, limit)
}
