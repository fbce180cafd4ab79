package rotation_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tacet-dev/tacet/rotation"
)

// server is one of several that handle presentations of one session at once. It
// goes through the loop of PROTOCOL.md section 5 in steps that others can get
// between: load the state; then decide on it and apply that.
type server struct {
	token  rotation.Token
	loaded bool
	state  rotation.State
	done   bool
	out    rotation.Outcome
}

// step returns the stored state and the server after its next step.
func (v server) step(stored rotation.State, p rotation.Policy) (rotation.State, server) {
	if !v.loaded {
		v.loaded, v.state = true, stored
		return stored, v
	}
	d := rotation.Decide(v.state, v.token, p, epoch)
	switch {
	case d.Outcome.Moves():
		if !v.state.Condition().Holds(stored) {
			v.loaded = false // lost the race: load and decide again
			return stored, v
		}
		stored.Head, stored.HeadAt = d.Head, epoch
	case d.Outcome == rotation.Reused:
		if stored.Ended {
			v.loaded = false // somebody else has ended it, and said so
			return stored, v
		}
		stored.Ended = true
	}
	v.done, v.out = true, d.Outcome
	return stored, v
}

// history is how a run ended: what every server said, and the stored state.
func history(stored rotation.State, servers []server) string {
	var outs []rotation.Outcome
	for _, v := range servers {
		outs = append(outs, v.out)
	}
	return fmt.Sprint(outs, stored.Head, stored.Ended)
}

// TestOneHead: whatever gets between the steps of concurrent presentations, the
// answers and the stored state are those of some order of the same
// presentations one after another.
func TestOneHead(t *testing.T) {
	head := rotation.Head{Generation: 7, Tag: tag(70), Parent: tag(60)}
	tok := func(g uint32, own, parent uint8) rotation.Token {
		return rotation.Token{Generation: g, Tag: tag(own), Parent: tag(parent)}
	}
	presented := []rotation.Token{
		tok(7, 70, 60), tok(8, 80, 70), tok(8, 81, 70), tok(9, 90, 80), tok(9, 91, 82), tok(7, 71, 60), tok(6, 60, 50), tok(5, 50, 40),
	}
	p := rotation.Policy{Overlap: tick}
	first := rotation.State{Head: head, HeadAt: epoch.Add(-tick), CreatedAt: epoch}
	runs := 0
	for i, a := range presented {
		for j, b := range presented[i:] {
			for _, c := range presented[i+j:] { // the servers are alike: each set of tokens once
				servers := []server{{token: a}, {token: b}, {token: c}}
				serial := map[string]bool{}
				interleave(first, servers, p, true, func(s rotation.State, v []server) { serial[history(s, v)] = true })
				interleave(first, servers, p, false, func(s rotation.State, v []server) {
					runs++
					if h := history(s, v); !serial[h] {
						t.Fatalf("presenting %v, %v and %v at once: %s is not the result of any order of them", a, b, c, h)
					}
				})
			}
		}
	}
	t.Logf("%d runs", runs)
}

// interleave calls end with the result of every order of the servers' steps;
// if serial, a server that has begun finishes first.
func interleave(stored rotation.State, servers []server, p rotation.Policy, serial bool, end func(rotation.State, []server)) {
	begun := slices.IndexFunc(servers, func(v server) bool { return v.loaded && !v.done })
	finished := true
	for i, v := range servers {
		if v.done {
			continue
		}
		finished = false
		if serial && begun >= 0 && begun != i {
			continue
		}
		next, after := v.step(stored, p)
		others := slices.Clone(servers)
		others[i] = after
		interleave(next, others, p, serial, end)
	}
	if finished {
		end(stored, servers)
	}
}
