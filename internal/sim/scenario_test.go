package sim

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

// scenario is what a world is like.
type scenario struct {
	seed    uint64
	length  time.Duration
	cluster int    // nodes
	people  int    // each with one browser or program
	kinds   []kind // taken in turn

	access, idle, absolute, overlap time.Duration
	poll                            time.Duration // of events
	gap                             time.Duration // between two things a user does
	skew                            time.Duration // of a node's clock, at most

	// The network: probabilities, and how long a message may be under way.
	lostRequests, lostAnswers, repeats, stalls float64
	life, flush                                time.Duration
	lostNotices, storeSpikes, storeCuts        float64
	signOuts, holidays, apiSkipped             float64
	offices                                    float64 // share of those who work with it all day

	// How often, on the mean, things go wrong; zero: never.
	kills, outages, slowness, failovers, restores, crashes, tunnels time.Duration
	// And what people do.
	thefts, grants, ends, rotations, probes time.Duration
	forgets                                 float64 // that the store forgets such a thing

	measured bool // what people ask of the server is counted
	mutant   mutant
}

// everybody is the usual mix of clients.
var everybody = []kind{sdk, sdk, interceptor, sdk, native, reloader, sdk, interceptor, confirming}

// play runs a world from its beginning to its end.
func play(t *testing.T, s scenario) *world {
	t.Helper()
	var w *world
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(s)
		defer w.close()
		w.populate(t)
		w.chaos()
		w.run(s.length)
		w.oracle.finish()
	})
	return w
}

const role = "staff"

func (w *world) populate(t *testing.T) {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	users := w.store.data.Directory
	var err error
	w.api, err = w.resourceServer()
	must(err)
	must(users.CreateRole(ctx, directory.Role{Name: role, Permissions: []string{"orders:read"}}))
	must(users.CreateRole(ctx, directory.Role{Name: "extra", Permissions: []string{"orders:write"}}))
	for i := range w.cluster {
		n := &node{w: w, index: i}
		if w.skew > 0 {
			n.skew = w.between(-w.skew, w.skew).Truncate(time.Millisecond)
		}
		w.nodes = append(w.nodes, n)
		n.start()
	}
	for i := range w.people {
		name := fmt.Sprintf("b%d", i)
		must(users.CreateUser(ctx, directory.User{ID: userID(name), Name: name, Roles: []string{role}, GrantsVersion: 1, PasswordHash: "-"}))
		b := &browser{link: link{w: w, who: name, lasts: w.life}, kind: w.kinds[i%len(w.kinds)], user: name, habit: w.habit(), tabs: 1 + w.rng.IntN(4)}
		switch {
		case b.kind == reloader:
			b.lasts = w.overlap / 2
		case b.kind >= native:
			b.calm, b.lasts = true, 5*time.Second
		}
		w.browsers = append(w.browsers, b)
		w.after(0, b.plan)
	}
}

func (w *world) close() {
	for _, n := range w.nodes {
		n.kill()
	}
	synctest.Wait()
}

// often does f now and then.
func (w *world) often(mean time.Duration, f func()) {
	if mean <= 0 {
		return
	}
	var next func()
	next = func() {
		f()
		w.after(w.about(mean), next)
	}
	w.after(w.about(mean), next)
}

func (w *world) someone() *browser { return w.browsers[w.rng.IntN(len(w.browsers))] }

// chaos sets up all that goes wrong, and what administrators do.
func (w *world) chaos() {
	w.often(w.kills, func() {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		if n.up != nil {
			n.kill()
			w.after(w.between(0, 90*time.Second), n.start)
		}
	})
	w.often(w.outages, func() { w.outage(w.between(0, 5*time.Minute)) })
	w.often(w.slowness, func() {
		w.store.slow = w.between(0, 4*time.Second)
		w.note("", "store: every call takes %v more", w.store.slow)
		w.after(w.between(0, 2*time.Minute), func() { w.store.slow = 0 })
	})
	w.often(w.failovers, w.failover)
	w.often(w.restores, w.restore)
	w.often(w.crashes, func() { w.someone().crash() })
	w.often(w.tunnels, func() {
		b := w.someone()
		b.offline = true
		w.after(w.about(3*time.Minute), func() { b.offline = false })
	})
	w.often(w.thefts, w.steal)
	w.often(w.grants, w.changeGrants)
	w.often(w.ends, w.endSession)
	w.often(w.rotations, func() {
		if in := w.anyNode(); in != nil && !w.store.down.Load() {
			_, err := in.Keys.Rotate(context.Background(), false)
			w.note("", "keys are rotated on %s: %v", in.name, err)
		}
	})
	w.often(w.probes, w.probe)
}

func (w *world) outage(d time.Duration) {
	if w.store.down.Swap(true) {
		return
	}
	w.note("", "store: away for %v", d)
	w.after(d, func() {
		w.store.down.Store(false)
		w.store.good = time.Now()
		w.note("", "store: back")
	})
}

// failover loses the last moment of what was committed: another server takes over
// that had not heard of it.
func (w *world) failover() {
	from, restore := time.Now(), w.store.backup()
	w.after(w.between(0, time.Second), func() {
		w.note("", "store: fails over and forgets the last %v", time.Since(from))
		w.store.fall(restore, from)
		if w.chance(0.5) {
			w.outage(w.between(0, 10*time.Second))
		}
	})
}

// restore goes back to a backup, with the nodes stopped, as it is done.
func (w *world) restore() {
	from, restore := time.Now(), w.store.backup()
	w.after(w.between(time.Minute, 40*time.Minute), func() {
		w.note("", "store: restored from a backup that is %v old", time.Since(from))
		for _, n := range w.nodes {
			n.kill()
		}
		w.store.fall(restore, from)
		for _, n := range w.nodes {
			w.after(w.between(time.Second, time.Minute), n.start)
		}
	})
}

func (w *world) changeGrants() {
	in, b := w.anyNode(), w.someone()
	if in == nil {
		return
	}
	if w.chance(w.forgets) {
		w.failover()
	}
	what := w.rng.IntN(10)
	w.do(in, func(ctx context.Context) error {
		switch {
		case what < 4:
			return in.Directory.GrantRole(ctx, userID(b.user), "extra")
		case what < 8:
			return in.Directory.RevokeRole(ctx, userID(b.user), "extra")
		case what == 8:
			return in.Directory.ChangePermissions(ctx, "extra", []string{"orders:cancel"}, nil)
		}
		return in.Directory.ChangePermissions(ctx, "extra", nil, []string{"orders:cancel"})
	}, func(err error) { w.note(b.who, "%s changes grants: %v", in.name, err) })
}

func (w *world) endSession() {
	in, b := w.anyNode(), w.someone()
	if in == nil || b.jar.session == "" {
		return
	}
	w.oracle.mayEnd(b.jar.session, wire.ReasonEndedByAdmin)
	if w.chance(w.forgets) {
		w.failover()
	}
	id := parseID(b.jar.session)
	w.do(in, func(ctx context.Context) error { return in.Sessions.End(ctx, id, wire.ReasonEndedByAdmin) },
		func(err error) { w.note(b.who, "%s ends the session: %v", in.name, err) })
}
