package sharded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres"
)

// candidate is a database that was named as a shard. shard.db is nil as long as it
// does not answer.
type candidate struct {
	*shard
	url string
	err error
}

// open connects to a database that may be a shard.
func (st *Store) open(ctx context.Context, url string) candidate {
	s := newShard(0, nil, postgres.ShardNew)
	opts := st.opts.Options
	opts.Elsewhere = nil // users and roles are in the home
	opts.Notify = func() { signal(s.stir) }
	db, err := postgres.Open(ctx, url, opts)
	s.db = db
	return candidate{s, url, err}
}

// assemble fits the databases together, or refuses them without having changed
// one that is in use.
func (st *Store) assemble(ctx context.Context, opened []candidate) error {
	var errs []error
	for _, c := range opened {
		if c.err != nil && !unanswered(c.err) && !errors.Is(c.err, postgres.ErrBusy) {
			errs = append(errs, c.err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	t := &table{[]*shard{newShard(postgres.HomeShard, st.DB, postgres.ShardOpen)}}
	for _, c := range opened {
		if c.db == nil {
			st.pending = append(st.pending, c)
			continue
		}
		if err := st.identify(ctx, c.shard); err != nil {
			return err
		}
		if t.find(c.number) != nil {
			return fmt.Errorf("%w: two shard-urls name shard %d, or one names a copy of it (the second: %s)", ErrShards, c.number, c.db.Where())
		}
		t = t.with(c.shard)
	}
	list, err := st.Shards(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if s := t.find(r.Number); s != nil && r.State == postgres.ShardRemoved {
			return fmt.Errorf("%w: %s was shard %d, which was removed: take its shard-url away", ErrShards, s.db.Where(), r.Number)
		}
	}
	t, missing := known(t, list, errSilent)
	if len(missing) > len(st.pending) {
		return fmt.Errorf("%w: %s has the shards %v which no shard-url names: name all of them, or take one away for good with tacet shard remove", ErrShards, st.Where(), missing)
	}
	if len(missing) < len(st.pending) {
		return fmt.Errorf("a new shard, or one named twice, does not answer: %w", st.pending[0].err)
	}
	st.table.Store(t)
	return nil
}

// known brings the table up to what the home knows. Shards that it has and the
// table has not are missing, for the reason given.
func known(t *table, list []postgres.Shard, why error) (_ *table, missing []int) {
	for _, r := range list {
		switch s := t.find(r.Number); {
		case s != nil:
			s.state.Store(r.State)
		case r.State != postgres.ShardRemoved:
			missing = append(missing, r.Number)
			t = t.with(absent(r.Number, r.State, why))
		}
	}
	return t, missing
}

// identify finds out which shard a database is, and makes it one if it is none.
func (st *Store) identify(ctx context.Context, s *shard) error {
	own, ok, err := s.db.Identity(ctx)
	if err == nil && !ok {
		if own, err = s.db.BeginJoin(ctx, st.id); errors.Is(err, postgres.ErrNotEmpty) {
			return fmt.Errorf("%w: %s cannot become a shard: %w", ErrShards, s.db.Where(), err)
		}
	}
	switch {
	case err != nil:
		return err
	case own.ID == st.id:
		return fmt.Errorf("%w: %s is the home, or a copy of it: name it under database-url only", ErrShards, s.db.Where())
	case own.Cluster != st.id:
		return fmt.Errorf("%w: %s belongs to another home than %s", ErrShards, s.db.Where(), st.Where())
	}
	if s.number, err = st.numberOf(ctx, own); err != nil {
		return err
	}
	if own.Shard == s.number {
		return nil
	}
	return s.db.EndJoin(ctx, s.number)
}

// numberOf is the number of a database in the home's list, which must be the one
// that it has noted down itself.
func (st *Store) numberOf(ctx context.Context, own postgres.Identity) (int, error) {
	if own.Shard < 0 { // it has none yet
		return st.AddShard(ctx, own.ID)
	}
	list, err := st.Shards(ctx)
	if err != nil {
		return 0, err
	}
	for _, r := range list {
		if r.ID == own.ID && r.Number == own.Shard {
			return r.Number, nil
		}
	}
	return 0, fmt.Errorf("%w: a database says that it is shard %d, of which the home %s knows nothing; was the home restored from a backup that is older than the shard?", ErrShards, own.Shard, st.Where())
}

// care looks after what is not as it should be, until ctx is done.
func (st *Store) care(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := st.learn(ctx)
		for _, s := range st.table.Load().list {
			if s.down.Load() != nil {
				st.running.Go(func() { s.look(ctx) })
			}
		}
		if waits := st.unjoined.Load(); waits != nil {
			err = errors.Join(err, *waits)
		}
		if ctx.Err() == nil {
			st.report(errors.Join(append(st.Down(), err)...))
		}
	}
}

// await tries those again that have not answered since the start, until all have.
func (st *Store) await(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for len(st.pending) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var left []candidate
		var errs []error
		for _, c := range st.pending {
			if c, err := st.join(ctx, c.url); err != nil {
				errs, left = append(errs, err), append(left, c)
			}
		}
		err := errors.Join(errs...)
		st.pending = left
		st.unjoined.Store(&err)
	}
}

// join takes a shard in that was missing.
func (st *Store) join(ctx context.Context, url string) (candidate, error) {
	c := st.open(ctx, url)
	if c.err == nil {
		c.err = st.identify(ctx, c.shard)
	}
	if c.err != nil {
		if c.db != nil {
			_ = c.db.Close() // it was not used
		}
		return c, c.err
	}
	st.changing.Lock()
	defer st.changing.Unlock()
	if s := st.table.Load().find(c.number); s != nil {
		if s.db != nil {
			return c, errors.Join(fmt.Errorf("%w: %s is shard %d, which is named twice", ErrShards, c.db.Where(), c.number), c.db.Close())
		}
		c.state.Store(s.state.Load())
	}
	st.table.Store(st.table.Load().with(c.shard))
	st.startRelay(ctx, c.shard)
	return c, nil
}

// learn asks the home what has become of the shards.
func (st *Store) learn(ctx context.Context) error {
	list, err := st.Shards(ctx)
	if err != nil {
		return err
	}
	st.changing.Lock()
	defer st.changing.Unlock()
	t, _ := known(st.table.Load(), list, errUnnamed)
	st.table.Store(t)
	return nil
}

// report tells of a failure once, and of its end.
func (st *Store) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != st.told && st.opts.Report != nil {
		st.opts.Report(err)
	}
	st.told = text
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is about to look
	}
}
