package session_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/storetest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// counting is a store that counts and can be made to fail or to be slow.
type counting struct {
	session.Store
	moves, gets atomic.Int64
	fail        atomic.Pointer[error]
	gate        chan struct{} // if set, Move waits for it
	conflicts   atomic.Int64  // so many moves are refused first
}

func (c *counting) Move(ctx context.Context, m session.Move) (session.Session, error) {
	if err := c.fail.Load(); err != nil {
		return session.Session{}, *err
	}
	if c.gate != nil {
		<-c.gate
	}
	if c.conflicts.Add(-1) >= 0 {
		return session.Session{}, session.ErrConflict
	}
	s, err := c.Store.Move(ctx, m)
	if err == nil {
		c.moves.Add(1)
	}
	return s, err
}

func (c *counting) Get(ctx context.Context, id rotation.SessionID) (session.Session, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, id)
}

type fakeKeys struct{ key rotation.Key }

func (f fakeKeys) MAC() rotation.Key { return f.key }
func (f fakeKeys) FindMACKey(_ context.Context, id rotation.KeyID) (rotation.Key, bool, error) {
	return f.key, id == f.key.ID, nil
}
func (f fakeKeys) Sign(c wire.AccessClaims) (string, error) { return "access-" + c.ID, nil }

type fakePeople struct {
	gone atomic.Bool
	look func(*session.User) // if set, changes what User returns
}

func (f *fakePeople) User(_ context.Context, id string) (session.User, error) {
	if f.gone.Load() {
		return session.User{}, session.ErrNoUser
	}
	u := session.User{User: wire.User{ID: id}}
	if f.look != nil {
		f.look(&u)
	}
	return u, nil
}

func (f *fakePeople) Grants(ctx context.Context, id string) (session.User, error) {
	return f.User(ctx, id)
}

type fixture struct {
	*session.Service
	cfg    session.Config
	store  *counting
	people *fakePeople
	now    atomic.Int64 // ms
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{store: &counting{Store: storetest.Memory().Sessions}, people: &fakePeople{}}
	f.now.Store(1_800_000_000_000)
	f.cfg = session.Config{
		Store: f.store, Keys: fakeKeys{rotation.Key{ID: 7, Secret: [32]byte{1}}}, Directory: f.people,
		Lifetimes: session.Lifetimes{Access: 15 * time.Minute,
			Policy: rotation.Policy{Overlap: 10 * time.Second, Idle: 14 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour}},
		Clock: func() time.Time { return time.UnixMilli(f.now.Load()) }, Rand: rand.Reader,
		Logger: slog.New(slog.DiscardHandler),
	}
	f.Service = session.New(f.cfg)
	return f
}

// with is the fixture with another configuration, on the same store.
func (f *fixture) with(change func(*session.Config)) *fixture {
	change(&f.cfg)
	f.Service = session.New(f.cfg)
	return f
}

func (f *fixture) advance(d time.Duration) { f.now.Add(d.Milliseconds()) }

var home = session.Contact{Address: netip.MustParseAddr("192.0.2.1"), UserAgent: "home"}

var signIn = session.SignIn{UserID: "u1", Client: session.Client{ID: "web"}, Contact: home}

func presented(t rotation.Token) session.Presentation {
	return session.Presentation{Token: t, Contact: home}
}

