package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
)

var keyTests = map[string]func(*testing.T, Stores){
	"RoundTrip": testKeysRoundTrip,
	"Conflict":  testKeysConflict,
}

func ring(n int) []keys.Key {
	var ring []keys.Key
	for i := range n {
		k := keys.Key{ID: uint32(i + 1), Use: keys.UseSign, Algorithm: "EdDSA", CreatedAt: start, ActiveAt: start.Add(time.Minute),
			Sealed: []byte{0, byte(i), 255}}
		if i%2 == 1 {
			k.ID, k.Use, k.Algorithm, k.RetiredAt = 1<<32-1-uint32(i), keys.UseMAC, "HS256", start.Add(time.Hour)
		}
		ring = append(ring, k)
	}
	return ring
}

func loadRing(t *testing.T, st Stores) (string, int64) {
	t.Helper()
	ring, version, err := st.Keys.Load(t.Context())
	must(t, err)
	return fmt.Sprint(ring), version
}

func testKeysRoundTrip(t *testing.T, st Stores) {
	got, version := loadRing(t, st)
	equal(t, "version of a new database", version, 0)
	equal(t, "ring of a new database", got, "[]")
	for i, n := range []int{2, 5, 1, 0, 3} {
		e := events.Event{At: start, Kind: fmt.Sprint("keys ", i)}
		must(t, st.Keys.Replace(t.Context(), int64(i), ring(n), e))
		kinds := eventKinds(t, st)
		equal(t, "events so far", len(kinds), i+1)
		equal(t, "last event", kinds[i], e.Kind)
		got, version := loadRing(t, st)
		equal(t, "version", version, int64(i+1))
		equal(t, "ring", got, fmt.Sprint(ring(n)))
	}
}

func testKeysConflict(t *testing.T, st Stores) {
	must(t, st.Keys.Replace(t.Context(), 0, ring(2), events.Event{At: start, Kind: "first"}))
	for _, version := range []int64{0, 2, -1} {
		if err := st.Keys.Replace(t.Context(), version, ring(4), events.Event{At: start, Kind: "refused"}); !errors.Is(err, keys.ErrConflict) {
			t.Errorf("Replace(%d): %v, want ErrConflict", version, err)
		}
	}
	got, version := loadRing(t, st)
	equal(t, "version", version, 1)
	equal(t, "ring", got, fmt.Sprint(ring(2)))
	equal(t, "events", strings.Join(eventKinds(t, st), ","), "first")
}

var eventTests = map[string]func(*testing.T, Stores){
	"NumberedInOrder":   testEventsOrder,
	"PruneNeverReuses":  testEventsPrune,
	"PruneStopsAtYoung": testEventsPruneOrder,
}

func eventKinds(t *testing.T, st Stores) (kinds []string) {
	t.Helper()
	list, err := st.Events.Since(t.Context(), 0, 10_000)
	must(t, err)
	for _, e := range list {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// appendEvent makes an event happen at the time given.
func appendEvent(t *testing.T, st Stores, n int, at time.Time) events.Event {
	t.Helper()
	s := newSession(n)
	must(t, st.Sessions.Create(t.Context(), s))
	e := events.Event{At: at, Kind: fmt.Sprint("kind ", n), UserID: "用户", SessionID: s.ID.String(), Data: []byte(`{"n":"é\u0000"}`)}
	must(t, st.Sessions.End(t.Context(), s.ID, session.End{Reason: "r", At: at}, e))
	return e
}

func testEventsOrder(t *testing.T, st Stores) {
	first, last, err := st.Events.Bounds(t.Context())
	must(t, err)
	equal(t, "bounds of a new database", [2]int64{first, last}, [2]int64{0, 0})
	var want []events.Event
	for i := 1; i <= 5; i++ {
		want = append(want, appendEvent(t, st, i, start.Add(-time.Duration(i)*time.Hour)))
	}
	got, err := st.Events.Since(t.Context(), 0, 100)
	must(t, err)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i, e := range got {
		if i > 0 && e.Seq <= got[i-1].Seq {
			t.Errorf("event %d has number %d after %d", i, e.Seq, got[i-1].Seq)
		}
		want[i].Seq = e.Seq
		equal(t, "event", fmt.Sprint(e), fmt.Sprint(want[i]))
	}
	page, err := st.Events.Since(t.Context(), got[1].Seq, 2)
	must(t, err)
	equal(t, "page", fmt.Sprint(page), fmt.Sprint(got[2:4]))
	page, err = st.Events.Since(t.Context(), got[4].Seq, 2)
	must(t, err)
	equal(t, "events after the last", len(page), 0)
	first, last, err = st.Events.Bounds(t.Context())
	must(t, err)
	equal(t, "bounds", [2]int64{first, last}, [2]int64{got[0].Seq, got[4].Seq})
}

func testEventsPrune(t *testing.T, st Stores) {
	for i := 1; i <= 4; i++ {
		appendEvent(t, st, i, start.Add(time.Duration(i)*time.Second))
	}
	_, last, err := st.Events.Bounds(t.Context())
	must(t, err)
	n, err := st.Events.Prune(t.Context(), start.Add(time.Hour), 3)
	must(t, err)
	equal(t, "pruned up to the limit", n, 3)
	n, err = st.Events.Prune(t.Context(), start.Add(time.Hour), 3)
	must(t, err)
	equal(t, "pruned the rest", n, 1)
	first, still, err := st.Events.Bounds(t.Context())
	must(t, err)
	equal(t, "bounds of a pruned log", [2]int64{first, still}, [2]int64{last + 1, last})
	appendEvent(t, st, 5, start)
	list, err := st.Events.Since(t.Context(), last, 10)
	must(t, err)
	if len(list) != 1 || list[0].Seq <= last {
		t.Errorf("after pruning: %+v, want one event with a number above %d", list, last)
	}
}

func testEventsPruneOrder(t *testing.T, st Stores) {
	for i, minutes := range []int{1, 2, 9, 3} { // the clock was set back
		appendEvent(t, st, i+1, start.Add(time.Duration(minutes)*time.Minute))
	}
	n, err := st.Events.Prune(t.Context(), start.Add(9*time.Minute), 100)
	must(t, err)
	equal(t, "pruned", n, 2)
	equal(t, "left", strings.Join(eventKinds(t, st), ","), "kind 3,kind 4")
}

func testReopen(t *testing.T, st Stores) {
	if st.Reopen == nil {
		t.Skip("this store keeps nothing")
	}
	s := newSession(1)
	must(t, st.Sessions.Create(t.Context(), s))
	s, err := st.Sessions.Move(t.Context(), moveTo(s, child(s, 1), start.Add(time.Minute)))
	must(t, err)
	must(t, st.Keys.Replace(t.Context(), 0, ring(3)))
	u := newUser("ann", "admin")
	must(t, st.Directory.CreateUser(t.Context(), u))
	appendEvent(t, st, 2, start)

	again := st.Reopen(t)
	got, err := again.Sessions.Get(t.Context(), s.ID)
	must(t, err)
	equal(t, "session", got, s)
	r, version := loadRing(t, again)
	equal(t, "version", version, 1)
	equal(t, "ring", r, fmt.Sprint(ring(3)))
	found, err := again.Directory.UserByName(t.Context(), "ann")
	must(t, err)
	equal(t, "user", fmt.Sprint(found), fmt.Sprint(u))
	if kinds := eventKinds(t, again); !slices.Equal(kinds, []string{"kind 2"}) {
		t.Errorf("events %q", kinds)
	}
}
