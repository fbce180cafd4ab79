package sharded

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/store/postgres"
)

const (
	relayPage = 512 // events that are taken over at once
	// afterOthers is how long a node leaves the events of another one to it: who
	// commits also relays, and usually has when this is over.
	afterOthers = 50 * time.Millisecond
)

// startRelay relays the events of a shard until ctx is done.
func (st *Store) startRelay(ctx context.Context, s *shard) {
	if s.number == postgres.HomeShard || s.db == nil {
		return
	}
	st.running.Go(func() {
		r := relay{st: st, s: s}
		poll := time.NewTicker(lookEvery)
		defer poll.Stop()
		for {
			if s.down.Load() == nil {
				_ = r.run(ctx) // the events stay where they are; who is down is told by care
			}
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			case <-s.stir:
				select {
				case <-s.wake:
				case <-time.After(afterOthers):
				case <-ctx.Done():
					return
				}
			case <-poll.C:
			}
		}
	})
}

// relay takes the events of one shard over into the log of the home.
type relay struct {
	st *Store
	s  *shard
	at postgres.Cursor // of the home, when it was last seen; it may have moved on
}

// run takes over what there is.
func (r *relay) run(ctx context.Context) error {
	for {
		more, err := r.step(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// step takes over one page, and reports whether there may be more.
func (r *relay) step(ctx context.Context) (more bool, err error) {
	list, same, err := r.after(ctx)
	if err != nil || same && len(list) == 0 {
		return false, err
	}
	// There is something to do, unless another node has done it.
	at, err := r.st.Relayed(ctx, r.s.number)
	if err != nil {
		return false, err
	}
	if at != r.at {
		r.at = at
		return true, nil
	}
	to := postgres.Cursor{}
	if n := len(list); n > 0 {
		to = postgres.Cursor{Seq: list[n-1].Seq, Mark: mark(list[n-1])}
	}
	err = r.st.Relay(ctx, r.s.number, at, to, list)
	if errors.Is(err, postgres.ErrRelayed) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	r.at = to
	err = r.s.db.Forget(ctx, to.Seq)
	r.s.saw(err)
	return true, err
}

// after are the events behind the cursor. If the event at the cursor is not the one
// that was relayed (same is false), the log went back, and all that is in it comes
// again.
func (r *relay) after(ctx context.Context) (list []events.Event, same bool, err error) {
	if r.at.Seq == 0 {
		list, err = r.since(ctx, 0, relayPage)
		return list, true, err
	}
	list, err = r.since(ctx, r.at.Seq-1, relayPage+1)
	if err != nil {
		return nil, false, err
	}
	if len(list) > 0 && list[0].Seq == r.at.Seq && mark(list[0]) == r.at.Mark {
		return list[1:], true, nil
	}
	// The cursor that is remembered may be older than what was deleted since.
	now, err := r.st.Relayed(ctx, r.s.number)
	if err != nil {
		return nil, false, err
	}
	if now != r.at {
		r.at = now
		return r.after(ctx)
	}
	list, err = r.since(ctx, 0, relayPage)
	return list, false, err
}

func (r *relay) since(ctx context.Context, seq int64, limit int) ([]events.Event, error) {
	list, err := r.s.db.Events().Since(ctx, seq, limit)
	r.s.saw(err)
	return list, err
}

// mark is a short fingerprint of an event, other than its number.
func mark(e events.Event) int64 {
	f := fnv.New64a()
	for _, s := range []string{strconv.FormatInt(e.At.UnixMilli(), 36), e.Kind, e.UserID, e.SessionID, string(e.Data)} {
		_, _ = f.Write([]byte(s)) // never fails (hash.Hash)
		_, _ = f.Write([]byte{0})
	}
	return int64(f.Sum64())
}
