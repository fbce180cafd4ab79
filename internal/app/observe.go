package app

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/gate"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store"
	"github.com/tacet-dev/tacet/internal/store/bounded"
	"github.com/tacet-dev/tacet/internal/telemetry"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// How much may be under way at once. A store serves thousands of calls a second
// from a few dozen in flight; when this many are, it does not keep up, and to
// let more in would only make all of them wait longer. Calls that are turned
// away are refused with 503 and come back a little later, spread out.
var (
	renewalLimits = gate.Limits{Working: 1024, Waiting: 1024, Wait: time.Second}
	otherLimits   = gate.Limits{Working: 512, Waiting: 1024, Wait: time.Second}
)

// signInLimits: a password costs a processor for tens of milliseconds, so more
// than a few hundred would wait longer than people do.
func signInLimits() gate.Limits {
	return gate.Limits{Working: 2 * passwordsAtOnce(), Waiting: 128 * passwordsAtOnce(), Wait: 5 * time.Second}
}

// passwordsAtOnce leaves half of the processors to renewals.
func passwordsAtOnce() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// ownSignIns are those of a directory that is not ours, whose cost nobody knows.
var ownSignIns = gate.Limits{Working: 64, Waiting: 256, Wait: 5 * time.Second}

// watch makes what measures this App and bounds its work.
func (a *App) watch() {
	a.Metrics = telemetry.NewMetrics(telemetry.Known{
		Version:  a.Config.Version,
		Outcomes: outcomes(),
		Results:  []string{signInAccepted, signInRefused, signInThrottled, signInUnavailable},
		Reasons:  []string{wire.ReasonSignedOut, wire.ReasonEndedByUser, wire.ReasonEndedByAdmin, wire.ReasonReuseDetected, wire.ReasonUserDisabled, wire.ReasonPassword, wire.ReasonProvider, wire.ReasonReplaced},
		Failures: store.Names(),
	})
	limits := signInLimits()
	if a.Config.Directory != nil {
		limits = ownSignIns
	}
	a.gates.renewals, a.gates.others, a.gates.signIns = gate.New("renewals", renewalLimits), gate.New("others", otherLimits), gate.New("sign_ins", limits)
	a.bounds = &bounded.Config{
		Renewals: a.gates.renewals, Others: a.gates.others,
		Failure: failure,
		Observe: a.Metrics.StoreCall,
		Ended:   a.ended,
		Swept:   a.Metrics.Swept,
		Tracer:  a.Config.Tracer,
	}
}

// Names of outcomes that are not package rotation's.
const (
	outcomeNotAuthentic = "not_authentic"
	outcomeUnavailable  = "unavailable"
)

func outcomes() []string {
	list := []string{outcomeNotAuthentic, outcomeUnavailable}
	for o := rotation.Ended; o <= rotation.Reused; o++ {
		list = append(list, o.String())
	}
	return list
}

// decided is session.Config.Observe.
func (a *App) decided(d session.Decided) {
	if d.Started {
		a.Metrics.Started()
	} else {
		a.Metrics.Renewed(d.Outcome.String())
	}
	if a.Config.Observe != nil {
		a.Config.Observe(d)
	}
}

// undecided is session.Config.Undecided.
func (a *App) undecided(err error) {
	if errors.Is(err, session.ErrNotAuthentic) {
		a.Metrics.Renewed(outcomeNotAuthentic)
	} else {
		a.Metrics.Renewed(outcomeUnavailable)
	}
}

// failure is bounded.Config.Failure.
func failure(err error) string {
	switch err { // the usual responses, which renewals get too
	case session.ErrNotFound, session.ErrConflict, oauth.ErrNotFound, directory.ErrNotFound:
		return ""
	}
	var e *store.Error
	switch {
	case errors.Is(err, gate.ErrShed): // counted by the gate
	case errors.As(err, &e) && e.Name() != store.Other:
		return e.Name()
	case errors.Is(err, context.DeadlineExceeded):
		return store.Timeout
	case errors.Is(err, context.Canceled): // the caller has gone
	case e != nil:
		return store.Other
	}
	return "" // no failure of the store
}

// Results of sign-ins with a password.
const (
	signInAccepted    = "accepted"
	signInRefused     = "refused"
	signInThrottled   = "throttled"
	signInUnavailable = "unavailable"
)

// countedThrottle sees how every sign-in ends.
type countedThrottle struct {
	session.Throttle
	count func(result string)
}

// Allow is session.Throttle.
func (t countedThrottle) Allow(name string, from netip.Addr) (retryAfter time.Duration, ok bool) {
	retryAfter, ok = t.Throttle.Allow(name, from)
	if !ok {
		t.count(signInThrottled)
	}
	return retryAfter, ok
}

// Failed is session.Throttle.
func (t countedThrottle) Failed(name string, from netip.Addr) {
	t.Throttle.Failed(name, from)
	t.count(signInRefused)
}

// Succeeded is session.Throttle.
func (t countedThrottle) Succeeded(name string, from netip.Addr) {
	t.Throttle.Succeeded(name, from)
	t.count(signInAccepted)
}

// Released is session.Throttle.
func (t countedThrottle) Released(name string, from netip.Addr) {
	t.Throttle.Released(name, from)
	t.count(signInUnavailable)
}

// boundedSignIns keeps a storm of sign-ins from taking the processors away from
// renewals.
type boundedSignIns struct {
	session.Authenticator
	gate *gate.Gate
}

// Authenticate is session.Authenticator.
func (b boundedSignIns) Authenticate(ctx context.Context, username, password string, from session.Contact) (session.Identity, error) {
	if err := b.gate.Enter(ctx); err != nil {
		return session.Identity{}, err
	}
	defer b.gate.Leave()
	return b.Authenticator.Authenticate(ctx, username, password, from)
}

// state is telemetry.Metrics.Watch.
func (a *App) state() telemetry.State {
	now := a.Config.Clock()
	heard := a.Events.State()
	s := telemetry.State{EventLag: max(0, now.Sub(heard.AsOf)), Pages: heard.Users, Feeds: heard.All}
	for _, g := range []*gate.Gate{a.gates.renewals, a.gates.others, a.gates.signIns} {
		st := g.Stats()
		s.Gates = append(s.Gates, telemetry.Gate{Name: st.Name, Capacity: st.Limits.Working, InUse: st.Working, Waiting: st.Waiting, TurnedAway: st.Full, TurnedAwaySlow: st.Slow})
	}
	for _, l := range a.Keys.Lives() {
		s.Keys = append(s.Keys, telemetry.Key{Use: string(l.Use), Age: now.Sub(l.Active), Next: l.Next.Sub(now)})
	}
	if q, ok := a.DB.(interface{ Queued() int }); ok {
		s.Queue = q.Queued()
	}
	if p, ok := a.DB.(interface {
		Pools() (renewals, others *pgxpool.Stat)
	}); ok {
		renewals, others := p.Pools()
		s.Pools = []telemetry.Pool{pool("renewals", renewals), pool("others", others)}
	}
	return s
}

func pool(name string, s *pgxpool.Stat) telemetry.Pool {
	return telemetry.Pool{Name: name, InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), Waited: s.EmptyAcquireWaitTime()}
}
