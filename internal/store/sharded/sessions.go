package sharded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/rotation"
)

// Sessions returns the store of sessions.
func (st *Store) Sessions() session.Store { return sessions{st} }

type sessions struct{ st *Store }

// asked is how many shards are asked at the same time for one list.
const asked = 16

// in makes a call to the shard that an id names. There is no session in a shard
// that is not there any more, or never was.
func in[T any](ctx context.Context, st *Store, id rotation.SessionID, f func(session.Store) (T, error)) (T, error) {
	number := st.opts.shardOf(id)
	s := st.table.Load().find(number)
	if s == nil {
		// It may have been added a moment ago.
		if err := st.learn(ctx); err != nil {
			var none T
			return none, err
		}
		s = st.table.Load().find(number)
	}
	if s == nil || s.is(postgres.ShardRemoved) {
		var none T
		return none, session.ErrNotFound
	}
	return call(s, func(db *postgres.DB) (T, error) { return f(db.Sessions()) })
}

// Create is session.Store. The shard is the one that Place has put into the id.
func (x sessions) Create(ctx context.Context, sess session.Session) error {
	_, err := in(ctx, x.st, sess.ID, func(st session.Store) (struct{}, error) { return struct{}{}, st.Create(ctx, sess) })
	if errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("store: session %v is to be in shard %d, which is not there", sess.ID, x.st.opts.shardOf(sess.ID))
	}
	return err
}

// Get is session.Store.
func (x sessions) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	return in(ctx, x.st, id, func(st session.Store) (session.Session, error) { return st.Get(ctx, id) })
}

// Move is session.Store.
func (x sessions) Move(ctx context.Context, m session.Move) (session.Session, error) {
	sess, err := in(ctx, x.st, m.ID, func(st session.Store) (session.Session, error) { return st.Move(ctx, m) })
	if errors.Is(err, session.ErrNotFound) {
		err = session.ErrConflict
	}
	return sess, err
}

// End is session.Store. The events are in the shard when it returns, and in the
// home a moment later.
func (x sessions) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	_, err := in(ctx, x.st, id, func(st session.Store) (struct{}, error) { return struct{}{}, st.End(ctx, id, e, ev...) })
	if s := x.st.table.Load().find(x.st.opts.shardOf(id)); err == nil && s != nil {
		signal(s.wake)
	}
	return err
}

// List is session.Store, of all shards. If some do not answer, the error wraps
// session.ErrIncomplete.
func (x sessions) List(ctx context.Context, user string, before rotation.SessionID, limit int) ([]session.Session, error) {
	shards := x.st.table.Load().list
	lists, errs := make([][]session.Session, len(shards)), make([]error, len(shards)+1)
	var running sync.WaitGroup
	slots := make(chan struct{}, asked)
	for i, s := range shards {
		if s.is(postgres.ShardRemoved) {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			lists[i], errs[i] = call(s, func(db *postgres.DB) ([]session.Session, error) {
				return db.Sessions().List(ctx, user, before, limit)
			})
		})
	}
	running.Wait()
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b session.Session) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	all = all[:min(len(all), max(limit, 0))]
	if err := errors.Join(errs...); err != nil {
		return all, fmt.Errorf("%w: %w", session.ErrIncomplete, err)
	}
	return all, nil
}

// sweep is what this node remembers of its walk.
type sweep struct {
	mu     sync.Mutex
	failed []error // of shards that were left out
}

// Sweep is session.Store. The walk goes through one shard after the other, in the
// order of their numbers and not of all ids. A shard that does not answer is left
// out; the error comes when the others have had their turn.
func (x sessions) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (next rotation.SessionID, deleted int, err error) {
	w := &x.st.sweep
	w.mu.Lock()
	defer w.mu.Unlock()
	at := postgres.HomeShard
	if from != (rotation.SessionID{}) {
		at = x.st.opts.shardOf(from)
	}
	looked := 0
	count := func(s session.Session) bool { looked++; return dead(s) }
	for _, s := range x.st.table.Load().list {
		if s.number < at || s.is(postgres.ShardRemoved) {
			continue
		}
		n := 0
		next, err = call(s, func(db *postgres.DB) (next rotation.SessionID, err error) {
			next, n, err = db.Sessions().Sweep(ctx, from, max(limit-looked, 1), count)
			return next, err
		})
		deleted += n
		switch {
		case err != nil && (ctx.Err() != nil || s.number == postgres.HomeShard):
			w.failed = nil
			return rotation.SessionID{}, deleted, err
		case err != nil:
			w.failed = append(w.failed, err)
		case next != (rotation.SessionID{}):
			return next, deleted, nil
		}
		from = rotation.SessionID{} // the next one from its beginning
	}
	err, w.failed = errors.Join(w.failed...), nil
	return rotation.SessionID{}, deleted, err
}
