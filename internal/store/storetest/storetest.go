// Package storetest is the contract of the stores as tests: what session.Store,
// events.Log and documents.Store promise, sentence by sentence, and with them the
// repositories of the domains on documents; and what they promise together (events in the same transaction, durability,
// linearisable heads). Every store runs it unchanged:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Stores { … })
//	}
//
// [Memory] is the contract as the simplest code that keeps it. Other packages
// test with it; the suite passes on it, and fails on broken copies of it.
package storetest

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Events is the log that the other stores append to.
type Events interface {
	// Since returns the events with numbers greater than seq, in order of their
	// numbers, which is the order of their commits; at most limit.
	Since(ctx context.Context, seq int64, limit int) ([]events.Event, error)
	// Bounds returns the number of the oldest event that is kept and that of
	// the newest ever given, 0 and 0 if none was. If all were pruned, first is
	// last+1.
	Bounds(ctx context.Context) (first, last int64, err error)
	// Prune deletes events older than before, oldest numbers first, up to the
	// first that is not; at most limit.
	Prune(ctx context.Context, before time.Time, limit int) (deleted int, err error)
}

// Stores is one empty database.
type Stores struct {
	Sessions  session.Store
	Keys      keys.Store
	Directory directory.Store
	Events    Events
	OAuth     oauth.Store
	Links     session.Links
	Documents documents.Store
	// clock is that of the store, told what its hook was told of.
	clock *clock
	told  *told
	// Reopen closes the database, without waiting for anything that is not
	// durable yet, and opens it again. Nil if it keeps nothing.
	Reopen func(t *testing.T) Stores
}

// On is a database with these stores; the others are on its documents.
func On(s session.Store, e Events, d documents.Store) Stores {
	return Stores{Sessions: s, Events: e, Documents: d, Keys: keys.NewStore(d), Directory: directory.NewStore(d), OAuth: oauth.NewStore(d), Links: session.NewLinks(d)}
}

// clock is set by tests.
type clock struct{ now atomic.Int64 }

// Now is the time.
func (c *clock) Now() time.Time { return time.UnixMilli(c.now.Load()).UTC() }

func (c *clock) set(t time.Time) { c.now.Store(t.UnixMilli()) }

// told is what a hook was told of.
type told struct {
	mu     sync.Mutex
	events []events.Event
}

func (t *told) add(ev []events.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, ev...)
}

// take returns the kinds that it was told of since the last call.
func (t *told) take() (kinds []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.events {
		kinds = append(kinds, e.Kind)
	}
	t.events = nil
	return kinds
}

// Run tests the contract. open returns an empty database each time, with these
// options, and cleans up after the test by itself.
func Run(t *testing.T, open func(t *testing.T, o Options) Stores) {
	opened := func(t *testing.T) Stores {
		c, heard := &clock{}, &told{}
		c.set(start)
		st := open(t, Options{Clock: c.Now, Committed: heard.add})
		st.clock, st.told = c, heard
		return st
	}
	for _, group := range []struct {
		name  string
		tests map[string]func(*testing.T, Stores)
	}{
		{"Sessions", sessionTests},
		{"Concurrency", concurrencyTests},
		{"Keys", keyTests},
		{"Directory", directoryTests},
		{"Events", eventTests},
		{"OAuth", oauthTests},
		{"Links", linkTests},
		{"Documents", documentTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) { test(t, opened(t)) })
			}
		})
	}
	t.Run("Reopen", func(t *testing.T) { testReopen(t, opened(t)) })
}

// start is the time at which tests begin. Nothing here looks at a clock.
var start = time.Date(2026, 11, 21, 12, 0, 0, 123e6, time.UTC)

// sessionID makes ids in order of n.
func sessionID(n int) rotation.SessionID {
	return rotation.SessionID{0: 1, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
}

func newSession(n int) session.Session {
	return session.Session{
		ID:       sessionID(n),
		UserID:   "0194c9f1-5b0e-7cc3-98c4-dc0c0c07398f",
		ClientID: "web",
		State: rotation.State{
			Head:      rotation.Root(rotation.Tag{0xff, byte(n >> 8), byte(n)}),
			HeadAt:    start,
			CreatedAt: start,
		},
		Contact: session.Contact{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Mozilla/5.0 (X11; Linux x86_64)"},
	}
}

// child is a token that the server could have minted at the session's head.
func child(s session.Session, tag byte) rotation.Token {
	return rotation.Child(s.ID, s.State.Head, rotation.Tag{0x80, tag})
}

// moveTo presents t, which must be a child of the head of s.
func moveTo(s session.Session, t rotation.Token, at time.Time) session.Move {
	return session.Move{
		ID: s.ID, Condition: s.State.Condition(), At: at, Contact: s.Contact,
		Head: rotation.Head{Generation: t.Generation, Tag: t.Tag, Parent: t.Parent},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
