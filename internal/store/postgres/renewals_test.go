package postgres

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

// TestBatchIsLikeOneByOne: a batch gives each of its renewals what it would have
// got alone, and leaves the sessions as these would have.
func TestBatchIsLikeOneByOne(t *testing.T) {
	db, single := openEmpty(t, Options{}), openEmpty(t, Options{})
	n := 0
	const sessions, cases = 6, 40 // each takes a dozen commits
	rapid.Check(t, func(rt *rapid.T) {
		if n >= cases*sessions {
			return
		}
		base := n
		n += sessions
		var list []session.Session
		for i := range sessions {
			list = append(list, benchSession(base+i))
		}
		insert(t, db, list)
		insert(t, single, list)
		renewals := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) session.Move {
			m := nextMove(benchSession(base + rapid.IntRange(0, sessions).Draw(rt, "session"))) // the last does not exist
			m.Head.Tag = rotation.Tag{byte(rapid.IntRange(0, 255).Draw(rt, "tag"))}
			m.Condition.Generation += uint32(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(rt, "generation"))
			m.Constraint = rapid.SampledFrom([]session.Constraint{"", "", "", session.ByClient}).Draw(rt, "constraint")
			m.Contact.UserAgent = rapid.SampledFrom([]string{"", "a", "caf\xe9", "new \x00"}).Draw(rt, "agent")
			return m
		}), 1, 12).Draw(rt, "renewals")

		var batch, later []*renewal
		for _, m := range renewals {
			batch = append(batch, &renewal{Move: m, done: make(chan struct{})})
		}
		results := map[int]*renewal{}
		all := slices.Clone(batch)
		for len(batch) > 0 { // as loop does
			batch, later = apart(batch, nil)
			db.renewer.send(batch)
			batch = later
		}
		for i, m := range all {
			results[i] = m
			want, err := single.moveAlone(t.Context(), m.Move)
			if !errors.Is(m.err, err) || m.got != want && err == nil {
				rt.Fatalf("move %d of %d: %+v, %v\nalone: %+v, %v", i, len(all), m.got, m.err, want, err)
			}
		}
		got, err := db.Sessions().List(t.Context(), "", rotation.SessionID{}, sessions)
		must(t, err)
		want, err := single.Sessions().List(t.Context(), "", rotation.SessionID{}, sessions)
		must(t, err)
		if !slices.Equal(got, want) {
			rt.Fatalf("sessions: %+v\nalone: %+v", got, want)
		}
	})
}

// TestStatementsTakeTurns: the next statement waits for the one that is under
// way, but not for ever, and then nobody's turn is taken away.
func TestStatementsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &renewer{turn: make(chan struct{}, 1)}
		waits := func() (end func(), waited time.Duration) {
			from := time.Now()
			return m.begin(), time.Since(from)
		}
		first, waited := waits()
		if waited != 0 {
			t.Errorf("alone: %v", waited)
		}
		beside, waited := waits()
		if waited != patience {
			t.Errorf("beside a statement that takes long: %v", waited)
		}
		beside()
		go func() {
			time.Sleep(patience / 2)
			first()
		}()
		next, waited := waits()
		if waited != patience/2 {
			t.Errorf("behind a statement that ends: %v", waited)
		}
		next()
		if last, waited := waits(); waited != 0 {
			t.Errorf("after all have ended: %v", waited)
		} else {
			last()
		}
	})
}

// TestRenewalsShareStatements: while a statement is under way others queue up,
// and go together.
func TestRenewalsShareStatements(t *testing.T) {
	db := openEmpty(t, Options{})
	const n = 200
	fill(t, db, n)
	before := commits(t, db)
	var start, running sync.WaitGroup
	start.Add(1)
	for i := range n {
		running.Go(func() {
			start.Wait()
			if _, err := db.Sessions().Move(t.Context(), nextMove(benchSession(i))); err != nil {
				t.Error(err)
			}
		})
	}
	start.Done()
	running.Wait()
	if made := commits(t, db) - before; made > n/4 {
		t.Errorf("%d commits for %d renewals that were asked for at once", made, n)
	}
}

// commits counts the transactions that have changed a session: rows that were
// changed together carry one number.
func commits(t *testing.T, db *DB) (n int) {
	t.Helper()
	must(t, db.pool.QueryRow(t.Context(), "SELECT COUNT(DISTINCT xmin::text) FROM tacet_sessions").Scan(&n))
	return n
}

// TestCloseMakesWhatIsQueued: a renewal that was taken in is made; one that
// comes too late is refused. Other calls are refused.
func TestCloseMakesWhatIsQueued(t *testing.T) {
	url := pgtest.Shared(t).Schema(t)
	db, err := Open(t.Context(), url, Options{})
	must(t, err)
	const n = 100
	fill(t, db, n)
	errs := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { _, errs[i] = db.Sessions().Move(t.Context(), nextMove(benchSession(i))) })
	}
	running.Go(func() { must(t, db.Close()) })
	running.Wait()
	must(t, db.Close())
	if _, err := db.Sessions().Get(t.Context(), benchSession(0).ID); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store answered: %v", err)
	}
	again := openURL(t, url, Options{})
	for i, err := range errs {
		if err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("renewal %d: %v", i, err)
		}
		s, e := again.Sessions().Get(t.Context(), benchSession(i).ID)
		must(t, e)
		if made := s.State.Head.Generation == 1; made != (err == nil) {
			t.Errorf("renewal %d: made %v, answered %v", i, made, err)
		}
	}
}
