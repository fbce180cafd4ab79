package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

var sessionTests = map[string]func(*testing.T, Stores){
	"CreateThenGet":             testCreateThenGet,
	"CreateTwiceKeepsTheFirst":  testCreateTwice,
	"GetUnknown":                testGetUnknown,
	"MoveReturnsWhatIsStored":   testMove,
	"MoveIffConditionHolds":     testMoveIffConditionHolds,
	"MoveIffConstraintIsMet":    testMoveIffConstraintIsMet,
	"MoveConflictChangesNil":    testMoveConflict,
	"EndIsOnceAndForAll":        testEnd,
	"ListNewestFirst":           testList,
	"SweepInBites":              testSweep,
	"SweepKeepsWhatOthersShare": testSweepTexts,
	"CancelledContext":          testCancelled,
}

func testCreateThenGet(t *testing.T, st Stores) {
	variants := map[string]func(*session.Session){
		"as it is":        func(*session.Session) {},
		"IPv6":            func(s *session.Session) { s.Contact.Address = netip.MustParseAddr("2001:db8::1") },
		"no address":      func(s *session.Session) { s.Contact.Address = netip.Addr{} },
		"nothing known":   func(s *session.Session) { s.Contact, s.ClientID = session.Contact{}, "" },
		"unicode":         func(s *session.Session) { s.UserID, s.ClientID = "用户-Ünïcode-🦊", "мобильный" },
		"bound to a key":  func(s *session.Session) { s.Constraint = someKey },
		"with details":    func(s *session.Session) { s.Details = someDetails },
		"odd characters":  func(s *session.Session) { s.UserID = `a'b"c;--%_\` + "\n\t" },
		"long user agent": func(s *session.Session) { s.Contact.UserAgent = strings.Repeat("x", session.MaxUserAgent) },
		"agent not UTF-8": func(s *session.Session) { s.Contact.UserAgent = "caf\xe9" },
		"extreme numbers": func(s *session.Session) {
			s.State.Head = rotation.Head{Generation: 1<<32 - 1,
				Tag: rotation.Tag{255, 255, 255, 255, 255, 255, 255, 255}, Parent: rotation.Tag{0x80}}
		},
		"before 1970": func(s *session.Session) { s.State.CreatedAt = time.UnixMilli(-1).UTC() },
	}
	n := 0
	for name, vary := range variants {
		n++
		want := newSession(n)
		vary(&want)
		must(t, st.Sessions.Create(t.Context(), want))
		got, err := st.Sessions.Get(t.Context(), want.ID)
		must(t, err)
		equal(t, name, got, want)
	}
}

func testCreateTwice(t *testing.T, st Stores) {
	first := newSession(1)
	must(t, st.Sessions.Create(t.Context(), first))
	second := newSession(1)
	second.UserID = "somebody else"
	if err := st.Sessions.Create(t.Context(), second); err == nil {
		t.Error("a second session with the same id was accepted")
	}
	got, err := st.Sessions.Get(t.Context(), first.ID)
	must(t, err)
	equal(t, "the first session", got, first)
}

func testGetUnknown(t *testing.T, st Stores) {
	if _, err := st.Sessions.Get(t.Context(), sessionID(1)); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func testMove(t *testing.T, st Stores) {
	s := newSession(1)
	must(t, st.Sessions.Create(t.Context(), s))
	for i := range 5 {
		m := moveTo(s, child(s, byte(i)), start.Add(time.Duration(i)*time.Minute+999_999*time.Nanosecond))
		m.Contact = session.Contact{Address: netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1)), UserAgent: fmt.Sprint("agent ", i%2)}
		got, err := st.Sessions.Move(t.Context(), m)
		must(t, err)

		want := s
		want.State.Head, want.Contact = m.Head, m.Contact
		want.State.HeadAt = start.Add(time.Duration(i) * time.Minute) // to the millisecond
		equal(t, "returned", got, want)
		s, err = st.Sessions.Get(t.Context(), s.ID)
		must(t, err)
		equal(t, "stored", s, want)
	}
}

// testMoveIffConditionHolds is rotation.Condition.Holds against the store's own idea of it.
func testMoveIffConditionHolds(t *testing.T, st Stores) {
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		near := func(label string) time.Time {
			return start.Add(time.Duration(rapid.Int64Range(-2_500_000, 2_500_000).Draw(rt, label)))
		}
		tag := rapid.SampledFrom([]rotation.Tag{{1}, {0xff}, {7: 1}, {0xff, 7: 1}})
		s := newSession(n)
		s.State.Head = rotation.Head{Generation: rapid.Uint32Range(0, 2).Draw(rt, "generation"), Tag: tag.Draw(rt, "tag")}
		s.State.HeadAt, s.State.CreatedAt = near("headAt"), near("createdAt")
		must(t, st.Sessions.Create(t.Context(), s))
		if rapid.IntRange(0, 4).Draw(rt, "end") == 0 {
			must(t, st.Sessions.End(t.Context(), s.ID, session.End{Reason: "r", At: start}))
		}
		before, err := st.Sessions.Get(t.Context(), s.ID)
		must(t, err)

		g := before.State.Condition()
		if rapid.IntRange(0, 3).Draw(rt, "other generation") == 0 {
			g.Generation = rapid.Uint32Range(0, 2).Draw(rt, "its generation")
		}
		if rapid.IntRange(0, 3).Draw(rt, "other tag") == 0 {
			g.Tag = tag.Draw(rt, "its tag")
		}
		if rapid.Bool().Draw(rt, "idle") {
			g.HeadAfter = near("headAfter")
		}
		if rapid.Bool().Draw(rt, "absolute") {
			g.CreatedAfter = near("createdAfter")
		}
		m := session.Move{ID: s.ID, Condition: g, Head: rotation.Head{Generation: 9, Tag: rotation.Tag{9}}, At: start}
		_, err = st.Sessions.Move(t.Context(), m)
		if err != nil && !errors.Is(err, session.ErrConflict) {
			rt.Fatal(err)
		}
		if moved, holds := err == nil, g.Holds(before.State); moved != holds {
			rt.Fatalf("moved %v, Condition.Holds %v\nstate %+v\ncondition %+v", moved, holds, before.State, g)
		}
	})
}

var (
	someKey     = session.ByProof("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")
	someDetails = session.Details{Limited: true, Scope: "orders:read Übung", Audience: "https://api.example.com", ACR: "gold", AMR: "pwd otp", AuthTime: time.Unix(1_795_261_400, 0).UTC()}.Encode()
)

// testMoveIffConstraintIsMet: what a renewal shows must be what the session asks
// for, to the byte. All that the session remembers comes back with it.
func testMoveIffConstraintIsMet(t *testing.T, st Stores) {
	constraints := []session.Constraint{"", session.ByClient, session.ByProof(""), someKey, someKey + "A", someKey[:len(someKey)-1] + "J", "other"}
	n := 0
	for _, has := range constraints {
		for _, shown := range constraints {
			n++
			s := newSession(n)
			s.Constraint, s.Details = has, someDetails
			must(t, st.Sessions.Create(t.Context(), s))
			m := moveTo(s, child(s, 1), start.Add(time.Minute))
			m.Constraint = shown
			got, err := st.Sessions.Move(t.Context(), m)
			if has != shown {
				if !errors.Is(err, session.ErrConflict) {
					t.Errorf("a session that asks for %+v was moved by who shows %+v: %v", has, shown, err)
				}
				got, err = st.Sessions.Get(t.Context(), s.ID)
				must(t, err)
				equal(t, "after a conflict", got, s)
				continue
			}
			must(t, err)
			s.State.Head, s.State.HeadAt = m.Head, m.At
			equal(t, "after the move", got, s)
		}
	}
	list, err := st.Sessions.List(t.Context(), newSession(1).UserID, rotation.SessionID{}, 2*n)
	must(t, err)
	for i, s := range list {
		if want := constraints[(n-1-i)/len(constraints)]; s.Constraint != want || s.Details != someDetails {
			t.Errorf("listed: %+v, want %+v", s, want)
		}
	}
}

func testMoveConflict(t *testing.T, st Stores) {
	s := newSession(1)
	must(t, st.Sessions.Create(t.Context(), s))
	m := moveTo(s, child(s, 1), start)
	m.Condition.Tag[7]++
	if _, err := st.Sessions.Move(t.Context(), m); !errors.Is(err, session.ErrConflict) {
		t.Errorf("another head: got %v, want ErrConflict", err)
	}
	got, err := st.Sessions.Get(t.Context(), s.ID)
	must(t, err)
	equal(t, "after a conflict", got, s)
	if _, err := st.Sessions.Move(t.Context(), moveTo(newSession(2), child(newSession(2), 1), start)); !errors.Is(err, session.ErrConflict) {
		t.Errorf("no such session: got %v, want ErrConflict", err)
	}
}

func testEnd(t *testing.T, st Stores) {
	s := newSession(1)
	must(t, st.Sessions.Create(t.Context(), s))
	end := session.End{Reason: "logout", At: start.Add(time.Hour)}
	must(t, st.Sessions.End(t.Context(), s.ID, end, events.Event{Kind: "a", At: start}, events.Event{Kind: "b", At: start}))

	want := s
	want.State.Ended, want.End = true, end
	got, err := st.Sessions.Get(t.Context(), s.ID)
	must(t, err)
	equal(t, "ended session", got, want)

	other := session.End{Reason: "reuse_detected", At: start.Add(2 * time.Hour)}
	if err := st.Sessions.End(t.Context(), s.ID, other, events.Event{Kind: "c"}); !errors.Is(err, session.ErrConflict) {
		t.Errorf("second end: got %v, want ErrConflict", err)
	}
	if err := st.Sessions.End(t.Context(), sessionID(2), other, events.Event{Kind: "d"}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("unknown session: got %v, want ErrNotFound", err)
	}
	if _, err := st.Sessions.Move(t.Context(), moveTo(s, child(s, 1), start)); !errors.Is(err, session.ErrConflict) {
		t.Errorf("move of an ended session: got %v, want ErrConflict", err)
	}
	got, err = st.Sessions.Get(t.Context(), s.ID)
	must(t, err)
	equal(t, "after further attempts", got, want)
	if kinds := eventKinds(t, st); !slices.Equal(kinds, []string{"a", "b"}) {
		t.Errorf("events %q, want those of the end that succeeded", kinds)
	}
}

func testList(t *testing.T, st Stores) {
	for i := 1; i <= 12; i++ {
		s := newSession(i)
		s.UserID = []string{"a", "b", "a%"}[i%3]
		must(t, st.Sessions.Create(t.Context(), s))
	}
	must(t, st.Sessions.End(t.Context(), sessionID(6), session.End{Reason: "logout", At: start}))
	for _, c := range []struct {
		user          string
		before, limit int
		want          []int
	}{
		{"a", 0, 100, []int{12, 9, 3}},
		{"a", 9, 100, []int{3}},
		{"a", 10, 1, []int{9}},
		{"b", 0, 2, []int{10, 7}},
		{"nobody", 0, 100, nil},
		{"", 0, 3, []int{12, 11, 10}},
		{"", 8, 3, []int{7, 5, 4}},
		{"a", 3, 100, nil},
		{"a", 0, 0, nil},
	} {
		var before rotation.SessionID
		if c.before != 0 {
			before = sessionID(c.before)
		}
		list, err := st.Sessions.List(t.Context(), c.user, before, c.limit)
		must(t, err)
		var got []int
		for _, s := range list {
			got = append(got, int(s.ID[15]))
			want := newSession(int(s.ID[15]))
			want.UserID = s.UserID
			equal(t, "listed session", s, want)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("List(%q, %d, %d) = %v, want %v", c.user, c.before, c.limit, got, c.want)
		}
	}
}

func testSweep(t *testing.T, st Stores) {
	for i := 1; i <= 10; i++ {
		must(t, st.Sessions.Create(t.Context(), newSession(i)))
	}
	var looked []int
	var from rotation.SessionID
	deleted := 0
	for bite := 0; ; bite++ {
		if bite > 10 {
			t.Fatal("the sweep does not come to an end")
		}
		next, n, err := st.Sessions.Sweep(t.Context(), from, 4, func(s session.Session) bool {
			i := int(s.ID[15])
			equal(t, "swept session", s, newSession(i))
			looked = append(looked, i)
			return i%3 == 0
		})
		must(t, err)
		deleted += n
		if from = next; next == (rotation.SessionID{}) {
			break
		}
		if want := sessionID(looked[len(looked)-1]); next != want || len(looked)%4 != 0 {
			t.Errorf("next %v after looking at %v", next, looked)
		}
	}
	if !slices.Equal(looked, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) || deleted != 3 {
		t.Errorf("looked at %v, deleted %d", looked, deleted)
	}
	for i := 1; i <= 10; i++ {
		_, err := st.Sessions.Get(t.Context(), sessionID(i))
		if gone := errors.Is(err, session.ErrNotFound); gone != (i%3 == 0) {
			t.Errorf("session %d after the sweep: %v", i, err)
		}
	}
}

// testSweepTexts: a store that keeps user agents apart must not lose one that
// is in use, nor hand out another in its place.
func testSweepTexts(t *testing.T, st Stores) {
	rapid.Check(t, func(rt *rapid.T) {
		model := map[rotation.SessionID]session.Session{}
		agent := func() string { return fmt.Sprint("agent ", rapid.IntRange(0, 5).Draw(rt, "agent")) }
		var at rotation.SessionID
		for range rapid.IntRange(5, 15).Draw(rt, "steps") {
			id := sessionID(rapid.IntRange(1, 6).Draw(rt, "id"))
			s, exists := model[id]
			switch op := rapid.IntRange(0, 3).Draw(rt, "op"); {
			case op == 0 && !exists:
				s = newSession(int(id[15]))
				s.Contact.UserAgent = agent()
				must(t, st.Sessions.Create(t.Context(), s))
				model[id] = s
			case op == 1 && exists:
				m := moveTo(s, child(s, 1), start)
				m.Contact.UserAgent = agent()
				s, err := st.Sessions.Move(t.Context(), m)
				must(t, err)
				model[id] = s
			default:
				next, _, err := st.Sessions.Sweep(t.Context(), at, rapid.IntRange(1, 4).Draw(rt, "limit"), func(s session.Session) bool {
					if s.ID != id {
						return false
					}
					delete(model, s.ID)
					return true
				})
				must(t, err)
				at = next
			}
			for id, want := range model {
				got, err := st.Sessions.Get(t.Context(), id)
				must(t, err)
				if got != want {
					rt.Fatalf("got  %+v\nwant %+v", got, want)
				}
			}
		}
		_, _, err := st.Sessions.Sweep(t.Context(), rotation.SessionID{}, 100, func(session.Session) bool { return true })
		must(t, err)
	})
}

func testCancelled(t *testing.T, st Stores) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newSession(1)
	if err := st.Sessions.Create(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: %v", err)
	}
	if _, err := st.Sessions.Get(ctx, s.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v", err)
	}
	must(t, st.Sessions.Create(t.Context(), s))
	if _, err := st.Sessions.Move(ctx, moveTo(s, child(s, 1), start)); !errors.Is(err, context.Canceled) {
		t.Errorf("Move: %v", err)
	}
}
