package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// ErrBusy is returned when too many callers wait for the ring to be read again.
var ErrBusy = errors.New("keys: too many requests wait for the key ring; try again")

const (
	readTimeout = 5 * time.Second
	readGap     = 250 * time.Millisecond // between two readings for unknown ids
	maxWaiting  = 256                    // callers
	idWindow    = 64                     // ids above the highest known one that may be real
	retryAfter  = 5 * time.Second        // a reading that failed
)

// Run keeps the ring up to date until ctx ends: it reads it again and does what
// is due. Failures are logged and tried again.
func (r *Ring) Run(ctx context.Context) {
	poll := r.cfg.Policy.poll()
	t := time.NewTimer(poll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		wait := poll
		if err := r.Refresh(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("the key ring could not be read; the keys at hand stay in use", "error", err)
			wait = min(poll, retryAfter)
		}
		t.Reset(wait)
	}
}

// FindMACKey is [Ring.MACKey] for tokens that another process may have made
// under a key that this one has not seen. An id that may be such a key's is
// looked for in the store, in a reading that starts after the call; any other
// unknown id costs nothing. An error says nothing about the token.
func (r *Ring) FindMACKey(ctx context.Context, id rotation.KeyID) (rotation.Key, bool, error) {
	v := r.view.Load()
	if k, ok := v.macKey(id); ok {
		return k, true, nil
	}
	// Ids only grow and the ring is stored as a whole: an unknown id that is
	// not above all known ones was dropped, one far above was made up.
	if uint32(id) <= v.maxID || uint32(id)-v.maxID > idWindow {
		return rotation.Key{}, false, nil
	}
	if err := r.fresh.read(ctx, r.Refresh); err != nil {
		return rotation.Key{}, false, err
	}
	k, ok := r.MACKey(id)
	return k, ok, nil
}

// Current returns when every key that was stored before the call is known here:
// for whoever meets a key id that another process may have just made, and for
// those who publish the key set to others who did. Readings are shared, and few.
// On an error the keys at hand stay in use.
func (r *Ring) Current(ctx context.Context) error { return r.current.read(ctx, r.Refresh) }

// fresher lets any number of callers share readings that start after they
// called, with a pause between two of them.
type fresher struct {
	mu      sync.Mutex
	next    *reading // not begun yet; nil if nobody waits
	last    time.Time
	waiting int
}

type reading struct {
	done chan struct{}
	err  error
}

func (f *fresher) read(ctx context.Context, load func(context.Context) error) error {
	f.mu.Lock()
	if f.waiting >= maxWaiting {
		f.mu.Unlock()
		return ErrBusy
	}
	f.waiting++
	rd := f.next
	if rd == nil {
		rd = &reading{done: make(chan struct{})}
		f.next = rd
		go f.run(rd, time.Until(f.last.Add(readGap)), load)
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.waiting--
		f.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return fmt.Errorf("keys: waiting for the key ring: %w", ctx.Err())
	case <-rd.done:
		return rd.err
	}
}

func (f *fresher) run(rd *reading, wait time.Duration, load func(context.Context) error) {
	if wait > 0 {
		time.Sleep(wait)
	}
	f.mu.Lock()
	f.next = nil // whoever comes now needs another reading
	f.last = time.Now()
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	rd.err = load(ctx)
	close(rd.done)
}
