package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// fewAtATime bounds what the tests themselves do to the nodes at once.
const fewAtATime = 32

// patience is how long everything may take to come to rest.
const patience = 45 * time.Second

// rest checks that everybody can go on now, and lets those who were robbed and
// those who robbed them meet.
func (w *world) rest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all sync.WaitGroup
	few := make(chan bool, fewAtATime)
	for _, h := range w.honest {
		few <- true
		all.Go(func() {
			if !h.goOn(ctx) {
				w.rec.complain(fmt.Sprintf("client %d could not go on after everything was repaired", h.number))
			}
			<-few
		})
	}
	all.Wait()
	w.t.Logf("all honest clients go on at %.2fs", w.rec.now().Seconds())
	for {
		// A thief whose victim has left, as after a sign-out that the store has
		// forgotten, is seen by nobody (PROTOCOL.md, section 9).
		met := map[*honest]bool{}
		for _, t := range w.thieves {
			for _, h := range w.honest {
				if id := t.robs.Load(); id != nil && h.in && sessionOf(h.access()) == *id {
					met[h] = true
				}
			}
		}
		for h := range met {
			all.Go(func() { h.round(ctx, true) })
		}
		all.Wait()
		if len(met) == 0 {
			return
		}
		if ctx.Err() != nil {
			w.rec.complain("a thief is still being served, though his victim carries on")
			return
		}
		wait(ctx, 200*time.Millisecond)
	}
}

// goOn reports whether the client can renew, or sign in.
func (h *honest) goOn(ctx context.Context) bool {
	for range 2 { // whose session is over signs in anew
		h.round(ctx, true)
		if h.in {
			return ctx.Err() == nil
		}
	}
	return false
}

// try uses an access token and reports whether it was accepted.
func (w *world) try(ctx context.Context, l *line, access string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", publicURL+wire.DefaultBasePath+wire.PathMe, nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("Authorization", "Bearer "+access)
	resp, err := l.RoundTrip(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK, nil
}

// maxHaunts bounds how many dead tokens are tried at the same time.
const maxHaunts = 20

// over reports whether everything has been repaired for long enough.
func (w *world) over() bool {
	at := time.Duration(w.repaired.Load())
	return at != 0 && w.rec.now() > at+lag+500*time.Millisecond
}

// haunt goes on using the access token of a session that is over, at any node,
// for as long as it would live.
func (w *world) haunt(access string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if access == "" || w.haunts >= maxHaunts {
		return
	}
	w.haunts++
	random := rand.New(rand.NewPCG(w.Seed, uint64(w.haunts)))
	until := w.rec.now() + w.Access
	w.work.Go(func() {
		for w.rec.now() < until && !w.over() {
			_, _ = w.try(context.Background(), newLine(w, -1, true, random), access) // the recorder has it
			time.Sleep(400 * time.Millisecond)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.haunts--
	})
}

// robbed are the sessions of which a thief has used a copy.
func (r *recorder) robbed() map[rotation.SessionID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := map[rotation.SessionID]bool{}
	for _, o := range r.ops {
		if o.thief && o.kind == renew {
			m[o.session] = true
		}
	}
	return m
}
