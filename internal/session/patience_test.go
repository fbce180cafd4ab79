package session

import (
	"testing"
	"testing/synctest"
	"time"
)

// Every decision gets its time, and a second more at most.
func TestPatienceLastsForEveryDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p patience
		for i := range 40 {
			time.Sleep(time.Duration(i) * 70 * time.Millisecond)
			began := time.Now()
			ctx := p.context()
			go func() {
				<-ctx.Done()
				if d := time.Since(began); d < applyTimeout || d > applyTimeout+time.Second {
					t.Errorf("a decision got %v", d)
				}
			}()
		}
		time.Sleep(2 * applyTimeout)
	})
}

func TestDecisionsOfOneSecondShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p patience
		first := p.context()
		time.Sleep(time.Second - 1)
		if p.context() != first {
			t.Error("not shared")
		}
		time.Sleep(time.Nanosecond)
		if p.context() == first {
			t.Error("shared for longer than a second")
		}
	})
}
