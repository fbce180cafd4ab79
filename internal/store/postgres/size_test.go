package postgres

import (
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// TestBytesPerSession holds the promise of the README: users of the embedded
// directory, two sessions for each, table and both indexes counted. Users come in random
// order, as far as the index is concerned.
func TestBytesPerSession(t *testing.T) {
	n := 30_000
	db := openEmpty(t, Options{})
	empty := readStats(t, db)
	fill(t, db, n)
	s := readStats(t, db)
	per := float64(s.size-empty.size) / float64(n)
	t.Logf("%.0f bytes per session: %.0f in the table, %.0f and %.0f in the indexes", per,
		float64(s.heap-empty.heap)/float64(n), float64(s.byID-empty.byID)/float64(n), float64(s.byUser-empty.byUser)/float64(n))
	if per > 250 {
		t.Errorf("%.0f bytes per session", per)
	}
}

// TestRenewalsAreInPlace: every renewal is a HOT update, so that no index is
// touched, and renewals do not make the table longer.
func TestRenewalsAreInPlace(t *testing.T) {
	const n, clients, each = 5000, 50, 60
	url := pgtest.Shared(t).Schema(t)
	db := openURL(t, url, Options{})
	fill(t, db, n)
	pgtest.Exec(t, url, "VACUUM tacet_sessions") // makes the maps that would else count as growth
	before := readStats(t, db)
	inParallel(t, clients, clients, func(i int) error {
		for j := range each { // apart from the others, as it is in life
			s := benchSession(i*n/clients + j%20*5)
			if j >= 20 {
				var err error
				if s, err = db.Sessions().Get(t.Context(), s.ID); err != nil {
					return err
				}
			}
			if _, err := db.Sessions().Move(t.Context(), nextMove(s)); err != nil {
				return err
			}
		}
		return nil
	})
	after := readStats(t, db)
	// The server adds up its figures from time to time, and at the end of a connection.
	db.renewer.pool.Reset()
	for range 300 {
		if after.updates-before.updates >= clients*each {
			break
		}
		time.Sleep(20 * time.Millisecond)
		after = readStats(t, db)
	}
	updates, hot := after.updates-before.updates, after.hot-before.hot
	if updates < clients*each || hot != updates {
		t.Errorf("%d of %d updates were HOT", hot, updates)
	}
	if after.size != before.size {
		t.Errorf("%d bytes before %d renewals, %d after", before.size, clients*each, after.size)
	}
}
