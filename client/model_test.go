package client_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
)

// bubble runs f in simulated time. A panic, which is how rapid ends a run,
// leaves it like any other function; a failure comes out at a place of its own,
// by which rapid recognises it when it looks for a shorter example.
func bubble(t *testing.T, rt *rapid.T, f func(testing.TB)) {
	var p any
	synctest.Test(t, func(t *testing.T) {
		defer func() { p = recover() }()
		f(t)
	})
	switch p := p.(type) {
	case nil:
	case failure:
		rt.Fatal(string(p))
	default:
		panic(p)
	}
}

type failure string

func failf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// machine is two processes of one user on one store, an auth server, an API and
// a network that does what it likes.
type machine struct {
	w        *world
	change   func(*client.Config)
	sources  []*client.Source
	signedIn bool // what must be so
	session  string
	ended    bool // the server has ended the session
}

func newMachine(t testing.TB, confirm bool) *machine {
	change := func(c *client.Config) { c.Confirm = confirm }
	w := newWorld(t, change).signIn()
	return &machine{w: w, change: change, sources: []*client.Source{w.source, w.newSource(change)}, signedIn: true, session: w.token().Session}
}

func (m *machine) source(t *rapid.T) *client.Source {
	return m.sources[rapid.IntRange(0, len(m.sources)-1).Draw(t, "source")]
}

// ask gets a token, with trouble allowed, and checks the answer against what
// must be so.
func (m *machine) ask(t *rapid.T) {
	tok, err := m.source(t).Token(m.w.t.Context())
	m.judge(tok, err)
}

func (m *machine) judge(tok client.Token, err error) {
	_, temporary := errors.AsType[*client.TemporaryError](err)
	_, final := errors.AsType[*client.SignedOutError](err)
	switch {
	case err == nil:
		if tok.AccessToken == "" || !time.Now().Before(tok.ExpiresAt) {
			failf("a token that is over: %v", tok)
		}
	case final:
		if m.signedIn && !m.ended {
			failf("signed out for no reason: %v", err)
		}
	case !temporary:
		failf("error %T %v", err, err)
	}
}

func (m *machine) fault(t *rapid.T) fakeauth.Fault {
	f := fakeauth.Fault{Kind: fakeauth.FaultKind(rapid.IntRange(0, int(fakeauth.Slow)).Draw(t, "kind"))}
	f.Status = rapid.SampledFrom([]int{302, 400, 403, 404, 429, 500, 503}).Draw(t, "status")
	f.RetryAfter = rapid.IntRange(0, 5).Draw(t, "retry after")
	f.Delay = time.Duration(rapid.IntRange(1, 9000).Draw(t, "delay")) * time.Millisecond
	return f
}

// seldom skips an action most of the time, so that most of the time somebody is
// signed in.
func seldom(t *rapid.T) {
	if rapid.IntRange(0, 7).Draw(t, "seldom") != 0 {
		t.SkipNow()
	}
}

func (m *machine) actions() map[string]func(*rapid.T) {
	ctx := m.w.t.Context()
	return map[string]func(*rapid.T){
		"token": m.ask,
		"renew": func(t *rapid.T) {
			s := m.source(t)
			if tok, err := s.Token(ctx); err == nil {
				tok, err = s.Renew(ctx, tok)
				m.judge(tok, err)
			}
		},
		"both at once": func(t *rapid.T) {
			done := make(chan error, len(m.sources))
			for _, s := range m.sources {
				go func() { _, err := s.Token(ctx); done <- err }()
			}
			for range m.sources {
				if err := <-done; err != nil {
					m.judge(client.Token{}, err)
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
			m.sources[i] = m.w.newSource(m.change)
		},
		"sign in": func(t *rapid.T) {
			if m.signedIn && !m.ended {
				t.SkipNow()
			}
			in, err := m.source(t).SignIn(ctx, fakeauth.Username, fakeauth.Password)
			if err != nil {
				failf("%v", err)
			}
			m.signedIn, m.ended, m.session = true, false, in.ID
		},
		"sign out": func(t *rapid.T) {
			seldom(t)
			s := m.source(t)
			if err := s.SignOut(ctx); err != nil {
				failf("%v", err)
			}
			m.signedIn = false
			if tok, err := s.Token(ctx); !errors.Is(err, client.ErrNotSignedIn) {
				failf("after the sign-out: %v, %v", tok, err)
			}
		},
		"session ends": func(t *rapid.T) {
			seldom(t)
			m.w.auth.EndAll()
			m.ended = true
		},
		"": func(t *rapid.T) {
			synctest.Wait() // the hook has a goroutine of its own
			for len(m.w.ended) > 0 {
				// What is told of an earlier session may come after a new sign-in.
				if out := <-m.w.ended; m.signedIn && !m.ended && out.Session == m.session {
					failf("told of a sign-out that was none")
				}
			}
		},
	}
}

// However two processes, the network and the server behave, nobody is signed
// out who should not be, and a client that can be signed in comes back.
func TestTheClientAsAStateMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bubble(t, rt, func(t testing.TB) {
			m := newMachine(t, rapid.Bool().Draw(rt, "confirm"))
			defer func() {
				for _, s := range m.sources {
					s.Close()
				}
			}()
			rt.Repeat(m.actions())
			m.comesBack()
		})
	})
}

// comesBack ends all trouble and checks that it is over for the client as well.
func (m *machine) comesBack() {
	m.w.watch.Plan(nil)
	time.Sleep(11 * time.Minute) // any backoff is over
	if !m.signedIn || m.ended {
		return
	}
	for _, s := range m.sources {
		if tok, err := s.Token(m.w.t.Context()); err != nil || !time.Now().Before(tok.ExpiresAt) {
			failf("did not come back: %v", err)
		}
	}
	if m.w.auth.Living() != 1 {
		failf("%d sessions", m.w.auth.Living())
	}
}
