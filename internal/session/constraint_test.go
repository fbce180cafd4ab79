package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

var errForged = errors.New("forged")

func bound(key string) session.Binding { return session.Binding{ProofKey: key} }

// chain is a session with the tokens that it was renewed with, the last of them
// not yet presented.
func (f *fixture) chain(t *testing.T, in session.SignIn, n int) (tokens []rotation.Token) {
	t.Helper()
	g, err := f.Start(t.Context(), in)
	for range n {
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, f.open(t, g))
		g, err = f.Refresh(t.Context(), session.Presentation{Token: tokens[len(tokens)-1], Contact: home, Client: in.Client, Binding: in.Binding})
		f.advance(time.Minute)
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(tokens, f.open(t, g))
}

func (f *fixture) open(t *testing.T, g session.Grant) rotation.Token {
	t.Helper()
	tok, err := f.Open(t.Context(), g.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// A failed check changes nothing, whatever the token is worth: nothing is
// written, and the owner goes on as if nobody had come (PROTOCOL.md §5).
func TestAFailedCheckChangesNothing(t *testing.T) {
	web := session.Client{ID: "web"}
	backend := session.Client{ID: "backend", Authenticated: true}
	for name, c := range map[string]struct {
		start   session.SignIn
		attempt session.Presentation
		want    error
	}{
		"no key":            {session.SignIn{Client: web, Binding: bound("key-1")}, session.Presentation{}, session.ErrProof},
		"another key":       {session.SignIn{Client: web, Binding: bound("key-1")}, session.Presentation{Binding: bound("key-2")}, session.ErrProof},
		"the key's prefix":  {session.SignIn{Client: web, Binding: bound("key-1")}, session.Presentation{Binding: bound("key-")}, session.ErrProof},
		"no key, named":     {session.SignIn{Client: web, Binding: bound("key-1")}, session.Presentation{Client: web}, session.ErrProof},
		"a key as a secret": {session.SignIn{Client: backend}, session.Presentation{Binding: bound("key-1")}, session.ErrClient},
		"no secret":         {session.SignIn{Client: backend}, session.Presentation{}, session.ErrClient},
		"no secret, named":  {session.SignIn{Client: backend}, session.Presentation{Client: session.Client{ID: "backend"}}, session.ErrClient},
		"another secret":    {session.SignIn{Client: backend}, session.Presentation{Client: session.Client{ID: "other", Authenticated: true}}, session.ErrClient},
		"another client":    {session.SignIn{Client: web}, session.Presentation{Client: session.Client{ID: "other"}}, session.ErrClient},
		"another owner":     {session.SignIn{Client: web}, session.Presentation{Owner: func(id string) bool { return id != "u1" }}, session.ErrOwner},
		"a foreign page":    {session.SignIn{Client: web}, session.Presentation{Forged: errForged}, errForged},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			c.start.UserID, c.start.Contact = "u1", home
			tokens := f.chain(t, c.start, 4)
			before, err := f.store.Store.Get(t.Context(), tokens[0].Session)
			if err != nil {
				t.Fatal(err)
			}
			for i, tok := range tokens {
				c.attempt.Token, c.attempt.Contact = tok, session.Contact{UserAgent: "thief"}
				if _, err := f.Refresh(t.Context(), c.attempt); !errors.Is(err, c.want) {
					t.Errorf("refresh with token %d: %v", i, err)
				}
				if err := f.Confirm(t.Context(), c.attempt); !errors.Is(err, c.want) {
					t.Errorf("confirmation of token %d: %v", i, err)
				}
			}
			if after, err := f.store.Store.Get(t.Context(), tokens[0].Session); err != nil || after != before {
				t.Errorf("%v\nbefore %+v\nafter  %+v", err, before, after)
			}
			owner := session.Presentation{Token: tokens[4], Contact: home, Client: c.start.Client, Binding: c.start.Binding}
			if err := f.Confirm(t.Context(), owner); err != nil {
				t.Errorf("the owner's confirmation: %v", err)
			}
			// Whoever shows all that is needed is found out as anywhere else.
			owner.Token = tokens[0]
			if _, err := f.Refresh(t.Context(), owner); outcome(err) != rotation.Reused.String() {
				t.Errorf("an old copy: %v", err)
			}
		})
	}
}

// The presentations of one token that are in flight together share a decision
// only if they show the same.
func TestACheckIsNotPassedByTheOneBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		in := signIn
		in.Binding = bound("key-1")
		tokens := f.chain(t, in, 1)
		f.store.gate = make(chan struct{})
		with, without := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := f.Refresh(t.Context(), session.Presentation{Token: tokens[1], Contact: home, Binding: in.Binding})
			with <- err
		}()
		synctest.Wait() // it writes
		go func() {
			_, err := f.Refresh(t.Context(), presented(tokens[1]))
			without <- err
		}()
		synctest.Wait()
		close(f.store.gate)
		if err := <-without; !errors.Is(err, session.ErrProof) {
			t.Errorf("without the key: %v", err)
		}
		if err := <-with; err != nil {
			t.Errorf("with the key: %v", err)
		}
	})
}

