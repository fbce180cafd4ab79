package client_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
)

// bubbleTB hides that rapid runs in a synctest bubble, whose T has no Deadline.
type bubbleTB struct{ testing.TB }

// machine is two processes of one user on one store, an auth server, an API and
// a network that does what it likes.
type machine struct {
	w        *world
	sources  []*client.Source
	signedIn bool // what must be so
	ended    bool // the server has ended the session
}

func newMachine(t testing.TB) *machine {
	w := newWorld(t, nil)
	m := &machine{w: w, sources: []*client.Source{w.source, w.newSource(nil)}}
	return m
}

func (m *machine) source(t *rapid.T) *client.Source {
	return m.sources[rapid.IntRange(0, len(m.sources)-1).Draw(t, "source")]
}

// ask gets a token, with trouble allowed, and checks the answer against what
// must be so.
func (m *machine) ask(t *rapid.T) {
	tok, err := m.source(t).Token(m.w.t.Context())
	m.judge(t, tok, err)
}

func (m *machine) judge(t *rapid.T, tok client.Token, err error) {
	_, temporary := errors.AsType[*client.TemporaryError](err)
	_, final := errors.AsType[*client.SignedOutError](err)
	switch {
	case err == nil:
		if tok.AccessToken == "" || !time.Now().Before(tok.ExpiresAt) {
			t.Fatalf("a token that is over: %v", tok)
		}
	case final:
		if m.signedIn && !m.ended {
			t.Fatalf("signed out for no reason: %v", err)
		}
	case !temporary:
		t.Fatalf("error %T %v", err, err)
	}
}

func (m *machine) fault(t *rapid.T) fakeauth.Fault {
	f := fakeauth.Fault{Kind: fakeauth.FaultKind(rapid.IntRange(0, int(fakeauth.Slow)).Draw(t, "kind"))}
	f.Status = rapid.SampledFrom([]int{302, 400, 403, 404, 429, 500, 503}).Draw(t, "status")
	f.RetryAfter = rapid.IntRange(0, 5).Draw(t, "retry after")
	f.Delay = time.Duration(rapid.IntRange(1, 9000).Draw(t, "delay")) * time.Millisecond
	return f
}

func (m *machine) actions() map[string]func(*rapid.T) {
	ctx := m.w.t.Context()
	return map[string]func(*rapid.T){
		"token": m.ask,
		"renew": func(t *rapid.T) {
			s := m.source(t)
			if tok, err := s.Token(ctx); err == nil {
				tok, err = s.Renew(ctx, tok)
				m.judge(t, tok, err)
			}
		},
		"both at once": func(t *rapid.T) {
			done := make(chan error, len(m.sources))
			for _, s := range m.sources {
				go func() { _, err := s.Token(ctx); done <- err }()
			}
			for range m.sources {
				if err := <-done; err != nil {
					m.judge(t, client.Token{}, err)
				}
			}
		},
		"time passes": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 3600).Draw(t, "seconds")) * time.Second)
		},
		"trouble": func(t *rapid.T) {
			plan := make([]fakeauth.Fault, rapid.IntRange(0, 4).Draw(t, "how many"))
			for i := range plan {
				plan[i] = m.fault(t)
			}
			m.w.watch.Next(refreshPath, plan...)
		},
		"process dies": func(t *rapid.T) { // and comes back; with a renewal in the middle or not
			i := rapid.IntRange(0, len(m.sources)-1).Draw(t, "which")
			go func(s *client.Source) { _, _ = s.Token(ctx) }(m.sources[i])
			time.Sleep(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			m.sources[i].Close()
			m.sources[i] = m.w.newSource(nil)
		},
		"sign in": func(t *rapid.T) {
			if m.signedIn && !m.ended {
				return
			}
			if _, err := m.source(t).SignIn(ctx, fakeauth.Username, fakeauth.Password); err != nil {
				t.Fatal(err)
			}
			m.signedIn, m.ended = true, false
		},
		"sign out": func(t *rapid.T) {
			s := m.source(t)
			if err := s.SignOut(ctx); err != nil {
				t.Fatal(err)
			}
			m.signedIn = false
			if tok, err := s.Token(ctx); !errors.Is(err, client.ErrNotSignedIn) {
				t.Fatalf("after the sign-out: %v, %v", tok, err)
			}
		},
		"session ends": func(t *rapid.T) {
			m.w.auth.EndAll()
			m.ended = true
		},
		"": func(t *rapid.T) {
			synctest.Wait() // the hook has a goroutine of its own
			for len(m.w.ended) > 0 {
				if <-m.w.ended; m.signedIn && !m.ended {
					t.Fatal("told of a sign-out that was none")
				}
			}
		},
	}
}

// However two processes, the network and the server behave, nobody is signed
// out who should not be, and a client that can be signed in comes back.
func TestTheClientAsAStateMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbleTB{t}, func(rt *rapid.T) {
			m := newMachine(bubbleTB{t})
			defer func() {
				for _, s := range m.sources {
					s.Close()
				}
			}()
			rt.Repeat(m.actions())
			m.w.watch.Plan(nil)
			time.Sleep(11 * time.Minute) // any backoff is over
			if !m.signedIn || m.ended {
				return
			}
			for _, s := range m.sources {
				if tok, err := s.Token(m.w.t.Context()); err != nil || !time.Now().Before(tok.ExpiresAt) {
					rt.Fatalf("did not come back: %v", err)
				}
			}
			if m.w.auth.Living() != 1 {
				rt.Fatalf("%d sessions", m.w.auth.Living())
			}
		})
	})
}
