package session

import (
	"context"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

const (
	// Retention is how long the row of a session that is over is kept. It is
	// long enough to notice and undo a clock that jumped ahead, by which time
	// living sessions would look expired.
	Retention  = 72 * time.Hour
	sweepBite  = 256
	sweepPause = 50 * time.Millisecond
	sweepEvery = 10 * time.Minute
	maxJump    = 10 * time.Minute
)

// Sweep deletes the rows of sessions that have been over for longer than
// Retention, in small bites with pauses between them, and returns how many.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	limit := s.Now().Add(-Retention)
	dead := func(sess Session) bool {
		if sess.State.Ended {
			return sess.End.At.Before(limit)
		}
		return s.cfg.Lifetimes.Expired(sess.State, limit)
	}
	var from rotation.SessionID
	total := 0
	for {
		next, n, err := s.cfg.Store.Sweep(ctx, from, sweepBite, dead)
		total += n
		if err != nil {
			return total, unavailable(err)
		}
		if next == (rotation.SessionID{}) {
			return total, nil
		}
		from = next
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(sweepPause):
		}
	}
}

// RunSweeper sweeps from time to time until ctx is done. It stands still while
// the wall clock disagrees with the time that has really passed.
func (s *Service) RunSweeper(ctx context.Context) {
	began := time.Now()
	wallBegan := s.cfg.Clock().Round(0)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if jump := s.cfg.Clock().Round(0).Sub(wallBegan) - time.Since(began); jump.Abs() > maxJump {
			s.cfg.Logger.Error("the clock has jumped since the start; expired sessions are not swept until it is right or the server is restarted",
				"jump", jump.Round(time.Second).String())
			continue
		}
		n, err := s.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Error("sweeping expired sessions failed; it will be tried again", "error", err, "in", sweepEvery.String())
		} else if n > 0 {
			s.cfg.Logger.Info("swept sessions that were over", "sessions", n)
		}
	}
}
