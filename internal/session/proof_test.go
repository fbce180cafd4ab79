package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Without the key, nothing is read but the session and nothing is written,
// whatever the token is worth: the owner goes on as if nobody had come.
func TestWithoutTheKeyNothingIsConsumed(t *testing.T) {
	f := newFixture(t)
	owner := session.WithProof(t.Context(), "key-1")
	g, err := f.Start(owner, "u1", "web", home)
	if err != nil || g.Session.Key != "key-1" || g.Session.ClientID != "web" {
		t.Fatalf("%+v, %v", g.Session, err)
	}
	tokens := []string{g.RefreshToken}
	open := func(raw string) rotation.Token {
		t.Helper()
		tok, err := f.Open(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	for range 4 {
		if g, err = f.Refresh(owner, open(tokens[len(tokens)-1]), home); err != nil || g.Session.ClientID != "web" {
			t.Fatalf("%+v, %v", g.Session, err)
		}
		tokens = append(tokens, g.RefreshToken)
		f.advance(time.Minute)
	}
	moves := f.store.moves.Load()
	for name, ctx := range map[string]context.Context{
		"no key":      t.Context(),
		"another key": session.WithProof(t.Context(), "key-2"),
		"its prefix":  session.WithProof(t.Context(), "key-"),
	} {
		for i, raw := range tokens {
			if _, err := f.Refresh(ctx, open(raw), home); !errors.Is(err, session.ErrProof) {
				t.Errorf("%s, renewal with token %d: %v", name, i, err)
			}
			if err := f.Confirm(ctx, open(raw), home); !errors.Is(err, session.ErrProof) {
				t.Errorf("%s, confirmation of token %d: %v", name, i, err)
			}
		}
	}
	if f.store.moves.Load() != moves {
		t.Error("the head was moved")
	}
	if err := f.Confirm(owner, open(tokens[4]), home); err != nil {
		t.Errorf("the owner's confirmation: %v", err)
	}
	if _, err := f.Refresh(owner, open(tokens[0]), home); outcome(err) != rotation.Reused.String() {
		t.Errorf("an old copy with the key: %v", err)
	}
}

// Ordinary sessions cost no look at the store before their one write.
func TestOrdinaryRenewalsStayOneWrite(t *testing.T) {
	f := newFixture(t)
	for range 64 {
		g := f.start(t)
		gets := f.store.gets.Load()
		if _, err := f.refresh(t, g.RefreshToken); err != nil {
			t.Fatal(err)
		}
		if n := f.store.gets.Load() - gets; n != 0 {
			t.Fatalf("%d reads before the write", n)
		}
	}
}

// A renewal with a proof binds the access token alone, if the session is not bound.
func TestAProofForAnUnboundSession(t *testing.T) {
	f := newFixture(t)
	g := f.start(t)
	tok, err := f.Open(t.Context(), g.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = f.Refresh(session.WithProof(t.Context(), "key-1"), tok, home); err != nil || g.Session.Key != "" {
		t.Fatalf("%+v, %v", g.Session, err)
	}
	if _, err := f.refresh(t, g.RefreshToken); err != nil {
		t.Errorf("without a proof: %v", err)
	}
}

func TestListedSessionsNameTheirClient(t *testing.T) {
	f := newFixture(t)
	g, err := f.Start(session.WithProof(t.Context(), "key-1"), "u1", "web", home)
	if err != nil {
		t.Fatal(err)
	}
	f.start(t)
	list, err := f.List(t.Context(), "u1")
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, s := range list {
		if s.ClientID != "web" || (s.Key == "key-1") != (s.ID == g.Session.ID) {
			t.Errorf("%+v", s)
		}
	}
	if sess, err := f.Living(t.Context(), g.Session.ID); err != nil || sess.Key != "key-1" || sess.ClientID != "web" {
		t.Errorf("%+v, %v", sess, err)
	}
}

func TestConfidentialClientsAreNotBound(t *testing.T) {
	f := newFixture(t)
	f.Confidential = func(_ context.Context, id string) (bool, error) {
		if id == "down" {
			return false, errors.New("out")
		}
		return id == "backend", nil
	}
	ctx := session.WithProof(t.Context(), "key-1")
	if g, err := f.Start(ctx, "u1", "backend", home); err != nil || g.Session.Key != "" {
		t.Errorf("%+v, %v", g.Session, err)
	}
	if _, err := f.Start(ctx, "u1", "down", home); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("when it can't be told: %v", err)
	}
}
