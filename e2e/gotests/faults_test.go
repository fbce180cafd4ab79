package gotests

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/e2e/proxy"
)

// Whatever happens to a renewal on its way signs nobody out, and the next one
// finds the session as it was.
func TestTroubleOnTheWay(t *testing.T) {
	for _, f := range []proxy.Fault{
		{Kind: "drop-answer", Count: 1},
		{Kind: "drop-answer", Count: 2},
		{Kind: "drop-answer", Count: 3}, // all attempts of one renewal
		{Kind: "drop-request", Count: 4},
		{Kind: "status", Status: http.StatusServiceUnavailable, RetryAfter: 1, Count: 1},
		{Kind: "status", Status: http.StatusServiceUnavailable, RetryAfter: 3, Count: 1}, // longer than it waits within a renewal
		{Kind: "status", Status: http.StatusBadGateway, Count: 3},
		{Kind: "status", Status: http.StatusTooManyRequests, Count: 1},
		{Kind: "status", Status: http.StatusOK, Count: 1}, // a sign-in page, say
		{Kind: "status", Status: http.StatusForbidden, Count: 1},
		{Kind: "status", Status: http.StatusUnauthorized, Count: 1},
		{Kind: "delay-answer", MS: 2500, Count: 1}, // past the client's patience
		{Kind: "delay-request", MS: 2500, Count: 1},
		{Kind: "hang", Count: 1},
	} {
		f.Path = refreshPath
		t.Run(fmt.Sprint(f.Kind, f.Status, " ", f.Count), func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			store := client.NewMemoryStore()
			s.signIn(store)
			s.patience = 6 * time.Second // two for one attempt
			src := s.source(store)
			s.proxy.Add(f)
			old, err := renewal(t.Context(), src)
			if err != nil {
				t.Fatal(err)
			}
			if n := s.calls(refreshPath); n <= f.Count {
				t.Errorf("%d calls", n)
			}
			tok, err := renewal(t.Context(), src) // and once more, without trouble
			if err != nil || tok.Session != old.Session || tok.AccessToken == old.AccessToken {
				t.Errorf("afterwards: %v, %v", tok, err)
			}
			if n := s.advanced(); n != 2 {
				t.Errorf("two renewals moved the head %d times: %v", n, s.outcomes())
			}
			s.oneSession()
		})
	}
}

// Any mixture of lost and late answers.
func TestAnyTroubleOnTheWay(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	a := client.NewMemoryStore()
	sources := []*client.Source{s.signIn(a), s.source(a)} // two that share a store
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range rounds(30, 300) {
		s.proxy.Reset()
		for range random.IntN(4) {
			kind := []string{"drop-answer", "drop-answer", "drop-request", "delay-answer", "delay-request", "status"}[random.IntN(6)]
			s.proxy.Add(proxy.Fault{Path: refreshPath, Count: 1, Kind: kind, Status: 503, MS: random.Int64N(30)})
		}
		if _, err := renewal(t.Context(), sources[random.IntN(2)]); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
	t.Log(s.outcomes())
	s.oneSession()
}

// A refusal is final at once, for every source on the store; and a temporary
// error is none.
func TestTheEndIsTheEnd(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	store := client.NewMemoryStore()
	one, two := s.signIn(store), s.source(store)
	tok, err := two.Token(t.Context())
	must(t, err)
	must(t, one.SignOut(t.Context()))
	if _, err := s.app.Verifier.Verify(t.Context(), tok.AccessToken); err == nil {
		t.Error("the access token outlived the sign-out")
	}
	_, err = two.Renew(t.Context(), tok)
	if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
		t.Errorf("the other source: %v", err)
	}

	// The server cannot be told: nobody here is signed in all the same.
	_, err = one.SignIn(t.Context(), username, password)
	must(t, err)
	s.proxy.Add(proxy.Fault{Path: logoutPath, Count: 100, Kind: "drop-request"})
	err = one.SignOut(t.Context())
	if _, ok := errors.AsType[*client.TemporaryError](err); !ok {
		t.Errorf("a sign-out that nobody heard: %v", err)
	}
	if _, err := one.Token(t.Context()); !errors.Is(err, client.ErrNotSignedIn) {
		t.Errorf("after it: %v", err)
	}

	// Everywhere is everywhere, the one that nobody heard of included.
	s.proxy.Reset()
	other := s.signIn(nil)
	stolen, err := other.Token(t.Context())
	must(t, err)
	_, err = one.SignIn(t.Context(), username, password)
	must(t, err)
	must(t, one.SignOutEverywhere(t.Context()))
	_, err = other.Renew(t.Context(), stolen)
	if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
		t.Errorf("the other session: %v", err)
	}
	if list, err := s.app.Sessions.List(t.Context(), s.user); err != nil || len(list) != 0 {
		t.Errorf("%d sessions are left, %v", len(list), err)
	}
}
