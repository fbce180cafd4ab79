package sharded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/rotation"
)

// Options are those of every database; Notify and Elsewhere are called for the
// home.
type Options struct {
	postgres.Options
	// Report, if set, is told of what fails in the background: once when it
	// begins, and with nil when all is well again.
	Report func(error)

	still   bool                         // tests: nothing happens in the background
	shardOf func(rotation.SessionID) int // tests
}

// Store is a home with its shards. What is not about sessions is the home's.
type Store struct {
	*postgres.DB // the home
	opts         Options
	id           postgres.ID

	table    atomic.Pointer[table]
	changing sync.Mutex            // of table
	pending  []candidate           // shards that have not answered since the start
	unjoined atomic.Pointer[error] // why they are not there yet
	told     string                // the last report

	stop    context.CancelFunc
	running sync.WaitGroup
	sweep   sweep
}

// table is what this node knows of the shards.
type table struct {
	list []*shard // by number; the home first
}

func (t *table) find(number int) *shard {
	i, ok := slices.BinarySearchFunc(t.list, number, func(s *shard, n int) int { return s.number - n })
	if !ok {
		return nil
	}
	return t.list[i]
}

// with is the table with s in the place of the one that has its number.
func (t *table) with(s *shard) *table {
	list := slices.DeleteFunc(slices.Clone(t.list), func(o *shard) bool { return o.number == s.number })
	list = append(list, s)
	slices.SortFunc(list, func(a, b *shard) int { return a.number - b.number })
	return &table{list}
}

// lookEvery is how often shards that are down are looked at, and the home is asked
// what it knows of all.
const lookEvery = time.Second

// ErrShards is wrapped when the databases named are not those that belong together.
// Nothing has been changed then.
var ErrShards = errors.New("the databases do not fit together")

// Open opens the home and its shards, whose order does not matter: each database
// knows which one it is. One that holds nothing yet becomes a new shard. A shard
// that does not answer is waited for in the background; one that is missing
// altogether is refused, since this node would take its sessions for gone.
func Open(ctx context.Context, home string, shards []string, opts Options) (_ *Store, err error) {
	if opts.shardOf == nil {
		opts.shardOf = shardOf
	}
	st := &Store{opts: opts, stop: func() {}}
	if st.DB, err = postgres.Open(ctx, home, opts.Options); err != nil {
		return nil, err
	}
	opened := make([]candidate, len(shards))
	defer func() {
		if err == nil {
			return
		}
		for _, c := range opened {
			if c.shard != nil && c.db != nil {
				err = errors.Join(err, c.db.Close())
			}
		}
		err = errors.Join(err, st.DB.Close())
	}()
	own, ok, err := st.Identity(ctx)
	switch {
	case err != nil:
		return nil, err
	case ok && own.Shard != postgres.HomeShard:
		return nil, notHome(st.DB, own)
	}
	var running sync.WaitGroup
	for i, url := range shards {
		running.Go(func() { opened[i] = st.open(ctx, url) })
	}
	running.Wait()
	if !ok {
		if own, err = st.BecomeHome(ctx); err != nil {
			return nil, err
		}
	}
	st.id = own.ID
	if err := st.assemble(ctx, opened); err != nil {
		return nil, err
	}
	if !opts.still {
		run, cancel := context.WithCancel(context.Background())
		st.stop = cancel
		for _, s := range st.table.Load().list {
			st.startRelay(run, s)
		}
		st.running.Go(func() { st.care(run) })
		st.running.Go(func() { st.await(run) })
	}
	return st, nil
}

// Alone is an error if a database that is opened without shards has some, or is
// one: sessions would be taken for gone.
func Alone(ctx context.Context, db *postgres.DB) error {
	own, ok, err := db.Identity(ctx)
	if err != nil || !ok {
		return err
	}
	if own.Shard != postgres.HomeShard {
		return notHome(db, own)
	}
	list, err := db.Shards(ctx)
	if err != nil {
		return err
	}
	var missing []int
	for _, s := range list {
		if s.Number != postgres.HomeShard && s.State != postgres.ShardRemoved {
			missing = append(missing, s.Number)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s is the home of the shards %v, and no shard-url is given: name them all", ErrShards, db.Where(), missing)
	}
	return nil
}

func notHome(db *postgres.DB, own postgres.Identity) error {
	return fmt.Errorf("%w: database-url names %s, which is shard %d of others: put the home there, and this one under shard-url", ErrShards, db.Where(), own.Shard)
}

// Close waits for writes that are under way, then disconnects.
func (st *Store) Close() error {
	st.stop()
	st.running.Wait()
	var errs []error
	for _, s := range st.table.Load().list {
		if s.db != nil && s.number != postgres.HomeShard {
			errs = append(errs, s.db.Close())
		}
	}
	return errors.Join(append(errs, st.DB.Close())...)
}

// Check makes a durable write in every database.
func (st *Store) Check(ctx context.Context) error {
	var errs []error
	for _, s := range st.table.Load().list {
		_, err := call(s, func(db *postgres.DB) (struct{}, error) { return struct{}{}, db.Check(ctx) })
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Size is that of all databases that answer.
func (st *Store) Size() (total int64, err error) {
	for _, s := range st.table.Load().list {
		n, e := call(s, (*postgres.DB).Size)
		total, err = total+n, errors.Join(err, e)
	}
	return total, err
}

// Down are the shards that do not answer, as far as it is known.
func (st *Store) Down() []error {
	var list []error
	for _, s := range st.table.Load().list {
		if s.number == postgres.HomeShard {
			continue // without it nothing goes, and everybody finds out
		}
		if err := s.down.Load(); err != nil {
			list = append(list, &Down{s.number, *err})
		}
	}
	return list
}

// Place marks the id of a new session with the shard that it goes to.
func (st *Store) Place(userID string, id rotation.SessionID) rotation.SessionID {
	var open, up []int
	for _, s := range st.table.Load().list {
		if !s.is(postgres.ShardOpen) {
			continue
		}
		open = append(open, s.number)
		if s.down.Load() == nil {
			up = append(up, s.number)
		}
	}
	if len(up) > 0 {
		open = up
	}
	return stamp(id, placed(userID, open))
}
