package faults

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-dev/tacet/rotation"
)

// loss is a store that has forgotten acknowledged writes: those since From may
// be gone. Down and Up is when that happened.
type loss struct{ From, Down, Up time.Duration }

// state is a session as a server on one store sees it.
type state struct {
	head  rotation.Head
	ended bool
	lossy bool // writes have been lost before: only then is a token too new
}

// lapse is what a loss may bring a session back to.
type lapse struct {
	heads   []rotation.Head // older ones that may come back
	revives bool            // an end may be forgotten
	gone    bool            // the sign-in may be forgotten
}

// next tells in which states a session can be after a call, if what was answered
// can have been answered in state s.
func next(s state, in any, out answer) []any {
	switch in := in.(type) {
	case lapse:
		return in.next(s)
	case op:
		if in.kind == signOut {
			return ended(s, out)
		}
		return presented(s, in.presented, out)
	}
	return nil
}

func ended(s state, out answer) []any {
	over := s
	over.ended = true
	switch out {
	case granted:
		return []any{over}
	case unknown:
		return []any{s, over}
	}
	return nil
}

// presented uses the decision of the server, which other tests check, at a time
// when the overlap lasts and at one when it is over: histories do not say which
// it was.
func presented(s state, t rotation.Token, out answer) (list []any) {
	at := time.Unix(1e9, 0)
	policy := rotation.Policy{Overlap: time.Second}
	for _, now := range []time.Time{at, at.Add(policy.Overlap)} {
		d := rotation.Decide(rotation.State{Head: s.head, HeadAt: at, CreatedAt: at, Ended: s.ended}, t, policy, now)
		if d.Outcome == rotation.CaughtUp && !s.lossy {
			continue // nothing was lost: such a token cannot be
		}
		after := s
		after.head = d.Head
		after.ended = s.ended || d.Outcome == rotation.Reused
		fits := out == unknown || out == granted && d.Outcome.Mints() ||
			out == bare && d.Outcome == rotation.Overlapped || out == refused && !d.Outcome.Granted()
		if fits {
			list = append(list, after)
		}
	}
	if out == unknown {
		list = append(list, s)
	}
	return list
}

func (l lapse) next(s state) (list []any) {
	heads := []rotation.Head{s.head}
	for _, h := range l.heads {
		if h.Generation < s.head.Generation {
			heads = append(heads, h)
		}
	}
	for _, h := range heads {
		list = append(list, state{h, s.ended, true})
		if s.ended && l.revives {
			list = append(list, state{h, false, true})
		}
	}
	if l.gone {
		list = append(list, state{s.head, true, true})
	}
	return list
}

// model is porcupine's for the sessions that begin with a head.
func model(root rotation.Head) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init:  func() []any { return []any{state{head: root}} },
		Step:  func(s, in, out any) []any { return next(s.(state), in, out.(answer)) },
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%+v → %s", in, answerNames[out.(answer)])
		},
	}
	return m.ToModel()
}

// checkTime bounds the search for an order; most histories take microseconds.
const checkTime = 20 * time.Second

// linearisable looks for an order of the calls on one session that explains all
// their answers. A call without an answer may take effect at any later time.
func linearisable(calls []op, losses []loss) porcupine.CheckResult {
	var history []porcupine.Operation
	var first op
	for _, c := range calls {
		switch c.kind {
		case signIn:
			first = c
		case renew, confirm, signOut:
			o := porcupine.Operation{ClientId: len(history), Input: c, Output: c.answer, Call: int64(c.call), Return: int64(c.ret)}
			if c.answer == unknown {
				o.Return = math.MaxInt64
			}
			history = append(history, o)
		}
	}
	var before time.Duration
	for _, l := range losses {
		history = append(history, porcupine.Operation{ClientId: len(history), Input: lapseOf(calls, first, l, before), Output: granted,
			Call: int64(l.Down), Return: int64(l.Up)})
		before = l.Up
	}
	root := rotation.Head{Tag: first.minted.Parent}
	return porcupine.CheckOperationsTimeout(model(root), history, checkTime)
}

// lapseOf is what a loss can do to a session. What was acknowledged before
// l.From must not be lost: a head that a later one had replaced by then does not
// come back, if it was not an earlier loss that brought it back.
func lapseOf(calls []op, first op, l loss, earlier time.Duration) lapse {
	p := lapse{gone: first.ret >= l.From}
	var kept uint32 // generation of the oldest head that may come back
	var over bool   // ended before From
	for _, c := range calls {
		if c.kind == signIn || c.kind == use || c.ret >= l.From || c.call < earlier {
			continue
		}
		if c.answer == granted && c.kind != signOut {
			kept = max(kept, c.presented.Generation)
		}
		over = over || c.answer == refused || c.kind == signOut && c.answer == granted
	}
	p.revives = !over
	add := func(h rotation.Head) {
		if h.Generation >= kept && !slices.Contains(p.heads, h) {
			p.heads = append(p.heads, h)
		}
	}
	add(rotation.Head{Tag: first.minted.Parent})
	for _, c := range calls {
		if c.kind == renew || c.kind == confirm {
			add(headOf(c.presented))
		}
	}
	return p
}