// A renewal costs no look at the store before its one write, also with a key.
func TestRenewalsAreOneWrite(t *testing.T) {
	for name, b := range map[string]session.Binding{"ordinary": {}, "with a key": bound("key-1")} {
		f := newFixture(t)
		in := signIn
		in.Binding = b
		for range 64 {
			g, err := f.Start(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			tok, gets := f.open(t, g), f.store.gets.Load()
			if _, err := f.Refresh(t.Context(), session.Presentation{Token: tok, Contact: home, Binding: b}); err != nil {
				t.Fatal(err)
			}
			if n := f.store.gets.Load() - gets; n != 0 {
				t.Fatalf("%s: %d reads before the write", name, n)
			}
		}
	}
}

// A renewal with a proof binds the access token alone, if the session is not bound.
func TestAProofForAnUnboundSession(t *testing.T) {
	f := newFixture(t)
	p := presented(f.open(t, f.start(t)))
	p.Binding = bound("key-1")
	g, err := f.Refresh(t.Context(), p)
	if err != nil || g.Session.Constraint != "" || g.TokenType != "DPoP" {
		t.Fatalf("%+v, %v", g, err)
	}
	if _, err := f.refresh(t, g.RefreshToken); err != nil {
		t.Errorf("without a proof: %v", err)
	}
}

func TestListedSessionsNameTheirClient(t *testing.T) {
	f := newFixture(t)
	in := signIn
	in.Binding = bound("key-1")
	g, err := f.Start(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	f.start(t)
	list, err := f.List(t.Context(), "u1")
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, s := range list {
		if s.ClientID != "web" || (s.Constraint.ProofKey() == "key-1") != (s.ID == g.Session.ID) {
			t.Errorf("%+v", s)
		}
	}
	if sess, err := f.Living(t.Context(), g.Session.ID); err != nil || sess.Constraint != session.ByProof("key-1") || sess.ClientID != "web" {
		t.Errorf("%+v, %v", sess, err)
	}
}

// A client with a secret shows that, and may change keys (RFC 9449 §5).
func TestConfidentialClientsAreNotBoundToAKey(t *testing.T) {
	f := newFixture(t)
	backend := session.Client{ID: "backend", Authenticated: true}
	g, err := f.Start(t.Context(), session.SignIn{UserID: "u1", Client: backend, Contact: home, Binding: bound("key-1")})
	for _, key := range []string{"key-2", ""} {
		if err != nil || g.Session.Constraint != session.ByClient {
			t.Fatalf("%+v, %v", g.Session, err)
		}
		g, err = f.Refresh(t.Context(), session.Presentation{Token: f.open(t, g), Contact: home, Client: backend, Binding: bound(key)})
	}
	if err != nil {
		t.Error(err)
	}
}

// Signing out by a refresh token ends its session alone, unless the token is the
// head or newer, of a living session, and shows what a renewal has to show.
func TestSignOutEverywhere(t *testing.T) {
	web, backend := session.Client{ID: "web"}, session.Client{ID: "backend", Authenticated: true}
	for name, c := range map[string]struct {
		start   session.SignIn
		attempt session.Presentation
		token   int // of five, of which the fourth is the head
		err     error
		living  int // of three sessions
	}{
		"an older one":      {session.SignIn{Client: web}, session.Presentation{}, 0, nil, 2},
		"the head's parent": {session.SignIn{Client: web}, session.Presentation{}, 2, nil, 2},
		"the head":          {session.SignIn{Client: web}, session.Presentation{}, 3, nil, 0},
		"newer":             {session.SignIn{Client: web}, session.Presentation{}, 4, nil, 0},
		"no key":            {session.SignIn{Client: web, Binding: bound("key-1")}, session.Presentation{}, 4, nil, 2},
		"the key":           {session.SignIn{Client: web, Binding: bound("key-1")}, session.Presentation{Binding: bound("key-1")}, 4, nil, 0},
		"an old one, key":   {session.SignIn{Client: web, Binding: bound("key-1")}, session.Presentation{Binding: bound("key-1")}, 0, nil, 2},
		"no secret":         {session.SignIn{Client: backend}, session.Presentation{}, 4, nil, 2},
		"a foreign page":    {session.SignIn{Client: web}, session.Presentation{Forged: errForged}, 4, errForged, 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.start(t)
			f.start(t)
			c.start.UserID, c.start.Contact = "u1", home
			c.attempt.Token = f.chain(t, c.start, 4)[c.token]
			for range 2 { // a session that is over speaks for no other
				if err := f.SignOut(t.Context(), c.attempt, true); !errors.Is(err, c.err) {
					t.Fatal(err)
				}
				if list, err := f.List(t.Context(), "u1"); err != nil || len(list) != c.living {
					t.Errorf("%d sessions live, want %d (%v)", len(list), c.living, err)
				}
			}
		})
	}
	f := newFixture(t)
	if err := f.SignOut(t.Context(), session.Presentation{Token: rotation.Token{Session: rotation.SessionID{1}}}, true); err != nil {
		t.Errorf("of no session: %v", err)
	}
}
