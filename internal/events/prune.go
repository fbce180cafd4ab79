package events

import (
	"context"
	"time"
)

const (
	pruneEvery = time.Minute
	prunePause = 50 * time.Millisecond
	pruneBite  = 256 // events
	maxJump    = 10 * time.Minute
)

// pruner deletes old events in small bites, so that no renewal waits long for
// the one who writes. It stands still while the wall clock disagrees with the
// time that has really passed: events that a clock far ahead would prune are
// those that tell of ended sessions whose tokens still live.
type pruner struct {
	cfg          Config
	began, wall  time.Time
	warned, fail bool
}

func newPruner(cfg Config) pruner {
	return pruner{cfg: cfg, began: time.Now(), wall: cfg.Clock().Round(0)}
}

// bite prunes a little and returns how long to wait before the next time.
func (p *pruner) bite(ctx context.Context) time.Duration {
	now := p.cfg.Clock()
	jump := now.Round(0).Sub(p.wall) - time.Since(p.began)
	if jump.Abs() > maxJump {
		if !p.warned {
			p.cfg.Logger.Error("the clock has jumped since the start; old events are not pruned until it is right or the server is restarted", "jump", jump.Round(time.Second).String())
			p.warned = true
		}
		return pruneEvery
	}
	before, err := now.Add(-p.cfg.Retention), error(nil)
	if p.cfg.Needed != nil {
		var needed time.Time
		if needed, err = p.cfg.Needed(ctx); needed.Before(before) {
			before = needed
		}
	}
	n := 0
	if err == nil {
		n, err = p.cfg.Log.Prune(ctx, before, pruneBite)
	}
	if err != nil && ctx.Err() == nil && !p.fail {
		p.cfg.Logger.Error("pruning old events failed; it will be tried again", "error", err, "in", pruneEvery.String())
	}
	p.fail = err != nil
	if err == nil && n == pruneBite {
		return prunePause
	}
	return pruneEvery
}
