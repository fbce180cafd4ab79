package session

import (
	"testing"
	"testing/synctest"
	"time"
)

// Every decision gets its time, and a second more at most.
func TestEveryDecisionGetsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadline
		for i := range 40 {
			time.Sleep(time.Duration(i) * 70 * time.Millisecond)
			began := time.Now()
			ctx := d.context()
			go func() {
				<-ctx.Done()
				if took := time.Since(began); took < applyTimeout || took > applyTimeout+time.Second {
					t.Errorf("a decision got %v", took)
				}
			}()
		}
		time.Sleep(2 * applyTimeout)
	})
}

func TestDecisionsOfOneSecondShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadline
		first := d.context()
		time.Sleep(time.Second - 1)
		if d.context() != first {
			t.Error("not shared")
		}
		time.Sleep(time.Nanosecond)
		if d.context() == first {
			t.Error("shared for longer than a second")
		}
	})
}
