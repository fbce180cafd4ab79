package sqlite

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// TestBytesPerSession holds the promise of the README: 36-character user ids,
// two sessions for each, both b-trees counted.
func TestBytesPerSession(t *testing.T) {
	const n = 4000
	dir := t.TempDir()
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	empty := fileSize(t, dir)
	fill(t, db.Sessions(), n)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	size := fileSize(t, dir)
	per := float64(size-empty) / n
	t.Logf("%.0f bytes per session", per)
	if per > 250 { // fewer in a larger table: the user agents are shared
		t.Errorf("%.0f bytes per session", per)
	}

	// Renewals add nothing, and the write-ahead log stays bounded.
	db = openIn(t, dir, Options{})
	var running sync.WaitGroup
	for i := range 64 {
		running.Go(func() {
			for j := i; j < n; j += 64 {
				if err := renew(db, j); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	total, err := db.Size()
	if err != nil {
		t.Fatal(err)
	}
	if wal := total - fileSize(t, dir); wal > 8<<20 {
		t.Errorf("the write-ahead log has %d bytes", wal)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if after := fileSize(t, dir); after > size+2*pageSize {
		t.Errorf("%d bytes before renewals, %d after", size, after)
	}
}

// countTexts is how many texts are stored.
func countTexts(t *testing.T, db *DB) (n int64) {
	t.Helper()
	_, err := read(t.Context(), db, func(c *conn) (int, error) {
		_, err := c.one("SELECT COUNT(*) FROM texts", nil, func(r *row) { n = r.int() })
		return 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sweepAll walks through the table once.
func sweepAll(t *testing.T, db *DB, limit int, between func(), dead func(session.Session) bool) {
	t.Helper()
	var at rotation.SessionID
	for {
		next, _, err := db.Sessions().Sweep(t.Context(), at, limit, dead)
		if err != nil {
			t.Fatal(err)
		}
		if at = next; next == (rotation.SessionID{}) {
			return
		}
		between()
	}
}

// A key belongs to one session: it has no place among the texts that many share.
func TestKeysAreNoSharedTexts(t *testing.T) {
	db := openIn(t, t.TempDir(), Options{})
	for i := range 20 {
		s := benchSession(i)
		s.Constraint = session.ByProof(fmt.Sprint("key ", i))
		s.Details, s.Contact.UserAgent = fmt.Sprint("details ", i), "the same"
		if err := db.Sessions().Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if got := countTexts(t, db); got != 2 { // client and agent
		t.Errorf("%d texts", got)
	}
}

func TestUnusedTextsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	db := openIn(t, dir, Options{})
	other := openIn(t, dir, Options{})
	const n = 40
	withAgent := func(i int, agent string) session.Session {
		s := benchSession(i)
		s.Contact.UserAgent = agent
		return s
	}
	for i := range n {
		if err := db.Sessions().Create(t.Context(), withAgent(i, fmt.Sprint("agent ", i))); err != nil {
			t.Fatal(err)
		}
	}
	move := func(db *DB, i int, agent string) {
		t.Helper()
		s, err := db.Sessions().Get(t.Context(), benchSession(i).ID)
		if err != nil {
			t.Fatal(err)
		}
		m := session.Move{ID: s.ID, Condition: s.State.Condition(), Head: s.State.Head, At: s.State.HeadAt, Contact: s.Contact}
		m.Contact.UserAgent = agent
		if _, err := db.Sessions().Move(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	old := func(s session.Session) bool { return s.ID[5]%2 == 0 }
	none := func(session.Session) bool { return false }

	if got := countTexts(t, db); got != n+1 { // and the client id
		t.Fatalf("%d texts", got)
	}
	for i := range n { // all but the first agent fall out of use
		move(db, i, "agent 0")
	}
	// While the walk is under way, a session behind it takes up an agent that
	// no row it will meet uses.
	first := true
	sweepAll(t, db, 10, func() {
		if first {
			move(db, 0, "agent 7")
		}
		first = false
	}, none)
	for range 10 { // texts go in small bites, too
		sweepAll(t, db, 10, func() {}, none)
	}
	if got := countTexts(t, db); got != 3 { // client, agent 0, agent 7
		t.Errorf("%d texts left, want 3", got)
	}
	// Another process takes up an agent that this one is about to remove.
	move(db, 0, "agent 0")
	interfere := true
	sweepAll(t, db, 10, func() {
		if interfere {
			move(other, 0, "agent 7")
		}
		interfere = false
	}, none)
	for i := range 2 {
		want := []string{"agent 7", "agent 0"}[i]
		s, err := db.Sessions().Get(t.Context(), benchSession(i).ID)
		if err != nil || s.Contact.UserAgent != want || s.ClientID != "web" {
			t.Errorf("session %d has agent %q, client %q, %v; want %q", i, s.Contact.UserAgent, s.ClientID, err, want)
		}
	}
	sweepAll(t, db, 10, func() {}, old)
}
