package gate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// However many come and however long the work takes: never more at work or
// waiting than allowed, nobody waits longer than Wait, who is turned away is
// counted, and when the work flows again all are let in.
func TestBoundsHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := Limits{
			Working: rapid.IntRange(1, 8).Draw(rt, "working"),
			Waiting: rapid.IntRange(1, 8).Draw(rt, "waiting"),
			Wait:    time.Duration(rapid.IntRange(1, 20).Draw(rt, "wait")) * time.Second,
		}
		callers := rapid.IntRange(1, 60).Draw(rt, "callers")
		work := rapid.SliceOfN(rapid.IntRange(0, 40), callers, callers).Draw(rt, "work")
		come := rapid.SliceOfN(rapid.IntRange(0, 30), callers, callers).Draw(rt, "come")
		synctest.Test(t, func(*testing.T) { through(rt, l, work, come) })
	})
}

func through(rt *rapid.T, l Limits, work, come []int) {
	g := New("test", l)
	var working, shed atomic.Int64
	var all sync.WaitGroup
	for i := range work {
		all.Go(func() {
			time.Sleep(time.Duration(come[i]) * time.Second)
			began := time.Now()
			err := g.Enter(context.Background())
			if waited := time.Since(began); waited > l.Wait {
				rt.Errorf("waited %s", waited)
			}
			if err != nil {
				if !errors.Is(err, ErrShed) {
					rt.Errorf("refused with %v", err)
				}
				shed.Add(1)
				return
			}
			defer g.Leave()
			if n := working.Add(1); int(n) > l.Working {
				rt.Errorf("%d at work", n)
			}
			if s := g.Stats(); s.Working > l.Working || s.Waiting > l.Waiting+1 { // one may just be on its way out
				rt.Errorf("stats %+v", s)
			}
			time.Sleep(time.Duration(work[i]) * time.Second)
			working.Add(-1)
		})
	}
	all.Wait()
	s := g.Stats()
	if s.Working != 0 || s.Waiting != 0 || int64(s.Full+s.Slow) != shed.Load() {
		rt.Errorf("at the end: %+v, %d were turned away", s, shed.Load())
	}
	for range l.Working { // no restart needed
		if err := g.Enter(context.Background()); err != nil {
			rt.Errorf("closed although nobody is at work: %v", err)
		}
	}
}

// Who waits is served in order, and a caller who goes away gives up the place.
func TestOrderAndGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New("test", Limits{Working: 1, Waiting: 3, Wait: time.Minute})
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		order := make(chan int, 3)
		for i := range 3 {
			ctx := ctx
			if i != 1 {
				ctx = t.Context()
			}
			go func() {
				if err := g.Enter(ctx); errors.Is(err, context.Canceled) {
					order <- -1
				} else if err == nil {
					order <- i
					g.Leave()
				}
			}()
			synctest.Wait()
		}
		if err := g.Enter(t.Context()); !errors.Is(err, ErrShed) {
			t.Errorf("the queue is full and one more got %v", err)
		}
		leave()
		synctest.Wait()
		g.Leave()
		for _, want := range []int{-1, 0, 2} {
			if got := <-order; got != want {
				t.Errorf("%d came, want %d", got, want)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	g := New("bench", Limits{Working: 1 << 10, Waiting: 1, Wait: time.Second})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := g.Enter(b.Context()); err != nil {
				b.Error(err)
			}
			g.Leave()
		}
	})
}
