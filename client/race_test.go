package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
	"github.com/tacet-dev/tacet/wire"
)

// hookedStore runs a function, once, at a moment that is hard to hit.
type hookedStore struct {
	client.TokenStore
	afterLoad, afterUnlock func()
}

func (h *hookedStore) Load(ctx context.Context) ([]byte, error) {
	b, err := h.TokenStore.Load(ctx)
	if f := h.afterLoad; f != nil {
		h.afterLoad = nil
		f()
	}
	return b, err
}

func (h *hookedStore) Lock(ctx context.Context) (func(), error) {
	unlock, err := h.TokenStore.Lock(ctx)
	return func() {
		unlock()
		if f := h.afterUnlock; f != nil {
			h.afterUnlock = nil
			f()
		}
	}, err
}

// Who waited for the lock uses what its holder got.
func TestTwoSourcesAtOnceRenewOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		sources := []*client.Source{w.source, w.newSource(nil), w.newSource(nil)}
		time.Sleep(time.Hour)
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: 5 * time.Second})
		got := make(chan client.Token, len(sources))
		for _, s := range sources {
			go func() {
				tok, err := s.Token(t.Context())
				if err != nil {
					t.Error(err)
				}
				got <- tok
			}()
		}
		first := <-got
		for range len(sources) - 1 {
			if tok := <-got; tok.AccessToken != first.AccessToken {
				t.Error("different tokens")
			}
		}
		w.renewals(1)
	})
}

// A renewal that read the store just before a sign-out brings nothing back.
func TestASignOutIsNotUndoneByALateReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hookedStore{TokenStore: client.NewMemoryStore()}
		w := newWorld(t, func(c *client.Config) { c.Store = h }).signIn()
		old := w.token()
		other := w.newSource(func(c *client.Config) { c.Store = h.TokenStore })
		stored, err := other.Token(t.Context())
		must(t, err)
		_, err = other.Renew(t.Context(), stored) // so that there is something to adopt
		must(t, err)
		w.renewals(1)
		h.afterLoad = func() { must(t, w.source.SignOut(t.Context())) }
		_, err = w.source.Renew(t.Context(), old)
		wantErr[*client.SignedOutError](t, err)
		_, err = w.source.Token(t.Context())
		wantErr[*client.SignedOutError](t, err)
	})
}

// Nor does the refusal of an old session undo a sign-in that came just after.
func TestASignInIsNotUndoneByALateRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hookedStore{TokenStore: client.NewMemoryStore()}
		w := newWorld(t, func(c *client.Config) { c.Store = h }).signIn()
		old := w.token()
		w.auth.EndAll()
		h.afterUnlock = func() { w.signIn() }
		_, err := w.source.Renew(t.Context(), old)
		wantErr[*client.SignedOutError](t, err)
		calls := w.watch.Calls(refreshPath)
		w.loseAll()
		if tok := w.token(); tok.Session == old.Session || w.watch.Calls(refreshPath) != calls {
			t.Error("the new session is not in use")
		}
		synctest.Wait()
		if len(w.ended) != 0 {
			t.Error("told of a sign-out though somebody is signed in")
		}
	})
}

// A late 401 for an old token does not wait for a renewal ahead of the current
// one, which is good.
func TestALate401DoesNotWaitForARenewalAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		w.api.Next("/slow", fakeauth.Fault{Kind: fakeauth.Slow, Delay: 13 * time.Minute})
		late := make(chan int)
		start := time.Now()
		go func() { late <- w.get("/slow") }()
		synctest.Wait()
		w.auth.ForgetAccess()
		_, err := w.source.Renew(t.Context(), w.token())
		must(t, err)
		w.watch.Plan(func(*http.Request) fakeauth.Fault { return fakeauth.Fault{Kind: fakeauth.Hang} })
		time.Sleep(13*time.Minute - time.Second)
		w.token() // starts the renewal ahead, which hangs
		if s := <-late; s != 200 || time.Since(start) != 13*time.Minute {
			t.Errorf("status %d after %v", s, time.Since(start))
		}
	})
}

// One dead connection must not use up the whole renewal.
func TestAnAttemptHasItsOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Hang})
		start := time.Now()
		w.token() // without an error
		if d := time.Since(start); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("took %v, want the time-out of one attempt and a short pause", d)
		}
	})
}

// replyWith is an auth server that gives one answer to every renewal.
func replyWith(auth http.Handler, reply http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == refreshPath {
			reply(w, r)
			return
		}
		auth.ServeHTTP(w, r)
	})
}

func TestOnlyInvalidGrantSignsOut(t *testing.T) {
	for code, final := range map[string]bool{
		wire.CodeInvalidGrant: true, wire.CodeInvalidRequest: false, wire.CodeCSRF: false, "something_new": false,
	} {
		for _, status := range []int{400, 401, 403} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.watch = fakeauth.NewWatch(replyWith(w.auth, func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", wire.ContentTypeProblem)
					rw.WriteHeader(status)
					_ = json.NewEncoder(rw).Encode(wire.Problem{Status: status, Code: code})
				}))
				w.source = w.newSource(nil)
				w.signIn()
				time.Sleep(time.Hour)
				_, err := w.source.Token(t.Context())
				kept, _ := w.store.Load(t.Context())
				if final && status == 400 {
					wantErr[*client.SignedOutError](t, err)
				} else {
					wantErr[*client.TemporaryError](t, err)
				}
				if (kept == nil) != (final && status == 400) {
					t.Errorf("%d %s: record kept: %v", status, code, kept != nil)
				}
			})
		}
	}
}

// A redirect must not carry a refresh token or a password anywhere.
func TestCallsToTheAuthServerFollowNoRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			var leaked []string
			h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Host != "auth.test" {
					b, _ := io.ReadAll(r.Body)
					leaked = append(leaked, r.Method+" "+string(b))
					return
				}
				replyWith(w.auth, func(rw http.ResponseWriter, r *http.Request) {
					http.Redirect(rw, r, "https://evil.test/", status)
				}).ServeHTTP(rw, r)
			})
			w.watch = fakeauth.NewWatch(h)
			w.source = w.newSource(nil)
			w.signIn()
			time.Sleep(time.Hour)
			_, err := w.source.Token(t.Context())
			if e := wantErr[*client.TemporaryError](t, err); e.Status != status {
				t.Errorf("%d: %v", status, err)
			}
			if len(leaked) != 0 || strings.Contains(err.Error(), "tacet_rt_") {
				t.Errorf("%d: %d requests went elsewhere", status, len(leaked))
			}
		})
	}
}
