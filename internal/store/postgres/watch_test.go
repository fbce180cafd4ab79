package postgres

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// node is a DB that counts what it is told.
type node struct {
	*DB
	notified, elsewhere atomic.Int64
}

func openNode(t *testing.T, url string, poll time.Duration) *node {
	n := &node{}
	n.DB = openURL(t, url, Options{Poll: poll,
		Notify:    func() { n.notified.Add(1) },
		Elsewhere: func() { n.elsewhere.Add(1) }})
	return n
}

// until waits for a condition, a bounded number of times.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 500 {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come to: " + what)
}

func endOne(t *testing.T, db *DB, n int) {
	t.Helper()
	s := benchSession(n)
	must(t, db.Sessions().Create(t.Context(), s))
	must(t, db.Sessions().End(t.Context(), s.ID, session.End{Reason: "logout", At: s.State.CreatedAt}, events.Event{Kind: "end"}))
}

func raise(t *testing.T, db *DB) {
	t.Helper()
	must(t, directory.NewStore(db.Documents()).UpdateUser(t.Context(), "u", func(u *directory.User) ([]events.Event, error) {
		u.GrantsVersion++
		return []events.Event{{Kind: "grants"}}, nil
	}))
}

// TestNodesHearOfEachOther: by notification (a poll would come too late), and
// by polling where notifications are lost.
func TestNodesHearOfEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		poll   time.Duration
		deafen bool
	}{
		"notified": {time.Hour, false},
		"polled":   {10 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := pgtest.Shared(t)
			direct := cluster.Schema(t)
			proxy := pgtest.NewProxy(t, cluster.Addr())
			if c.deafen {
				proxy.Judge(func(b []byte) pgtest.Fate {
					if strings.Contains(string(b), "LISTEN") {
						return pgtest.CutBefore
					}
					return pgtest.Pass
				})
			}
			there := openNode(t, direct, time.Hour)
			must(t, directory.NewStore(there.Documents()).CreateUser(t.Context(), directory.User{ID: "u", Name: "ann"}))
			here := openNode(t, pgtest.URL(proxy.Addr())+direct[len(cluster.URL()):], c.poll)
			time.Sleep(50 * time.Millisecond) // until it listens; if it does not yet, it looks once it does

			endOne(t, there.DB, 1)
			until(t, "the other node hears of an event", func() bool { return here.notified.Load() > 0 })
			if n := here.elsewhere.Load(); n != 0 {
				t.Errorf("an ended session was taken for a change of users, %d times", n)
			}
			// The node also hears of its own event and looks. A look that meets the next
			// commit between the server and its call takes it for one of others.
			time.Sleep(50 * time.Millisecond)
			raise(t, there.DB)
			until(t, "the other node hears of a change of grants", func() bool { return here.elsewhere.Load() > 0 })
			if there.notified.Load() < 2 {
				t.Errorf("the node itself was told of %d of its own 2 events", there.notified.Load())
			}
			if n := there.elsewhere.Load(); n != 0 {
				t.Errorf("the node took its own changes for those of others, %d times", n)
			}
		})
	}
}

// TestCallsSeeChangesElsewhere: what a call returns is no older than the caches
// that were dropped before it returned, without any notification.
func TestCallsSeeChangesElsewhere(t *testing.T) {
	cluster := pgtest.Shared(t)
	direct := cluster.Schema(t)
	proxy := pgtest.NewProxy(t, cluster.Addr())
	proxy.Judge(func(b []byte) pgtest.Fate {
		if strings.Contains(string(b), "LISTEN") {
			return pgtest.CutBefore
		}
		return pgtest.Pass
	})
	there := openNode(t, direct, time.Hour)
	must(t, directory.NewStore(there.Documents()).CreateUser(t.Context(), directory.User{ID: "u", Name: "ann"}))
	here := openNode(t, pgtest.URL(proxy.Addr())+direct[len(cluster.URL()):], time.Hour)
	s := benchSession(1)
	must(t, here.Sessions().Create(t.Context(), s))
	time.Sleep(50 * time.Millisecond) // the look at the start is over
	for i := range 6 {
		raise(t, there.DB)
		before := here.elsewhere.Load()
		var err error
		switch i % 3 {
		case 0:
			s, err = here.Sessions().Move(t.Context(), nextMove(s))
		case 1:
			_, err = here.Sessions().Get(t.Context(), s.ID)
		case 2: // in a batch
			m, other := &renewal{Move: nextMove(s), done: make(chan struct{})}, &renewal{Move: nextMove(benchSession(7)), done: make(chan struct{})}
			here.renewer.send([]*renewal{m, other})
			s, err = m.got, m.err
		}
		must(t, err)
		if here.elsewhere.Load() == before {
			t.Errorf("call %d returned before the change was noticed", i)
		}
	}
}
