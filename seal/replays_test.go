package seal

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Held against one that remembers everything: the guard never takes a message
// twice, whatever it had to forget, and while it need not forget, it takes all
// that are new, newer than its start and within the window.
func TestReplaysNeverTakesTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		g := NewReplays(limit, time.UnixMilli(100))
		type message struct {
			client   string
			sequence uint64
		}
		taken := map[message]bool{}
		top := map[string]uint64{}
		clients := map[string]bool{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			m := message{rapid.StringMatching("[a-f]").Draw(t, "client"), rapid.Uint64Range(1, 3*Window).Draw(t, "sequence")}
			if rapid.Bool().Draw(t, "near") {
				m.sequence = max(1, top[m.client]+rapid.Uint64Range(0, 3).Draw(t, "step"))
			}
			// One message has one time, as it is sealed into it.
			at := int64(90 + m.sequence%40)
			err := g.Accept(Agreement{Client: m.client}, nil, m.sequence, at)
			clients[m.client] = true
			switch {
			case err == nil && taken[m]:
				t.Fatalf("%+v was taken twice", m)
			case err == nil:
				taken[m] = true
				top[m.client] = max(top[m.client], m.sequence)
			case len(clients) <= limit && at > 100 && !taken[m] && m.sequence+Window > top[m.client]:
				t.Fatalf("%+v was refused: %v", m, err)
			}
			if len(g.known) > limit || len(g.known) != len(g.oldest) {
				t.Fatalf("%d agreements are known, %d in the heap", len(g.known), len(g.oldest))
			}
		}
	})
}

// After a restart, what was sealed before it is refused: the memory is gone.
func TestReplaysAfterRestart(t *testing.T) {
	g := NewReplays(10, time.UnixMilli(1000))
	if err := g.Accept(Agreement{Client: "a"}, nil, 1, 1000); !errors.Is(err, ErrStale) {
		t.Errorf("from before the start: %v", err)
	}
	if err := g.Accept(Agreement{Client: "a"}, nil, 1, 1001); err != nil {
		t.Errorf("from after the start: %v", err)
	}
}

// Nobody who makes up keys pushes out those who are in use: the one that was
// silent for longest goes.
func TestReplaysForgetsTheOldest(t *testing.T) {
	g := NewReplays(2, time.UnixMilli(0))
	for i, name := range []string{"a", "b", "c"} {
		if err := g.Accept(Agreement{Client: name}, &Keys{}, 1, int64(10+i)); err != nil {
			t.Fatal(err)
		}
	}
	if g.Keys(Agreement{Client: "a"}) != nil || g.Keys(Agreement{Client: "b"}) == nil || g.Keys(Agreement{Client: "c"}) == nil {
		t.Error("the oldest should be gone, and no other")
	}
	if err := g.Accept(Agreement{Client: "a"}, nil, 1, 10); !errors.Is(err, ErrStale) {
		t.Errorf("the message that was forgotten, again: %v", err)
	}
	if err := g.Accept(Agreement{Client: "b"}, nil, 1, 11); !errors.Is(err, ErrReplayed) {
		t.Errorf("one that is remembered, again: %v", err)
	}
}

func BenchmarkReplays(b *testing.B) {
	g := NewReplays(8192, time.UnixMilli(0))
	a := Agreement{"server", "client", "session"}
	for i := uint64(1); b.Loop(); i++ {
		if err := g.Accept(a, nil, i, int64(i)); err != nil {
			b.Fatal(err)
		}
	}
}