func (f *fixture) start(t *testing.T) session.Grant {
	t.Helper()
	g, err := f.Start(t.Context(), signIn)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (f *fixture) refresh(t *testing.T, raw string) (session.Grant, error) {
	t.Helper()
	tok, err := f.Open(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return f.Refresh(t.Context(), presented(tok))
}

func outcome(err error) string {
	var r *session.Refusal
	if errors.As(err, &r) {
		return r.Outcome.String()
	}
	return ""
}

func TestAThousandEqualPresentationsAreOneWrite(t *testing.T) {
	f := newFixture(t)
	raw := f.start(t).RefreshToken
	f.store.gate = make(chan struct{})
	time.AfterFunc(20*time.Millisecond, func() { close(f.store.gate) })
	var wg sync.WaitGroup
	tokens := make([]string, 1000)
	for i := range tokens {
		wg.Go(func() {
			g, err := f.refresh(t, raw)
			if err != nil {
				t.Error(err)
			}
			tokens[i] = g.RefreshToken
		})
	}
	wg.Wait()
	if n := f.store.moves.Load(); n != 1 {
		t.Errorf("%d writes, want 1", n)
	}
	seen := map[string]bool{}
	for _, raw := range tokens {
		seen[raw] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different children, want 1,000: a shared child would hide a thief", len(seen))
	}
	if _, err := f.refresh(t, tokens[17]); err != nil {
		t.Errorf("a child is refused: %v", err)
	}
}

func TestTheUsualRenewalReadsNothing(t *testing.T) {
	f := newFixture(t)
	raw := f.start(t).RefreshToken
	for range 5 {
		g, err := f.refresh(t, raw)
		if err != nil {
			t.Fatal(err)
		}
		raw = g.RefreshToken
	}
	if n := f.store.gets.Load(); n != 0 {
		t.Errorf("%d reads before 5 plain renewals, want none", n)
	}
}

func TestConflictsAreDecidedAgainAndBounded(t *testing.T) {
	f := newFixture(t)
	raw := f.start(t).RefreshToken
	f.store.conflicts.Store(5)
	if _, err := f.refresh(t, raw); err != nil {
		t.Errorf("after 5 lost races: %v", err)
	}
	f = newFixture(t)
	raw = f.start(t).RefreshToken
	f.store.conflicts.Store(1 << 30)
	if _, err := f.refresh(t, raw); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("endless conflicts: %v, want ErrUnavailable", err)
	}
	f.store.conflicts.Store(0)
	if _, err := f.refresh(t, raw); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAFailingStoreChangesNothing(t *testing.T) {
	f := newFixture(t)
	raw := f.start(t).RefreshToken
	down := errors.New("disk full")
	f.store.fail.Store(&down)
	if _, err := f.refresh(t, raw); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, down) {
		t.Errorf("error %v, want ErrUnavailable with its cause", err)
	}
	f.store.fail.Store(nil)
	if _, err := f.refresh(t, raw); err != nil {
		t.Errorf("when the store is back: %v", err)
	}
}

func TestOneCallersEndDoesNotCancelTheOthers(t *testing.T) {
	f := newFixture(t)
	tok, err := f.Open(t.Context(), f.start(t).RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	f.store.gate = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 2)
	go func() { _, err := f.Refresh(ctx, presented(tok)); results <- err }()
	go func() { _, err := f.Refresh(t.Context(), presented(tok)); results <- err }()
	time.Sleep(10 * time.Millisecond) // both wait; if not, the test still holds
	cancel()
	close(f.store.gate)
	failed := 0
	for range 2 {
		if err := <-results; err != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Error("the caller who stayed was failed by the one who left")
	}
}

func TestDisabledUserEndsTheSession(t *testing.T) {
	f := newFixture(t)
	g := f.start(t)
	f.people.gone.Store(true)
	if _, err := f.refresh(t, g.RefreshToken); outcome(err) != "ended" {
		t.Errorf("refresh: %v", err)
	}
	f.people.gone.Store(false)
	if _, err := f.refresh(t, g.RefreshToken); outcome(err) != "ended" {
		t.Errorf("after the user is back the old session lives: %v", err)
	}
	s, err := f.store.Get(t.Context(), g.Session.ID)
	if err != nil || s.End.Reason != wire.ReasonUserDisabled {
		t.Errorf("end %+v, %v", s.End, err)
	}
}

func TestForgedTokensTouchNoStore(t *testing.T) {
	f := newFixture(t)
	raw := f.start(t).RefreshToken
	forged := raw[:len(raw)-6] + strings.Repeat("A", 6)
	if _, err := f.Open(t.Context(), forged); !errors.Is(err, session.ErrNotAuthentic) {
		t.Errorf("error %v", err)
	}
	if f.store.gets.Load()+f.store.moves.Load() != 0 {
		t.Error("a forged token made the store work")
	}
}

func TestAccessLifetimesAreSpread(t *testing.T) {
	f := newFixture(t)
	seen := map[int64]int{}
	raw := f.start(t).RefreshToken
	for range 300 {
		g, err := f.refresh(t, raw)
		if err != nil {
			t.Fatal(err)
		}
		raw = g.RefreshToken
		seen[g.ExpiresIn]++
		if g.ExpiresIn > 900 || g.ExpiresIn < 855 {
			t.Fatalf("lifetime %d s, want 855 to 900", g.ExpiresIn)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d different lifetimes in 300 answers: fleets would renew in step", len(seen))
	}
}

func TestSweepTakesOnlyWhatIsLongOver(t *testing.T) {
	f := newFixture(t)
	ended, idle := f.start(t), f.start(t)
	if err := f.End(t.Context(), ended.Session.ID, wire.ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	sweep := func(want int) {
		t.Helper()
		if n, err := f.Sweep(t.Context()); err != nil || n != want {
			t.Errorf("swept %d, %v; want %d", n, err, want)
		}
	}
	sweep(0)
	f.advance(session.Retention + time.Second)
	sweep(1) // the ended one
	f.advance(11 * 24 * time.Hour)
	live := f.start(t)
	sweep(0) // expired a moment ago: a clock that jumped may come back
	f.advance(session.Retention)
	sweep(1)
	if _, err := f.store.Get(t.Context(), idle.Session.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the expired session: %v", err)
	}
	if _, err := f.refresh(t, live.RefreshToken); err != nil {
		t.Errorf("a living session: %v", err)
	}
}

func TestEndAllSparesTheOneNamed(t *testing.T) {
	f := newFixture(t)
	var grants []session.Grant
	for range 5 {
		f.advance(time.Millisecond)
		grants = append(grants, f.start(t))
	}
	if err := f.EndAll(t.Context(), "u1", wire.ReasonSignedOut, grants[2].Session.ID); err != nil {
		t.Fatal(err)
	}
	list, err := f.List(t.Context(), "u1")
	if err != nil || len(list) != 1 || list[0].ID != grants[2].Session.ID {
		t.Errorf("left: %v, %v", list, err)
	}
}

func TestSessionIDsAreOrderedUUIDs(t *testing.T) {
	f := newFixture(t)
	last := ""
	for range 50 {
		f.advance(time.Millisecond)
		id := f.start(t).Session.ID.String()
		if id <= last || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("id %s after %s: want ordered UUIDs of version 7 (RFC 9562 §5.7)", id, last)
		}
		last = id
	}
}

// While the clock is wrong, sessions look expired that are not. They must be
// there when it is right again.
func TestNothingIsSweptWhileTheClockHasJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var jump atomic.Int64
		f.with(func(c *session.Config) {
			c.Clock = func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
		})
		g := f.start(t)
		go f.RunSweeper(t.Context())
		synctest.Wait() // it has begun, with the right time
		jump.Store(int64(365 * 24 * time.Hour))
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if _, err := f.store.Get(t.Context(), g.Session.ID); err != nil {
			t.Fatalf("swept by a clock that jumped: %v", err)
		}
		jump.Store(0)
		if _, err := f.refresh(t, g.RefreshToken); err != nil {
			t.Errorf("with the clock right again: %v", err)
		}
		time.Sleep(14*24*time.Hour + session.Retention + time.Hour) // really
		synctest.Wait()
		if _, err := f.store.Get(t.Context(), g.Session.ID); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("not swept in the end: %v", err)
		}
	})
}

// A password that changes while a session is being made has ended the sessions of
// before: this one must not be left.
func TestASignInThatANewPasswordOvertakes(t *testing.T) {
	for name, at := range map[string]int{"before the session is made": 1, "after it": 2} {
		f := newFixture(t)
		looked := 0
		f.people.look = func(u *session.User) {
			if looked++; looked >= at {
				u.Credentials = 1
			}
		}
		if _, err := f.Start(t.Context(), signIn); !errors.Is(err, session.ErrVoid) {
			t.Errorf("%s: %v", name, err)
		}
		if list, err := f.List(t.Context(), "u1"); err != nil || len(list) != 0 {
			t.Errorf("%s: %d sessions live, %v", name, len(list), err)
		}
	}
}
