package sim

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// mutant is a way in which the server is wrong. The store and the settings are
// where it can be bent from outside.
type mutant struct {
	name   string
	move   func(sessions, session.Move) (session.Session, error)
	end    func(sessions, rotation.SessionID, session.End, ...events.Event) (done bool, err error)
	sweep  func(*world, session.Session) bool
	keys   func([]keys.Key) []keys.Key
	events func([]events.Event) []events.Event // of changes of grants
	blind  bool                                // a store that is away looks empty
	late   time.Duration                       // added to the idle and absolute lifetimes
	strict bool                                // no overlap
	tune   func(*scenario)                     // the world in which it does harm soon
}

var mutants = []mutant{
	{name: "there is no overlap", strict: true, tune: func(s *scenario) { s.kinds, s.repeats = []kind{reloader}, 0.3 }},
	{name: "reuse is refused, but the session goes on", end: func(_ sessions, _ rotation.SessionID, e session.End, _ ...events.Event) (bool, error) {
		return e.Reason == wire.ReasonReuseDetected, nil
	}},
	{name: "an end is not told to other nodes", tune: func(s *scenario) { s.cluster = 3 }, end: func(h sessions, id rotation.SessionID, e session.End, _ ...events.Event) (bool, error) {
		err := h.data.Sessions.End(context.Background(), id, e)
		if err == nil {
			h.w.oracle.ended(id, e)
		}
		return true, err
	}},
	{name: "a token newer than the store is taken for reuse", tune: func(s *scenario) { s.failovers = 5 * time.Minute }, move: func(h sessions, m session.Move) (session.Session, error) {
		if m.Condition.Generation+1 < m.Head.Generation {
			_ = h.end(m.ID, session.End{Reason: wire.ReasonReuseDetected, At: m.At})
			return session.Session{}, session.ErrConflict
		}
		return h.data.Sessions.Move(context.Background(), m)
	}},
	{name: "the head moves without a compare-and-swap", move: func(h sessions, m session.Move) (session.Session, error) {
		s, err := h.data.Sessions.Get(context.Background(), m.ID)
		if err != nil {
			return s, session.ErrConflict
		}
		m.Condition = s.State.Condition()
		return h.data.Sessions.Move(context.Background(), m)
	}},
	{name: "retired keys are dropped at once", keys: func(ring []keys.Key) []keys.Key {
		return slices.DeleteFunc(slices.Clone(ring), func(k keys.Key) bool { return !k.RetiredAt.IsZero() })
	}},
	{name: "sessions are swept when half of their idle time is over", sweep: func(w *world, s session.Session) bool {
		return time.Since(s.State.HeadAt) > w.idle/2
	}},
	{name: "changes of grants are not told", tune: func(s *scenario) { s.grants = 5 * time.Minute }, events: func([]events.Event) []events.Event { return nil }},
	{name: "a store that is away looks empty", blind: true},
	{name: "lifetimes are a millisecond too long", late: time.Millisecond},
	{name: "lifetimes are a millisecond too short", late: -time.Millisecond},
}

const firstMutant = 100

// TestOracleSeesWrongServers: each mutant is found within a few seeds.
func TestOracleSeesWrongServers(t *testing.T) {
	// A mutant is found for what it does wrong: without it, all is well.
	report(t, play(t, hard(firstMutant)))
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			for seed := range uint64(8) {
				s := hard(firstMutant + seed)
				s.mutant = m
				if m.tune != nil {
					m.tune(&s)
				}
				if w := play(t, s); len(w.oracle.violations) > 0 {
					t.Logf("seed %d: %s", s.seed, w.oracle.violations[0])
					return
				}
			}
			t.Error("nothing was noticed")
		})
	}
}
