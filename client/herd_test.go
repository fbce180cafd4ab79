package client_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/client/internal/fakeauth"
)

const herd = 10_000

// In simulated time the wait is exact: nobody waits longer than the renewal.
func TestTenThousandGoroutinesOneRenewal(t *testing.T) {
	for _, mayEnd := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { tenThousandGoroutines(t, mayEnd) })
	}
}

// tenThousandGoroutines wait with contexts that may end, or with one that never
// does.
func tenThousandGoroutines(t *testing.T, mayEnd bool) {
	ctx := context.Background()
	if mayEnd {
		ctx = t.Context()
	}
	w := newWorld(t, nil).signIn()
	old := w.token()
	time.Sleep(time.Hour)
	w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: 2 * time.Second})
	start := time.Now()
	var wg sync.WaitGroup
	for range herd {
		wg.Go(func() {
			tok, err := w.source.Token(ctx)
			if err != nil || tok == old {
				t.Error(tok, err)
			}
			if d := time.Since(start); d != 2*time.Second {
				t.Errorf("waited %v for a renewal of 2 s", d)
			}
		})
	}
	synctest.Wait() // all of them wait
	wg.Wait()
	w.renewals(1)
	if n := w.watch.Calls(refreshPath); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// The same through the transport, in real time and with all processors: every
// request is refused, and repeated once.
func TestAHerdOfRefusedRequestsRenewsOnce(t *testing.T) {
	w := newWorld(t, nil).signIn()
	w.auth.ForgetAccess()
	const n = 2000
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-gate
			if s := w.get("/"); s != 200 {
				t.Errorf("status %d", s)
			}
		})
	}
	close(gate)
	wg.Wait()
	w.renewals(1)
	if got := w.api.Calls("/"); got > 2*n {
		t.Errorf("%d requests for %d", got, n)
	}
	runtime.KeepAlive(w)
}
