package gotests

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/e2e/proxy"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/rotation"
)

const (
	herd = 10_000
	// Of requests that are refused each costs a signature, and under the race
	// detector ten thousand leave the renewal no processor.
	refusedHerd = 2_000
)

// all runs f in so many goroutines that start together.
func all(n int, f func()) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-gate
			f()
		})
	}
	close(gate)
	wg.Wait()
}

// one fails the test unless the server has seen exactly one renewal.
func (s *stack) one() {
	s.t.Helper()
	if o := s.outcomes(); s.calls(refreshPath) != 1 || len(o) != 1 || o[rotation.Advanced] != 1 {
		s.t.Errorf("%d calls, decisions %v; want one renewal", s.calls(refreshPath), o)
	}
	s.oneSession()
}

// The client knows that its token has expired.
func TestTenThousandGoroutinesOnAnExpiredToken(t *testing.T) {
	s := newStack(t)
	s.patience = 10 * time.Minute // the herd may leave the renewal little of the processor
	s.restart(func(c *app.Config) { c.AccessTTL = time.Second })
	src := s.signIn(nil)
	old, err := src.Token(t.Context())
	must(t, err)
	s.restart(func(c *app.Config) { c.AccessTTL = 15 * time.Minute })
	time.Sleep(time.Until(old.ExpiresAt))

	s.proxy.Reset()
	s.proxy.Add(proxy.Fault{Path: refreshPath, Count: 1, Kind: "delay-answer", MS: 300}) // so that they pile up
	all(herd, func() {
		if tok, err := src.Token(t.Context()); err != nil || tok.AccessToken == old.AccessToken {
			t.Error(tok, err)
		}
	})
	s.one()
}

// The client learns it from the API, which refuses the token again and again:
// before, during and after the renewal.
func TestAHerdOfRefusedRequests(t *testing.T) {
	s := newStack(t)
	s.patience = 10 * time.Minute // the herd may leave the renewal little of the processor
	src := s.signIn(nil)
	api := &direct{handler: s.api()}
	transport, err := client.NewTransport(src, api, "https://api.test")
	must(t, err)
	s.clock.advance(time.Hour) // of the server only
	all(refusedHerd, func() {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://api.test/orders", nil)
		if err != nil {
			t.Error(err)
			return
		}
		res, err := transport.RoundTrip(req)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Error(res, err)
		}
	})
	s.one()
	if n := api.calls.Load(); n <= refusedHerd || n > 2*refusedHerd {
		t.Errorf("%d requests for %d: the first was to be refused, and each repeated once at most", n, refusedHerd)
	}
}
