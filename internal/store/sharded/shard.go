package sharded

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/tacet-dev/tacet/internal/store/postgres"
)

// shard is one database with sessions.
type shard struct {
	number int
	db     *postgres.DB // nil: it has not answered yet, and is down
	state  atomic.Value // postgres.ShardState
	down   atomic.Pointer[error]
	wake   chan struct{} // events were committed by this node
	stir   chan struct{} // events may have been committed
}

func newShard(number int, db *postgres.DB, state postgres.ShardState) *shard {
	s := &shard{number: number, db: db, wake: make(chan struct{}, 1), stir: make(chan struct{}, 1)}
	s.state.Store(state)
	return s
}

// absent is a shard whose database is not at hand.
func absent(number int, state postgres.ShardState, why error) *shard {
	s := newShard(number, nil, state)
	s.down.Store(&why)
	return s
}

var (
	errSilent  = errors.New("it has not answered since the start; it is tried again every second")
	errUnnamed = errors.New("this node has no shard-url for it: name it there, and restart the node")
)

func (s *shard) is(state postgres.ShardState) bool { return s.state.Load() == state }

// Down is the error of a call to a shard that does not answer.
type Down struct {
	Shard int
	Err   error
}

// Error names the shard and what is wrong with it.
func (d *Down) Error() string { return fmt.Sprintf("shard %d: %v", d.Shard, d.Err) }

// Unwrap gives the cause to errors.Is.
func (d *Down) Unwrap() error { return d.Err }

// Is says that it is out of reach, whatever the cause.
func (d *Down) Is(target error) bool { return target == postgres.ErrUnreachable }

// call makes a call to the shard's database, unless it is known to be down: then
// callers have other things to do than to wait until it is not. The home has no
// others that could go on.
func call[T any](s *shard, f func(*postgres.DB) (T, error)) (T, error) {
	var none T
	if err := s.down.Load(); err != nil && s.number != postgres.HomeShard {
		return none, &Down{s.number, *err}
	}
	v, err := f(s.db)
	s.saw(err)
	if err != nil && unanswered(err) {
		err = &Down{s.number, err}
	}
	return v, err
}

// saw notes whether the database answered.
func (s *shard) saw(err error) {
	switch {
	case err == nil:
		if s.down.Load() != nil {
			s.down.Store(nil)
		}
	case unanswered(err):
		s.down.Store(&err)
	}
}

// unanswered reports whether an error is that of a database that is not there, and
// not one about a call.
func unanswered(err error) bool {
	return errors.Is(err, postgres.ErrUnreachable) || errors.Is(err, postgres.ErrTimeout)
}

// look asks the database whether it is there.
func (s *shard) look(ctx context.Context) {
	if s.db != nil {
		_, err := s.db.Holds(ctx)
		s.saw(err)
	}
}
