package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

func none(session.Session) bool { return false }

// walk sweeps the whole table and returns how many sessions it looked at.
func walk(t *testing.T, db *DB, limit int, between func()) (looked int) {
	t.Helper()
	var at rotation.SessionID
	for range 1000 {
		next, _, err := db.Sessions().Sweep(t.Context(), at, limit, func(session.Session) bool { looked++; return false })
		must(t, err)
		if at = next; next == (rotation.SessionID{}) {
			return looked
		}
		between()
	}
	t.Fatal("the walk does not come to an end")
	return 0
}

// TestOneNodeSweeps: while one node walks, another finds nothing to do; once it
// has finished, or has died in the middle and its lease is over, another may.
func TestOneNodeSweeps(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	a, b := openURL(t, url, Options{}), openURL(t, url, Options{})
	const n = 30
	fill(t, a, n)
	looked := walk(t, a, 10, func() {
		if got := walk(t, b, 10, func() {}); got != 0 {
			t.Errorf("the second node looked at %d sessions meanwhile", got)
		}
	})
	if looked != n {
		t.Errorf("the first node looked at %d sessions", looked)
	}
	if got := walk(t, b, 10, func() {}); got != n {
		t.Errorf("after the end the second node looked at %d sessions", got)
	}
	_, _, err := a.Sessions().Sweep(t.Context(), rotation.SessionID{}, 10, none) // and dies
	must(t, err)
	pgtest.Exec(t, url, "UPDATE tacet_leases SET until = until - 60000")
	if got := walk(t, b, 10, func() {}); got != n {
		t.Errorf("after the lease the second node looked at %d sessions", got)
	}
}

func countTexts(t *testing.T, db *DB) (n int) {
	t.Helper()
	must(t, db.pool.QueryRow(t.Context(), "SELECT COUNT(*) FROM tacet_texts").Scan(&n))
	return n
}

// TestUnusedTextsAreRemoved: only those that no session refers to and nobody
// has stored lately, and never one that a session takes up meanwhile.
func TestUnusedTextsAreRemoved(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	a, b := openURL(t, url, Options{}), openURL(t, url, Options{})
	sessions := make([]session.Session, 40)
	use := func(db *DB, i int, agent string) {
		t.Helper()
		m := nextMove(sessions[i])
		m.Contact.UserAgent = agent
		var err error
		sessions[i], err = db.Sessions().Move(t.Context(), m)
		must(t, err)
	}
	for i := range sessions {
		sessions[i] = benchSession(i)
		sessions[i].Contact.UserAgent = fmt.Sprint("agent ", i)
		must(t, a.Sessions().Create(t.Context(), sessions[i]))
	}
	for i := range sessions {
		use(b, i, "agent 0")
	}
	walk(t, a, 10, func() {})
	if n := countTexts(t, a); n != len(sessions) {
		t.Fatalf("%d texts left of %d that were used a moment ago", n, len(sessions))
	}
	// A day later: nodes have forgotten that they stored them.
	later := func() {
		pgtest.Exec(t, url, "UPDATE tacet_texts SET used_at = used_at - 90000000")
		for _, db := range []*DB{a, b} {
			db.texts.clock = func() time.Time { return time.Now().Add(25 * time.Hour) }
		}
	}
	later()
	first := true
	walk(t, a, 10, func() {
		if first { // a session behind the walk takes up a text that none ahead of it uses
			use(b, 0, "agent 7")
		}
		first = false
	})
	if n := countTexts(t, a); n != 2 {
		t.Errorf("%d texts left, want those of agents 0 and 7", n)
	}
	for i := range 2 {
		s, err := a.Sessions().Get(t.Context(), sessions[i].ID)
		must(t, err)
		if want := []string{"agent 7", "agent 0"}[i]; s.Contact.UserAgent != want {
			t.Errorf("session %d has agent %q, want %q", i, s.Contact.UserAgent, want)
		}
	}
}

// TestTextsOfOneHash: the place of a text may be taken by another.
func TestTextsOfOneHash(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	db := openURL(t, url, Options{})
	s := benchSession(1)
	pgtest.Exec(t, url, fmt.Sprintf("INSERT INTO tacet_texts VALUES (%d, 'another', 0)", hash(s.Contact.UserAgent)))
	must(t, db.Sessions().Create(t.Context(), s))
	got, err := db.Sessions().Get(t.Context(), s.ID)
	must(t, err)
	if got != s {
		t.Errorf("got %+v", got)
	}
}

// TestMarksAreRemoved: what transactions leave behind does not pile up.
func TestMarksAreRemoved(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	db := openURL(t, url, Options{})
	for range 5 {
		must(t, db.Check(t.Context()))
	}
	count := func() (n int) {
		must(t, db.pool.QueryRow(t.Context(), "SELECT COUNT(*) FROM tacet_attempts").Scan(&n))
		return n
	}
	walk(t, db, 10, func() {})
	if n := count(); n != 5 {
		t.Errorf("%d marks left of 5 that are needed for a while", n)
	}
	pgtest.Exec(t, url, "UPDATE tacet_attempts SET at = at - 3700000")
	walk(t, db, 10, func() {})
	if n := count(); n != 0 {
		t.Errorf("%d marks left", n)
	}
}
