package events

import (
	"context"
	"fmt"
	"time"
)

// Resume finds where a reader goes on that has seen everything up to the number
// seq, which had the mark (empty: not known). ok is false if what came after it
// is not all there any more, or if the number is not that of this log.
func (h *Hub) Resume(ctx context.Context, seq int64, mark string) (ok bool, err error) {
	h.mu.Lock()
	at := h.at
	h.mu.Unlock()
	if seq < 0 || seq > at.Seq {
		return false, nil
	}
	if mark != "" && seq == at.Seq && at.Mark != "" {
		return mark == at.Mark, nil
	}
	first, _, err := h.cfg.Log.Bounds(ctx)
	if err != nil || seq < first-1 {
		return false, err
	}
	if mark == "" || seq == 0 {
		return true, nil
	}
	return h.holds(ctx, seq, mark)
}

// holds reports whether the event with that number has that mark.
func (h *Hub) holds(ctx context.Context, seq int64, mark string) (bool, error) {
	list, err := h.cfg.Log.Since(ctx, seq-1, 1)
	if err != nil {
		return false, fmt.Errorf("events: read the log after number %d: %w", seq-1, err)
	}
	return len(list) > 0 && list[0].Seq == seq && list[0].fingerprint() == mark, nil
}

// Replay calls f with every event with a number above from and up to to, in
// order, until f returns an error.
func (h *Hub) Replay(ctx context.Context, from, to int64, f func(*Event) error) error {
	for from < to {
		list, err := h.cfg.Log.Since(ctx, from, int(min(page, to-from)))
		if err != nil {
			return fmt.Errorf("events: read the log after number %d: %w", from, err)
		}
		for i := range list {
			if list[i].Seq > to {
				return nil
			}
			if err := f(&list[i]); err != nil {
				return err
			}
		}
		if len(list) == 0 {
			return nil
		}
		from = list[len(list)-1].Seq
	}
	return nil
}

// Recent calls f with the events of the last Config.Window up to the number to.
func (h *Hub) Recent(ctx context.Context, to int64, f func(*Event) error) error {
	since := h.cfg.Clock().Add(-h.cfg.Window)
	first, last, err := h.cfg.Log.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("events: find the end of the log: %w", err)
	}
	from, err := h.startOf(ctx, since, first, last)
	if err != nil {
		return err
	}
	return h.Replay(ctx, from, to, func(e *Event) error {
		if e.At.Before(since) {
			return nil
		}
		return f(e)
	})
}

// startOf returns a number after which all events since the time are. Times are
// only nearly in order, those of several processes and of a clock that was set:
// a whole page of older ones is the sign to stop.
func (h *Hub) startOf(ctx context.Context, since time.Time, first, last int64) (int64, error) {
	for from := last; from >= first && from > 0; {
		from = max(from-page, first-1)
		list, err := h.cfg.Log.Since(ctx, from, page)
		if err != nil {
			return 0, fmt.Errorf("events: read the log after number %d: %w", from, err)
		}
		old := len(list) > 0 // else a gap
		for i := range list {
			old = old && list[i].At.Before(since)
		}
		if old {
			return from, nil
		}
	}
	return max(first-1, 0), nil
}
