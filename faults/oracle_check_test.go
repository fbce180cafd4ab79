package faults

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-dev/tacet/rotation"
)

// history builds calls on one session, one after the other in steps of 10 ms.
type history struct {
	calls []op
	tags  byte
}

func (h *history) add(o op) *history {
	at := time.Duration(len(h.calls)) * 10 * time.Millisecond
	o.call, o.ret = at, at+time.Millisecond
	h.calls = append(h.calls, o)
	return h
}

// child is a token that the presentation of t may be answered with.
func (h *history) child(t rotation.Token) rotation.Token {
	h.tags++
	return rotation.Child(t.Session, headOf(t), rotation.Tag{h.tags})
}

// begin signs in.
func begin() (*history, rotation.Token) {
	h := &history{}
	first := h.child(rotation.Token{Session: rotation.SessionID{1}, Tag: rotation.Tag{0xff}})
	return h.add(op{kind: signIn, answer: granted, session: first.Session, minted: first}), first
}

func (h *history) renew(t rotation.Token, a answer) rotation.Token {
	o := op{kind: renew, answer: a, session: t.Session, presented: t}
	if a == granted {
		o.minted = h.child(t)
	}
	h.add(o)
	return o.minted
}

// TestModel: histories that can be, and histories that must not.
func TestModel(t *testing.T) {
	for name, c := range map[string]struct {
		possible bool
		make     func(h *history, t1 rotation.Token) []loss
	}{
		"a chain": {true, func(h *history, t1 rotation.Token) []loss {
			h.renew(h.renew(h.renew(t1, granted), granted), granted)
			return nil
		}},
		"an answer is lost, and what was presented again is answered": {true, func(h *history, t1 rotation.Token) []loss {
			h.renew(t1, unknown)
			h.renew(h.renew(t1, granted), granted)
			return nil
		}},
		"a lost request arrives late and ends the session": {true, func(h *history, t1 rotation.Token) []loss {
			h.renew(t1, unknown)
			t3 := h.renew(h.renew(t1, granted), granted)
			h.renew(t3, refused)
			return nil
		}},
		"a session ends by itself": {false, func(h *history, t1 rotation.Token) []loss {
			h.renew(h.renew(t1, granted), refused)
			return nil
		}},
		"two heads": {false, func(h *history, t1 rotation.Token) []loss {
			a, b := h.renew(t1, granted), h.renew(t1, granted)
			h.renew(a, granted)
			h.renew(b, granted)
			return nil
		}},
		"a fork is refused": {true, func(h *history, t1 rotation.Token) []loss {
			a, b := h.renew(t1, granted), h.renew(t1, granted)
			h.renew(a, granted)
			h.renew(b, refused)
			h.renew(a, refused)
			return nil
		}},
		"a session goes on after a fork was refused": {false, func(h *history, t1 rotation.Token) []loss {
			a, b := h.renew(t1, granted), h.renew(t1, granted)
			h.renew(a, granted)
			h.renew(b, refused)
			h.renew(a, granted)
			return nil
		}},
		"a session goes on after its sign-out": {false, func(h *history, t1 rotation.Token) []loss {
			h.add(op{kind: signOut, answer: granted, session: t1.Session, presented: t1})
			h.renew(t1, granted)
			return nil
		}},
		"a sign-out is forgotten in a loss": {true, func(h *history, t1 rotation.Token) []loss {
			h.add(op{kind: signOut, answer: granted, session: t1.Session, presented: t1}) // at 10 ms
			h.add(op{kind: use})
			h.renew(t1, granted)
			return []loss{{5 * time.Millisecond, 12 * time.Millisecond, 15 * time.Millisecond}}
		}},
		"a sign-out from before a loss is forgotten": {false, func(h *history, t1 rotation.Token) []loss {
			h.add(op{kind: signOut, answer: granted, session: t1.Session, presented: t1}) // at 10 ms
			h.add(op{kind: use})
			h.renew(t1, granted)
			return []loss{{12 * time.Millisecond, 15 * time.Millisecond, 16 * time.Millisecond}}
		}},
		"renewals are lost and caught up with": {true, func(h *history, t1 rotation.Token) []loss {
			t3 := h.renew(h.renew(t1, granted), granted) // at 10 and 20 ms
			h.add(op{kind: use})
			h.renew(t3, granted)
			return []loss{{5 * time.Millisecond, 25 * time.Millisecond, 26 * time.Millisecond}}
		}},
		"an old token is good again after a loss of what replaced it": {true, func(h *history, t1 rotation.Token) []loss {
			h.renew(h.renew(t1, granted), granted)
			h.renew(t1, granted)
			return []loss{{5 * time.Millisecond, 25 * time.Millisecond, 26 * time.Millisecond}}
		}},
		"an old token is good again after a loss of nothing that concerns it": {false, func(h *history, t1 rotation.Token) []loss {
			h.renew(h.renew(t1, granted), granted)
			h.renew(t1, granted)
			return []loss{{22 * time.Millisecond, 25 * time.Millisecond, 26 * time.Millisecond}}
		}},
		"a sign-in is forgotten in a loss": {true, func(h *history, t1 rotation.Token) []loss {
			h.add(op{kind: use})
			h.renew(t1, refused)
			return []loss{{0, 5 * time.Millisecond, 6 * time.Millisecond}}
		}},
	} {
		h, first := begin()
		losses := c.make(h, first)
		if got := linearisable(h.calls, losses); (got == porcupine.Ok) != c.possible {
			t.Errorf("%s: %s\n%s", name, got, story(h.calls))
		}
	}
}
