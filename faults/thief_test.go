package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// thief copies a token from the jar of an honest client and uses it until he is
// refused; then he looks for the next victim.
type thief struct {
	w      *world
	number int
	random *rand.Rand
	robs   atomic.Pointer[rotation.SessionID] // the session that he has a copy of now
}

// habits of thieves: how they use a copy.
var habits = []func(ctx context.Context, t *thief, a bodyHolder){
	// At once, and then like an honest client.
	func(context.Context, *thief, bodyHolder) {},
	// When the victim has long moved on.
	func(ctx context.Context, t *thief, _ bodyHolder) { wait(ctx, 2*t.w.Pace) },
	// The same copy again and again, before he uses what he got for it.
	func(ctx context.Context, t *thief, a bodyHolder) {
		copied := a.token()
		for range 3 {
			if a.renew(ctx) == errRefused {
				break
			}
			a.keep(copied)
		}
	},
	// In a crowd of his own.
	func(ctx context.Context, t *thief, a bodyHolder) {
		done := make(chan bool, 4)
		for range cap(done) {
			go func() { _ = a.renew(ctx); done <- true }() // the next renewal shows what came of it
		}
		for range cap(done) {
			<-done
		}
	},
}

// live steals until free ends, and goes on with what he has until ctx ends.
func (t *thief) live(ctx, free context.Context) {
	for {
		wait(free, time.Duration(t.random.Int64N(int64(3*t.w.Pace))))
		if free.Err() != nil {
			return
		}
		victim := t.w.honest[t.random.IntN(len(t.w.honest))]
		copied := victim.token()
		copy, err := parseToken(copied)
		if err != nil { // signed out, or a store that cannot be read
			continue
		}
		t.robs.Store(&copy.Session)
		l := newLine(t.w, t.number, true, rand.New(rand.NewPCG(t.random.Uint64(), 0)))
		a := bodyHolder{newAgent(t.w, l, fmt.Sprint("thief", t.number))}
		a.keep(copied)
		habits[t.random.IntN(len(habits))](ctx, t, a)
		for ctx.Err() == nil {
			if a.renew(ctx) == errRefused {
				t.robs.Store(nil)
				t.w.haunt(a.access())
				break
			}
			wait(ctx, time.Duration(1+t.random.Int64N(int64(t.w.Pace)))) // also faster than the victim
		}
	}
}
