package gotests

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/verify"
)

// signing is the id of the key in use.
func (s *stack) signing() string {
	s.t.Helper()
	for _, k := range s.app.Keys.List() {
		if k.Use == keys.UseSign && k.State == keys.StateActive {
			return k.KeyID
		}
	}
	s.t.Fatal("no key signs")
	return ""
}

func accepted(t *testing.T, v *verify.Verifier, src *client.Source) {
	t.Helper()
	tok, err := renewal(t.Context(), src)
	must(t, err)
	if _, err := v.Verify(t.Context(), tok.AccessToken); err != nil {
		t.Errorf("an honest token was refused: %v", err)
	}
}

// A rotation in its own time: a resource server that fetches the key set now and
// then meets no token under a key that it lacks.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	src := s.signIn(nil)
	set := s.keySet(s.clock.Now)
	v := s.verifier(set, nil, s.clock.Now)
	accepted(t, v, src)
	first := s.signing()
	made, err := s.app.Keys.Rotate(t.Context(), false)
	must(t, err)
	for i := range 25 { // 100 minutes; the lead is one hour
		s.clock.advance(4 * time.Minute)
		accepted(t, v, src)
		if i == 5 { // half an hour before it is used, the new key is known here
			known(t, set, made)
		}
	}
	if s.signing() == first {
		t.Error("the new key is not in use")
	}
}

// known fails the test if the set would have to be fetched for one of the signing
// keys.
func known(t *testing.T, set *verify.KeySet, made []keys.Info) {
	t.Helper()
	noTime, cancel := context.WithCancel(t.Context())
	cancel()
	for _, k := range made {
		if k.Use == keys.UseSign {
			if _, err := set.Key(noTime, k.KeyID); err != nil {
				t.Errorf("the key that will sign is not known: %v", err)
			}
		}
	}
}

// A rotation at once, as after a theft: a resource server without the feed
// fetches the set when it meets the unknown key; old tokens stay good.
func TestKeysRotateAtOnce(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	var own clock // of the key set: its cooldown is not waited for
	v := s.verifier(s.keySet(own.Now), nil, nil)
	var tokens []string
	var mu sync.Mutex
	var stopped atomic.Bool
	var work sync.WaitGroup
	src := s.signIn(nil)
	accepted(t, v, src)
	for range 4 { // who holds a token, presents it all the time
		work.Go(func() {
			for !stopped.Load() {
				mu.Lock()
				known := tokens
				mu.Unlock()
				for _, tok := range known {
					if _, err := v.Verify(t.Context(), tok); err != nil {
						t.Errorf("an honest token was refused: %v", err)
						return
					}
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	seen := map[string]bool{s.signing(): true}
	for range 5 {
		own.advance(verify.DefaultCooldown)
		if _, err := s.app.Keys.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		seen[s.signing()] = true
		tok, err := renewal(t.Context(), src)
		must(t, err)
		if _, err := v.Verify(t.Context(), tok.AccessToken); err != nil {
			t.Errorf("an honest token was refused: %v", err)
		}
		mu.Lock()
		tokens = append(tokens[:len(tokens):len(tokens)], tok.AccessToken)
		mu.Unlock()
	}
	stopped.Store(true)
	work.Wait()
	if len(seen) != 6 {
		t.Errorf("%d keys in use, want 6", len(seen))
	}
}

// With the feed the new keys are there at once, whatever the cooldown says.
func TestTheFeedBringsNewKeys(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	start := time.Now()
	set := s.keySet(func() time.Time { return start }) // its cooldown never ends
	feed, err := verify.NewFeed(verify.FeedConfig{URL: s.url + feedPath, Secret: feedToken, Keys: set})
	must(t, err)
	follow(t, feed)
	v := s.verifier(set, feed, nil)
	src := s.signIn(nil)
	accepted(t, v, src)
	for range 5 {
		if _, err := s.app.Keys.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the new key", func() bool {
			_, err := set.Key(t.Context(), s.signing())
			return err == nil
		})
		accepted(t, v, src)
	}
}
