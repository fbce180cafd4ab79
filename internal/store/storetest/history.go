package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// recorder is a session.Store that writes down every call and its result.
type recorder struct {
	session.Store
	clock atomic.Int64 // counts calls and returns: a total order, no time

	mu      sync.Mutex
	history map[rotation.SessionID][]porcupine.Operation
}

func record(st session.Store) *recorder {
	return &recorder{Store: st, history: map[rotation.SessionID][]porcupine.Operation{}}
}

// call is one call as the model sees it: what was asked and what came back.
type call struct {
	op    string // create, get, move, end or sweep
	given session.Session
	move  session.Move
	got   session.Session
	err   error
	dead  bool // sweep: what was answered about got
}

func (r *recorder) done(id rotation.SessionID, begin int64, c call) {
	op := porcupine.Operation{Input: c, Call: begin, Return: r.clock.Add(1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history[id] = append(r.history[id], op)
}

func (r *recorder) Create(ctx context.Context, s session.Session) error {
	begin := r.clock.Add(1)
	err := r.Store.Create(ctx, s)
	r.done(s.ID, begin, call{op: "create", given: s, err: err})
	return err
}

func (r *recorder) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	begin := r.clock.Add(1)
	s, err := r.Store.Get(ctx, id)
	r.done(id, begin, call{op: "get", got: s, err: err})
	return s, err
}

func (r *recorder) Move(ctx context.Context, m session.Move) (session.Session, error) {
	begin := r.clock.Add(1)
	s, err := r.Store.Move(ctx, m)
	r.done(m.ID, begin, call{op: "move", move: m, got: s, err: err})
	return s, err
}

func (r *recorder) End(ctx context.Context, id rotation.SessionID, e session.End, ev ...events.Event) error {
	begin := r.clock.Add(1)
	err := r.Store.End(ctx, id, e, ev...)
	r.done(id, begin, call{op: "end", given: session.Session{End: e}, err: err})
	return err
}

// Sweep must cover the whole table, so that a session that was not looked at is
// one that does not exist.
func (r *recorder) Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(session.Session) bool) (rotation.SessionID, int, error) {
	type verdict struct {
		s    session.Session
		dead bool
	}
	looked := map[rotation.SessionID]verdict{}
	begin := r.clock.Add(1)
	next, n, err := r.Store.Sweep(ctx, from, limit, func(s session.Session) bool {
		looked[s.ID] = verdict{s, dead(s)}
		return looked[s.ID].dead
	})
	r.mu.Lock()
	var known []rotation.SessionID
	for id := range r.history {
		known = append(known, id)
	}
	r.mu.Unlock()
	for _, id := range known {
		c := call{op: "sweep", err: err}
		if v, ok := looked[id]; ok {
			c.got, c.dead = v.s, v.dead
		} else {
			c.err = session.ErrNotFound
		}
		r.done(id, begin, c)
	}
	return next, n, err
}

// step is one session as a state machine: the contract of session.Store. The
// zero Session stands for none. It tells whether c can have happened in state s
// and what the state is after it.
func step(s session.Session, c call) (bool, session.Session) {
	none := s == session.Session{}
	switch c.op {
	case "create":
		return none == (c.err == nil), pick(c.err == nil, c.given, s)
	case "get":
		if none {
			return errors.Is(c.err, session.ErrNotFound), s
		}
		return c.err == nil && c.got == s, s
	case "move":
		if none || !c.move.Condition.Holds(s.State) {
			return errors.Is(c.err, session.ErrConflict), s
		}
		s.State.Head, s.State.HeadAt, s.Contact = c.move.Head, stored(c.move.At), c.move.Contact
		return c.err == nil && c.got == s, s
	case "end":
		switch {
		case none:
			return errors.Is(c.err, session.ErrNotFound), s
		case s.State.Ended:
			return errors.Is(c.err, session.ErrConflict), s
		}
		s.State.Ended, s.End = true, c.given.End
		return c.err == nil, s
	case "sweep":
		if none {
			return errors.Is(c.err, session.ErrNotFound), s
		}
		return c.err == nil && c.got == s, pick(c.dead, session.Session{}, s)
	}
	return false, s
}

func pick(first bool, a, b session.Session) session.Session {
	if first {
		return a
	}
	return b
}

var model = porcupine.Model{
	Init: func() any { return session.Session{} },
	Step: func(state, input, _ any) (bool, any) {
		ok, next := step(state.(session.Session), input.(call))
		return ok, next
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// checkTime bounds the search for an order; histories here take milliseconds.
const checkTime = 20 * time.Second

// check returns an error if no order of the calls on some session explains all
// their results.
func (r *recorder) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, history := range r.history {
		if res := porcupine.CheckOperationsTimeout(model, history, checkTime); res != porcupine.Ok {
			return fmt.Errorf("session %v: %d calls, linearisable: %s", id, len(history), res)
		}
	}
	return nil
}
