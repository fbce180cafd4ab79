package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

var concurrencyTests = map[string]func(*testing.T, Stores){
	"HeadsAreLinearisable":     func(t *testing.T, st Stores) { must(t, race(t.Context(), st.Sessions, 12, false)) },
	"HeadsWhileSweeping":       func(t *testing.T, st Stores) { must(t, race(t.Context(), st.Sessions, 6, true)) },
	"NoMoveIsLost":             testNoMoveLost,
	"OneEndWins":               testOneEndWins,
	"OneRingWins":              testOneRingWins,
	"UpdatesOfAUserAreNotLost": testUserUpdatesNotLost,
	"EventsAppearInOrder":      testEventsAppearInOrder,
	"CancelledMovesAreWhole":   testCancelledMoves,
}

// policy is wide enough that only the order of presentations matters.
var policy = rotation.Policy{Overlap: time.Hour, Idle: 24 * time.Hour, Absolute: 24 * time.Hour}

// client presents tokens as the server does: the real decision, applied by the
// real compare-and-swap.
type client struct {
	st  session.Store
	rng *rand.Rand
	now time.Time
}

// present returns the token minted in answer, and what was decided.
func (c *client) present(ctx context.Context, t rotation.Token) (rotation.Token, rotation.Outcome, error) {
	m := session.Move{ID: t.Session, At: c.now,
		Head:    rotation.Head{Generation: t.Generation, Tag: t.Tag, Parent: t.Parent},
		Contact: session.Contact{Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(c.rng.Uint32())}), UserAgent: fmt.Sprint("agent ", c.rng.IntN(4))}}
	if g, ok := rotation.Expect(t, policy, c.now); ok {
		m.Condition = g
		if _, err := c.st.Move(ctx, m); err == nil {
			return c.mint(t.Session, m.Head), rotation.Advanced, nil
		} else if !errors.Is(err, session.ErrConflict) {
			return t, 0, err
		}
	}
	for range 1000 { // every turn lost means that somebody else has won one
		s, err := c.st.Get(ctx, t.Session)
		if err != nil {
			return t, 0, err
		}
		d := rotation.Decide(s.State, t, policy, c.now)
		if d.Outcome.Moves() {
			m.Condition = s.State.Condition()
			if _, err := c.st.Move(ctx, m); errors.Is(err, session.ErrConflict) {
				continue
			} else if err != nil {
				return t, 0, err
			}
		}
		if d.Outcome == rotation.Reused {
			err := c.st.End(ctx, t.Session, session.End{Reason: "reuse_detected", At: c.now})
			if err != nil && !errors.Is(err, session.ErrConflict) && !errors.Is(err, session.ErrNotFound) {
				return t, 0, err
			}
		}
		if d.Outcome.Mints() {
			return c.mint(t.Session, d.Head), d.Outcome, nil
		}
		return t, d.Outcome, nil
	}
	return t, 0, errors.New("a thousand conflicts in a row")
}

func (c *client) mint(id rotation.SessionID, h rotation.Head) rotation.Token {
	var tag rotation.Tag
	for i := range tag {
		tag[i] = byte(c.rng.Uint32())
	}
	return rotation.Child(id, h, tag)
}

// race lets clients renew shared sessions against each other and returns an
// error if the history of any session is not linearisable.
func race(ctx context.Context, st session.Store, sessions int, sweeping bool) error {
	const clients, presentations = 6, 8
	r := record(st)
	var running sync.WaitGroup
	failures := make(chan error, sessions*(clients+1)+1)
	for n := 1; n <= sessions; n++ {
		s := newSession(n)
		if err := r.Create(ctx, s); err != nil {
			return err
		}
		jar := &jar{token: child(s, 0)}
		for i := range clients {
			c := &client{st: r, rng: rand.New(rand.NewPCG(uint64(n), uint64(i))), now: start}
			running.Go(func() { failures <- c.run(ctx, jar, presentations) })
		}
		if n%2 == 0 {
			running.Go(func() {
				for range n % 5 {
					_, _ = r.Get(ctx, s.ID)
				}
				if err := r.End(ctx, s.ID, session.End{Reason: "logout", At: start}); errors.Is(err, context.Canceled) {
					failures <- err
				}
			})
		}
	}
	if sweeping {
		for range 10 {
			if _, _, err := r.Sweep(ctx, rotation.SessionID{}, 10*sessions, func(s session.Session) bool { return s.State.Ended }); err != nil {
				failures <- err
				break
			}
		}
	}
	running.Wait()
	close(failures)
	err := r.check()
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	return err
}

