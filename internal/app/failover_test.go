package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// traffic is two nodes under clients that renew, sign-outs and password changes;
// it remembers what was answered.
type traffic struct {
	*crowd
	nodes []*App
	stop  func()

	bob       string
	ended     []rotation.SessionID
	passwords atomic.Int64 // of bob; the number of the last that was set
	tried     atomic.Int64
}

func password(n int64) string { return fmt.Sprintf("correct horse battery %d", n) }

// startTraffic opens two nodes on the database and lets clients loose on them.
func startTraffic(t *testing.T, url string, clients int) *traffic {
	f := &traffic{}
	for range 2 {
		a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DatabaseURL: url, DatabaseTimeout: 2 * time.Second,
			MasterKey: strings.Repeat("0123456789abcdef", 4), Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		a.Start()
		t.Cleanup(func() { must(t, a.Close()) })
		f.nodes = append(f.nodes, a)
	}
	var turn atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.nodes[turn.Add(1)%2].Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	a := f.nodes[0]
	ann, err := a.Directory.Add(t.Context(), directory.NewUser{Name: "ann", Password: password(0)})
	must(t, err)
	bob, err := a.Directory.Add(t.Context(), directory.NewUser{Name: "bob", Password: password(0)})
	must(t, err)
	f.bob = bob.ID
	f.crowd = newCrowdOf(t, a, srv.URL, clients, func(int) string { return ann.ID })

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.signOut(ctx, ann.ID) })
	running.Go(func() { f.changePasswords(ctx) })
	renewing := f.run()
	f.stop = func() {
		cancel()
		running.Wait()
		renewing()
	}
	return f
}

func (f *traffic) signOut(ctx context.Context, user string) {
	for n := 0; ctx.Err() == nil; n++ {
		a := f.nodes[n%2]
		g, err := a.Sessions.Start(ctx, session.SignIn{UserID: user, Client: session.Client{ID: "tacet-web"}})
		if err == nil && a.Sessions.End(ctx, g.Session.ID, wire.ReasonEndedByAdmin) == nil {
			f.ended = append(f.ended, g.Session.ID)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (f *traffic) changePasswords(ctx context.Context) {
	for n := int64(1); ctx.Err() == nil; n++ {
		f.tried.Store(n)
		if f.nodes[n%2].Directory.SetPassword(ctx, f.bob, password(n)) == nil {
			f.passwords.Store(n)
		}
	}
}

// renewals waits until the clients have renewed n times more.
func (f *traffic) renewals(n int64) {
	f.Helper()
	from := f.renewed.Load()
	for range 60_000 {
		if f.renewed.Load() >= from+n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	f.Fatalf("%d renewals in a minute", f.renewed.Load()-from)
}

// nobodySignedOut ends the traffic: every client is still signed in. It returns how
// many renewals caught up.
func (f *traffic) nobodySignedOut() (caughtUp int) {
	f.Helper()
	f.stop()
	for i, token := range f.tokens {
		if !f.renewOnce(i, &token) {
			f.Errorf("client %d was signed out", i)
		}
	}
	for _, a := range f.nodes {
		page := scrape(f.T, a)
		wantLines(f.T, page, `tacet_renewals_total{outcome="reuse_detected"} 0`, `tacet_renewals_total{outcome="ended"} 0`)
		const line = "\n" + `tacet_renewals_total{outcome="caught_up"} `
		_, after, _ := strings.Cut(page, line)
		var n int
		if _, err := fmt.Sscan(after, &n); err != nil {
			f.Fatalf("there is no metric%s: %v", line, err)
		}
		caughtUp += n
	}
	return caughtUp
}

// nothingForgotten looks for every end and every password that was answered.
func (f *traffic) nothingForgotten() {
	f.Helper()
	ctx, a := f.Context(), f.nodes[0]
	for _, id := range f.ended {
		if s, err := a.Sessions.Get(ctx, id); err != nil || !s.State.Ended {
			f.Errorf("session %v was ended, and is %+v, %v", id, s.State, err)
		}
	}
	set, tried := f.passwords.Load(), f.tried.Load()
	for n := set; ; n++ { // a later one may have been set, and its answer lost
		if _, err := a.Directory.Authenticate(ctx, "bob", password(n)); err == nil {
			break
		}
		if n == tried {
			f.Errorf("password %d was set, %d tried, and none of them is good", set, tried)
			break
		}
	}
	f.Logf("%d clients, %d renewals, %d told to come later, %d sessions ended, %d passwords set", len(f.tokens), f.renewed.Load(), f.later.Load(), len(f.ended), set)
	if len(f.ended) == 0 || set == 0 || f.later.Load() == 0 {
		f.Error("the failover met no traffic")
	}
}

// pair is a primary with a standby that follows it through a link, and the URL of
// whichever takes writes.
func pair(t *testing.T) (first, second *pgtest.Cluster, link *pgtest.Proxy, url string) {
	t.Helper()
	first, err := pgtest.New()
	must(t, err)
	t.Cleanup(func() { must(t, first.Remove()) })
	link = pgtest.NewProxy(t, first.Addr())
	second, err = first.Replica(link.Addr())
	must(t, err)
	t.Cleanup(func() { must(t, second.Remove()) })
	return first, second, link, pgtest.URL(first.Addr()+","+second.Addr()) + "&target_session_attrs=read-write"
}

// TestFailoverToASynchronousStandby: the primary dies under clients and its standby
// takes its place. Nobody is signed out, and no sign-out and no change of a
// password that was answered is forgotten.
func TestFailoverToASynchronousStandby(t *testing.T) {
	first, second, _, url := pair(t)
	first.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	first.Exec(t, "SELECT pg_reload_conf()")
	f := startTraffic(t, url, 40)
	f.renewals(400)
	must(t, first.Kill())
	must(t, second.Promote())
	f.renewals(400)
	caughtUp := f.nobodySignedOut()
	f.nothingForgotten()
	if caughtUp > 0 {
		t.Logf("%d clients had renewals that were committed and not answered", caughtUp)
	}
}

// TestFailoverToAnAsynchronousStandby: renewals that the standby never heard of
// were answered. Nobody is signed out: the clients' tokens show the newer state.
func TestFailoverToAnAsynchronousStandby(t *testing.T) {
	first, second, link, url := pair(t)
	f := startTraffic(t, url, 40)
	f.renewals(200)
	link.Hold()
	f.renewals(400)
	must(t, first.Kill())
	link.Cut()
	must(t, second.Promote())
	f.renewals(400)
	if n := f.nobodySignedOut(); n < len(f.tokens)/2 {
		t.Errorf("%d renewals caught up; %d clients were ahead of the standby", n, len(f.tokens))
	}
}
