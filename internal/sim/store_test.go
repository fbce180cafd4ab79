package sim

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/oauth"
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
	node              *incarnation
	notify, elsewhere func()
	seen              int64
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
		h.elsewhere()
	}
}

// committed tells all nodes that there are events; the others hear of it late or
// never.
func (h *handle) committed() {
	h.notify()
	for _, n := range h.w.nodes {
		if in := n.up; in != nil && in != h.node && !h.w.chance(h.w.lostNotices) {
			h.w.after(h.w.between(time.Millisecond, 20*time.Millisecond), func() {
				if !in.isDead() && in.store != nil {
					in.store.saw()
					in.store.notify()
				}
			})
		}
	}
}

func (h *handle) Sessions() session.Store    { return sessions{h} }
func (h *handle) Keys() keys.Store           { return ring{h} }
func (h *handle) Directory() directory.Store { return people{h.data.Directory, h} }
func (h *handle) Events() events.Log         { return log{h} }
func (h *handle) OAuth() oauth.Store         { return h.data.OAuth }
func (h *handle) Links() session.Links       { return h.data.Links }
func (h *handle) Size() (int64, error)       { return 0, nil }
func (h *handle) Close() error               { return nil }

func (h *handle) Check(context.Context) error {
	if h.down.Load() {
		return errDown
	}
	return nil
}

// Append is not used by what is simulated.
func (h *handle) Append(context.Context, ...events.Event) error { return errDown }

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
	return h.do(ctx, "end "+string(id[:]), func() error { return h.end(id, e, ev...) })
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

type ring struct{ *handle }

func (h ring) Load(ctx context.Context) ([]keys.Key, int64, error) {
	if h.down.Load() {
		return nil, 0, errDown
	}
	return h.data.Keys.Load(ctx)
}

func (h ring) Replace(ctx context.Context, version int64, next []keys.Key, ev ...events.Event) error {
	if h.down.Load() {
		return errDown
	}
	if do := h.w.mutant.keys; do != nil {
		next = do(next)
	}
	err := h.data.Keys.Replace(ctx, version, next, ev...)
	if err == nil {
		h.w.later(func() { h.w.oracle.rotated(next) })
	}
	return err
}

type people struct {
	directory.Store
	h *handle
}

func (p people) UserByID(ctx context.Context, id string) (u directory.User, err error) {
	var got directory.User
	if err := p.h.read(ctx, "user "+id, func() (err error) {
		got, err = p.Store.UserByID(context.Background(), id)
		return err
	}); err != nil {
		return u, err
	}
	return got, nil
}

func (p people) Roles(ctx context.Context) (list []directory.Role, err error) {
	var got []directory.Role
	if err := p.h.read(ctx, "roles", func() (err error) {
		got, err = p.Store.Roles(context.Background())
		return err
	}); err != nil {
		return nil, err
	}
	return got, nil
}

func (p people) UpdateUser(ctx context.Context, id string, change func(*directory.User) ([]events.Event, error)) error {
	return p.changed(ctx, "update "+id, id, func() error {
		return p.Store.UpdateUser(context.Background(), id, func(u *directory.User) ([]events.Event, error) {
			ev, err := change(u)
			if do := p.h.w.mutant.events; do != nil {
				ev = do(ev)
			}
			return ev, err
		})
	})
}

func (p people) UpdateRole(ctx context.Context, name string, change func(*directory.Role) error, changed func(directory.User) events.Event) error {
	return p.changed(ctx, "role "+name, "", func() error { return p.Store.UpdateRole(context.Background(), name, change, changed) })
}

func (p people) changed(ctx context.Context, key, id string, f func() error) error {
	return p.h.do(ctx, key, func() error {
		err := f()
		if err == nil {
			if p.h.version++; p.h.seen == p.h.version-1 {
				p.h.seen++
			}
			p.h.w.oracle.grantsChanged(id)
			p.h.committed()
		}
		return err
	})
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