// jar is the cookie jar that the tabs of a browser share.
type jar struct {
	mu    sync.Mutex
	token rotation.Token
}

func (j *jar) get() rotation.Token {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.token
}

func (j *jar) put(t rotation.Token) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t.Generation > j.token.Generation {
		j.token = t
	}
}

func (c *client) run(ctx context.Context, j *jar, presentations int) error {
	for range presentations {
		t, outcome, err := c.present(ctx, j.get())
		if errors.Is(err, session.ErrNotFound) || outcome == rotation.Reused {
			return nil // swept, or ended
		}
		if err != nil {
			return err
		}
		if outcome.Mints() && c.rng.IntN(3) > 0 { // else the response is lost
			j.put(t)
		}
	}
	return nil
}

func testNoMoveLost(t *testing.T, st Stores) {
	const sessions, clients, moves = 16, 3, 8
	var running sync.WaitGroup
	var won [sessions + 1]atomic.Uint32
	for n := 1; n <= sessions; n++ {
		must(t, st.Sessions.Create(t.Context(), newSession(n)))
		for i := range clients {
			running.Go(func() {
				for range moves {
					s, err := st.Sessions.Get(t.Context(), sessionID(n))
					if err != nil {
						t.Error(err)
						return
					}
					_, err = st.Sessions.Move(t.Context(), moveTo(s, child(s, byte(i)), start))
					if err == nil {
						won[n].Add(1)
					} else if !errors.Is(err, session.ErrConflict) {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	running.Wait()
	for n := 1; n <= sessions; n++ {
		s, err := st.Sessions.Get(t.Context(), sessionID(n))
		must(t, err)
		if s.State.Head.Generation != won[n].Load() || won[n].Load() == 0 {
			t.Errorf("session %d is at generation %d after %d moves", n, s.State.Head.Generation, won[n].Load())
		}
	}
}

func testOneEndWins(t *testing.T, st Stores) {
	const sessions, clients = 8, 4
	var running sync.WaitGroup
	var won [sessions + 1]atomic.Int32
	for n := 1; n <= sessions; n++ {
		s := newSession(n)
		must(t, st.Sessions.Create(t.Context(), s))
		for i := range clients {
			running.Go(func() {
				err := st.Sessions.End(t.Context(), s.ID, session.End{Reason: fmt.Sprint(i), At: start},
					events.Event{Kind: fmt.Sprint(n, "/", i), At: start}, events.Event{Kind: "second", At: start})
				if err == nil {
					won[n].Add(1)
				} else if !errors.Is(err, session.ErrConflict) {
					t.Error(err)
				}
			})
			running.Go(func() { _, _ = st.Sessions.Move(t.Context(), moveTo(s, child(s, byte(i)), start)) })
		}
	}
	running.Wait()
	kinds := eventKinds(t, st)
	if len(kinds) != 2*sessions {
		t.Errorf("%d events of %d ends: %q", len(kinds), sessions, kinds)
	}
	happened := map[string]bool{}
	for _, k := range kinds {
		happened[k] = true
	}
	for n := 1; n <= sessions; n++ {
		s, err := st.Sessions.Get(t.Context(), sessionID(n))
		must(t, err)
		if won[n].Load() != 1 || !s.State.Ended || !happened[fmt.Sprint(n, "/", s.End.Reason)] {
			t.Errorf("session %d: %d ends succeeded, stored %+v, events %q", n, won[n].Load(), s.End, kinds)
		}
	}
}

func testOneRingWins(t *testing.T, st Stores) {
	const writers, rounds = 4, 10
	var running sync.WaitGroup
	var won atomic.Int64
	for range writers {
		running.Go(func() {
			for range rounds {
				_, version, err := st.Keys.Load(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				// The version is written into the ring: they must stay together.
				next := []keys.Key{{ID: uint32(version + 1), Use: keys.UseMAC, Algorithm: "HS256", CreatedAt: start, ActiveAt: start, Sealed: []byte{1}}}
				if err = st.Keys.Replace(t.Context(), version, next); err == nil {
					won.Add(1)
				} else if !errors.Is(err, keys.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	ring, version, err := st.Keys.Load(t.Context())
	must(t, err)
	if version != won.Load() || len(ring) != 1 || int64(ring[0].ID) != version {
		t.Errorf("version %d after %d successes, ring %v", version, won.Load(), ring)
	}
}

func testUserUpdatesNotLost(t *testing.T, st Stores) {
	const writers, rounds = 4, 8
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "editor"}))
	must(t, st.Directory.CreateUser(t.Context(), newUser("ann", "editor")))
	must(t, st.Directory.CreateUser(t.Context(), newUser("bob")))
	var running sync.WaitGroup
	grown := func(u directory.User) events.Event {
		return events.Event{Kind: fmt.Sprint(u.GrantsVersion), At: start, UserID: u.ID}
	}
	for range writers {
		running.Go(func() {
			for range rounds {
				err := st.Directory.UpdateUser(t.Context(), "id-ann", func(u *directory.User) ([]events.Event, error) {
					u.GrantsVersion++
					return []events.Event{grown(*u)}, nil
				})
				if err == nil {
					err = st.Directory.UpdateRole(t.Context(), "editor", func(*directory.Role) error { return nil }, grown)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	equal(t, "grants version", userByID(t, st, "id-ann").GrantsVersion, 1+2*writers*rounds)
	for i, kind := range eventKinds(t, st) {
		equal(t, "event in order of commits", kind, fmt.Sprint(i+2))
	}
}

// testEventsAppearInOrder: whoever has seen a number has seen all before it.
func testEventsAppearInOrder(t *testing.T, st Stores) {
	const writers, each = 4, 12
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range each {
				s := newSession(1 + w*each + i)
				if err := errors.Join(st.Sessions.Create(t.Context(), s),
					st.Sessions.End(t.Context(), s.ID, session.End{Reason: "r", At: start},
						events.Event{Kind: "a", At: start}, events.Event{Kind: "b", At: start})); err != nil {
					t.Error(err)
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { running.Wait(); close(finished) }()
	var seen []events.Event
	for done := false; !done; {
		select {
		case <-finished:
			done = true // and look a last time
		default:
		}
		var last int64
		if len(seen) > 0 {
			last = seen[len(seen)-1].Seq
		}
		list, err := st.Events.Since(t.Context(), last, 7)
		must(t, err)
		for len(list) > 0 {
			seen = append(seen, list...)
			list, err = st.Events.Since(t.Context(), seen[len(seen)-1].Seq, 7)
			must(t, err)
		}
	}
	equal(t, "events seen", len(seen), 2*writers*each)
	for i := 1; i < len(seen); i++ {
		if seen[i].Seq <= seen[i-1].Seq || (i%2 == 1) != (seen[i].Kind == "b") {
			t.Fatalf("event %d is %d %s after %d %s", i, seen[i].Seq, seen[i].Kind, seen[i-1].Seq, seen[i-1].Kind)
		}
	}
}

// testCancelledMoves: a caller that gives up leaves the session before or after
// its write, never between.
func testCancelledMoves(t *testing.T, st Stores) {
	s := newSession(1)
	must(t, st.Sessions.Create(t.Context(), s))
	for i := range 40 {
		ctx, cancel := context.WithCancel(t.Context())
		m := moveTo(s, child(s, byte(i)), start.Add(time.Duration(i)*time.Second))
		var running sync.WaitGroup
		running.Go(cancel)
		moved, err := st.Sessions.Move(ctx, m)
		running.Wait()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		// A write of which the outcome is not known is over once a later one is.
		must(t, st.Sessions.Create(t.Context(), newSession(i+2)))
		got, errGet := st.Sessions.Get(t.Context(), s.ID)
		must(t, errGet)
		after := s
		after.State.Head, after.State.HeadAt = m.Head, m.At
		if got != after && (got != s || err == nil) {
			t.Fatalf("got %+v\nbefore %+v\nafter %+v\nerr %v", got, s, after, err)
		}
		if err == nil {
			equal(t, "returned", moved, got)
		}
		s = got
	}
}
