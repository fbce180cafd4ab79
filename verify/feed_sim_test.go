package verify_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/verify"
)

// simulation is a resource server with a skewed clock behind a faulty network,
// some users who behave, and thieves who go on using tokens of sessions that have
// ended or grants that were taken away.
type simulation struct {
	t      *testing.T
	rng    *rand.Rand
	issuer *feedIssuer
	v      *verify.Verifier
	feed   *verify.Feed
	maxLag time.Duration
	ttl    time.Duration
	users  []*simUser
	calm   time.Time // no fault since then

	accepted, refused, unavailable, renewed int
}

type simUser struct {
	session, sub string
	version      int64
	token        string
	versionOf    int64     // of token
	expires      time.Time // by the issuer's clock
	ended        time.Time // real time; zero: lives
	changed      time.Time // real time of the last change
}

func (s *simulation) issue(u *simUser) {
	now := s.issuer.now()
	u.expires, u.versionOf = now.Add(s.ttl), u.version
	u.token = signEd(header(nil), claims(object{
		"sub": u.sub, "sid": u.session, "iat": now.Unix(), "exp": u.expires.Unix(), "grants_version": u.version,
		"jti": fmt.Sprint(s.rng.Int64()),
	}))
}

func (s *simulation) newUser(i int) *simUser {
	u := &simUser{session: fmt.Sprintf("ses_%d_%d", i, s.rng.Int64()), sub: fmt.Sprintf("usr_%d", i), version: 1}
	s.issue(u)
	return u
}

// request is one request of a user, who renews on a 401 as clients do.
func (s *simulation) request(u *simUser) {
	_, err := s.v.Verify(s.t.Context(), u.token)
	now := time.Now()
	switch {
	case errors.Is(err, verify.ErrUnavailable):
		s.unavailable++
		if quiet := now.Sub(s.calm); quiet > 50*time.Second {
			s.t.Fatalf("503 although nothing has gone wrong for %v: lag %v", quiet, s.feed.Lag())
		}
	case err == nil:
		s.accepted++
		if !u.ended.IsZero() && now.Sub(u.ended) > s.maxLag {
			s.t.Fatalf("accepted a session that ended %v ago", now.Sub(u.ended))
		}
		if u.versionOf < u.version && now.Sub(u.changed) > s.maxLag {
			s.t.Fatalf("accepted grants that changed %v ago", now.Sub(u.changed))
		}
	case u.ended.IsZero(): // honest, and refused: renewing must help at once
		s.renewed++
		if errors.Is(err, verify.ErrSessionEnded) {
			s.t.Fatalf("a living session was refused: %v", err)
		}
		s.issue(u)
		if _, err := s.v.Verify(s.t.Context(), u.token); errors.Is(err, verify.ErrInvalidToken) {
			s.t.Fatalf("an honest user was refused with a new token: %v", err)
		}
	default:
		s.refused++
	}
}

// happen lets something happen at the issuer.
func (s *simulation) happen() {
	i := s.rng.IntN(len(s.users))
	u := s.users[i]
	switch s.rng.IntN(3) {
	case 0: // the session ends; its tokens live on in a thief's hands
		if u.ended.IsZero() {
			u.ended = time.Now()
			s.issuer.end(u.session)
		} else if time.Since(u.ended) > 2*s.ttl {
			s.users[i] = s.newUser(i)
			s.users[i].version = u.version
			s.issue(s.users[i])
		}
	default:
		u.version++
		u.changed = time.Now()
		s.issuer.change(u.sub, u.version)
	}
}

// disturb begins or ends a fault.
func (s *simulation) disturb() {
	s.calm = time.Now()
	f := s.issuer
	switch s.rng.IntN(8) {
	case 0, 1:
		f.cut()
	case 2:
		f.with(func(f *feedIssuer) { f.down = true })
		f.cut()
	case 3:
		f.with(func(f *feedIssuer) { f.delay = time.Duration(s.rng.Int64N(int64(2 * time.Minute))) })
	case 4:
		f.with(func(f *feedIssuer) { f.mute = true })
	case 5: // restarted, with only the newest events at hand
		f.cut()
		f.with(func(f *feedIssuer) {
			for len(f.log) > 0 && f.log[0].at.Before(f.now().Add(-s.ttl-5*time.Minute)) {
				f.pruned, f.log = f.log[0].seq, f.log[1:]
			}
		})
	default:
		s.calmDown()
	}
}

func (s *simulation) calmDown() {
	s.issuer.with(func(f *feedIssuer) { f.down, f.mute, f.delay = false, false, 0 })
}

// However the feed is cut, delayed, silenced, repeated, shuffled or restarted,
// and however the clocks differ within a minute: nobody is served for longer than
// MaxLag after the end of a session or a change of grants, and no honest user is
// ever refused.
func TestFeedUnderFaults(t *testing.T) {
	seeds := 24
	if testing.Short() {
		seeds = 8
	}
	var total simulation
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := &simulation{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), ttl: 2 * time.Minute, maxLag: 45 * time.Second}
			synctest.Test(t, func(t *testing.T) {
				s.t = t
				s.run(time.Duration(s.rng.IntN(121)-60)*time.Second, 20*time.Minute)
			})
			total.accepted += s.accepted
			total.refused += s.refused
			total.renewed += s.renewed
			total.unavailable += s.unavailable
		})
	}
	t.Logf("%d requests accepted, %d thieves refused, %d renewals, %d answers 503", total.accepted, total.refused, total.renewed, total.unavailable)
	if !t.Failed() && (total.accepted == 0 || total.refused == 0 || total.renewed == 0 || total.unavailable == 0) {
		t.Error("the simulation did not exercise everything")
	}
}

func (s *simulation) run(skew, length time.Duration) {
	s.issuer = &feedIssuer{ttl: s.ttl, rng: rand.New(rand.NewPCG(s.rng.Uint64(), 2))}
	skewed := func() time.Time { return time.Now().Add(skew) } // relative to the issuer
	s.feed = newFeed(s.t, s.issuer, verify.FeedConfig{MaxLag: s.maxLag, Clock: skewed})
	s.v = newVerifier(s.t, verify.Config{Liveness: s.feed, Clock: skewed})
	for i := range 20 {
		s.users = append(s.users, s.newUser(i))
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	go func() { _ = s.feed.Run(ctx) }()
	start := time.Now()
	s.calm = start
	for time.Since(start) < length {
		time.Sleep(time.Duration(s.rng.IntN(1000)) * time.Millisecond)
		if s.rng.IntN(10) == 0 {
			s.happen()
		}
		if s.rng.IntN(60) == 0 {
			s.disturb()
		}
		if faulty := s.issuer.faulty(); faulty {
			s.calm = time.Now()
		}
		s.request(s.users[s.rng.IntN(len(s.users))])
	}
	// In the end everything heals, and everything is known.
	s.calmDown()
	time.Sleep(3 * time.Minute)
	for _, u := range s.users {
		_, err := s.v.Verify(s.t.Context(), u.token)
		if want := !u.ended.IsZero(); errors.Is(err, verify.ErrSessionEnded) != want && !errors.Is(err, verify.ErrExpired) {
			s.t.Fatalf("after healing: %v, session ended: %v", err, want)
		}
	}
	cancel()
	s.issuer.cut()
	time.Sleep(5 * time.Minute)
}

// faulty reports whether a fault is going on now.
func (f *feedIssuer) faulty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down || f.mute || f.delay > 0
}
