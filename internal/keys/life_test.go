package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/rotation"
)

// The same promise as in the tests of Plan, with real rings, real tokens and
// other people's libraries.
func TestRingsAcceptEachOthersTokens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, c := &memory{}, newClock()
		cfg := config(t, s, c)
		cfg.Policy = Policy{Algorithm: EdDSA, Period: 3 * time.Hour, Lead: time.Hour, Access: 30 * time.Minute, Refresh: 2 * time.Hour}
		rings := []*Ring{open(t, cfg), open(t, cfg)}
		set, cached := rings[0].JWKS(), c.now()
		type token struct {
			access, refresh string
			kid             uint32
			sum             []byte
			at              time.Time
		}
		var out []token
		for range rapid.IntRange(20, 45).Draw(rt, "steps") {
			c.add(time.Duration(rapid.Int64Range(int64(8*time.Minute), int64(15*time.Minute)).Draw(rt, "step")))
			for _, r := range rings {
				if err := r.Refresh(t.Context()); err != nil {
					rt.Fatal(err)
				}
			}
			if c.now().Sub(cached) >= rings[0].JWKSMaxAge() {
				set, cached = rings[1].JWKS(), c.now()
			}
			r := rapid.SampledFrom(rings).Draw(rt, "mints")
			cl := claims(c.now())
			cl.ExpiresAt = c.now().Add(cfg.Policy.Access).Unix()
			access, err := r.Sign(cl)
			if err != nil {
				rt.Fatal(err)
			}
			kid, sum := r.SignLabelled("l", []byte(access))
			out = append(out, token{access, rotation.Seal(r.MAC(), rotation.Token{}), kid, sum, c.now()})
			checked := false
			for _, tok := range out {
				age := c.now().Sub(tok.at)
				if age < cfg.Policy.Access-time.Second && !checked { // the oldest that lives: signatures are slow to check
					checked = true
					if _, err := verifyWith(set, tok.access, c.now()); err != nil {
						rt.Fatalf("an access token %v old is refused: %v", age, err)
					}
				}
				for _, r := range rings {
					if age >= cfg.Policy.Refresh {
						continue
					}
					if _, err := rotation.Open(r.MACKey, tok.refresh); err != nil {
						rt.Fatalf("a refresh token %v old is refused: %v", age, err)
					}
					if !r.VerifyLabelled("l", tok.kid, []byte(tok.access), tok.sum) {
						rt.Fatalf("a labelled MAC %v old is refused", age)
					}
				}
			}
		}
		if len(s.ring) > 8 {
			rt.Fatalf("%d keys pile up", len(s.ring))
		}
	})
}

func TestLabelsSeparate(t *testing.T) {
	s, c := &memory{}, newClock()
	r := open(t, config(t, s, c))
	kid, sum := r.SignLabelled("csrf", []byte("message"))
	for name, ok := range map[string]bool{
		"another label":   r.VerifyLabelled("csrg", kid, []byte("message"), sum),
		"shifted label":   r.VerifyLabelled("csr", kid, []byte("fmessage"), sum),
		"another message": r.VerifyLabelled("csrf", kid, []byte("messagf"), sum),
		"unknown key":     r.VerifyLabelled("csrf", kid+1, []byte("message"), sum),
		"signing key":     r.VerifyLabelled("csrf", 1, []byte("message"), sum),
		"too short":       r.VerifyLabelled("csrf", kid, []byte("message"), sum[:MinSum-1]),
		"empty":           r.VerifyLabelled("csrf", kid, []byte("message"), nil),
		"too long":        r.VerifyLabelled("csrf", kid, []byte("message"), append(sum[:32:32], 0)),
		"flipped":         r.VerifyLabelled("csrf", kid, []byte("message"), append(append([]byte(nil), sum[:31]...), sum[31]^1)),
		"of a zero key":   r.VerifyLabelled("csrf", kid+1, []byte("message"), labelled(rotation.Key{}, "csrf", []byte("message"))),
	} {
		if ok {
			t.Errorf("%s: accepted", name)
		}
	}
	if !r.VerifyLabelled("csrf", kid, []byte("message"), sum) {
		t.Error("the right one is refused")
	}
}

func TestRotateByHand(t *testing.T) {
	s, c := &memory{}, newClock()
	r := open(t, config(t, s, c))
	old := r.MAC().ID
	made, err := r.Rotate(t.Context(), false)
	if err != nil || len(made) != 2 || made[0].State != StateAnnounced || made[0].KeyID == "" || made[1].KeyID != "" {
		t.Fatalf("%+v, %v", made, err)
	}
	if r.MAC().ID != old {
		t.Error("an announced key is used at once")
	}
	c.add(DefaultLead)
	if r.MAC().ID != rotation.KeyID(made[1].ID) {
		t.Error("the new key does not take over after the lead time")
	}
	made, err = r.Rotate(t.Context(), true)
	if err != nil || len(made) != 2 || made[1].State != StateActive || r.MAC().ID != rotation.KeyID(made[1].ID) {
		t.Errorf("at once: %+v, %v", made, err)
	}
	token, err := r.Sign(claims(c.now()))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := verifyWith(r.JWKS(), token, c.now()); err != nil || got.Header["kid"] != made[0].KeyID {
		t.Errorf("signed by %v, want %s: %v", got.Header["kid"], made[0].KeyID, err)
	}
	for _, i := range r.List() {
		if want := map[bool]State{true: StateActive, false: StateRetired}[i.ID >= made[0].ID]; i.State != want {
			t.Errorf("key %d is %s, want %s", i.ID, i.State, want)
		}
	}
}

func TestListSaysWhenAKeyGoes(t *testing.T) {
	s, c := &memory{}, newClock()
	cfg := config(t, s, c)
	r := open(t, cfg)
	if _, err := r.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c.add(DefaultLead / 4)
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range r.List() {
		switch {
		case i.State == StateActive && (!i.RetiredAt.IsZero() || !i.DropAt.IsZero()),
			i.State == StateRetired && i.DropAt.Sub(i.RetiredAt) != r.cfg.Policy.retention(i.Use):
			t.Errorf("%+v", i)
		}
	}
}

func TestAnOutageLeavesTheKeysInUse(t *testing.T) {
	s, c := &memory{}, newClock()
	r := open(t, config(t, s, c))
	id := r.MAC().ID
	s.fail = errors.New("disk on fire")
	if err := r.Refresh(t.Context()); !errors.Is(err, s.fail) {
		t.Errorf("got %v", err)
	}
	if r.MAC().ID != id {
		t.Error("the key changed")
	}
	if _, err := Open(t.Context(), config(t, s, c)); !errors.Is(err, s.fail) {
		t.Errorf("a new process: %v", err)
	}
}

// racing is a store in which somebody else is always faster.
type racing struct {
	memory
	losses int
}

func (s *racing) Replace(ctx context.Context, version int64, ring []Key, ev ...events.Event) error {
	if s.losses > 0 {
		s.losses--
		return ErrConflict
	}
	return s.memory.Replace(ctx, version, ring, ev...)
}

func TestConflictsAreTriedAgainBounded(t *testing.T) {
	c := newClock()
	if _, err := Open(t.Context(), config(t, &racing{losses: maxConflicts - 1}, c)); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), config(t, &racing{losses: maxConflicts}, c)); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v", err)
	}
}

// A store that forgot its last write (a failover) costs nothing: the key that
// is gone had not been used.
func TestAStoreThatForgetsAnAnnouncement(t *testing.T) {
	s, c := &memory{}, newClock()
	r := open(t, config(t, s, c))
	ring, version := s.ring, s.version
	if _, err := r.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	token := rotation.Seal(r.MAC(), rotation.Token{})
	s.ring, s.version = ring, version
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := rotation.Open(r.MACKey, token); err != nil || len(r.List()) != 2 {
		t.Errorf("%v, %d keys", err, len(r.List()))
	}
}

func TestFindMACKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &memory{}, newClock()
		a, b := open(t, config(t, s, c)), open(t, config(t, s, c))
		made, err := a.Rotate(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		id := rotation.KeyID(made[1].ID)
		if _, ok := b.MACKey(id); ok {
			t.Fatal("b knows the key already")
		}
		loads := s.loads
		for _, unknown := range []rotation.KeyID{0, 1, id + idWindow, 1 << 31, 1<<32 - 1} {
			if _, ok, err := b.FindMACKey(t.Context(), unknown); ok || err != nil {
				t.Errorf("id %d: %v, %v", unknown, ok, err)
			}
		}
		if s.loads != loads {
			t.Errorf("ids that cannot be cost %d readings", s.loads-loads)
		}
		if k, ok, err := b.FindMACKey(t.Context(), id); err != nil || !ok || k != a.MAC() {
			t.Errorf("the other process's key is not found: %v, %v", ok, err)
		}
		if s.loads != loads+1 {
			t.Errorf("%d readings, want 1", s.loads-loads)
		}
	})
}

// A thousand tokens under a key that does not exist cost a few readings, and
// an honest one among them is still found in one that began after it came.
func TestUnknownKeysAreLookedUpSparingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &memory{}, newClock()
		a, b := open(t, config(t, s, c)), open(t, config(t, s, c))
		loads, start := s.loads, time.Now()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if _, ok, err := b.FindMACKey(t.Context(), 9); ok || err != nil && !errors.Is(err, ErrBusy) {
					t.Errorf("%v, %v", ok, err)
				}
			})
		}
		time.Sleep(500*time.Millisecond + time.Microsecond)
		made, err := a.Rotate(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := b.FindMACKey(t.Context(), rotation.KeyID(made[1].ID)); !ok && !errors.Is(err, ErrBusy) {
			t.Errorf("the real key is not found: %v", err)
		}
		wg.Wait()
		if got, most := s.loads-loads, int(time.Since(start)/readGap)+3; got > most {
			t.Errorf("%d readings, want at most %d", got, most)
		}
	})
}

func TestLookingUpGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &memory{}, newClock()
		r := open(t, config(t, s, c))
		s.fail = errors.New("disk on fire")
		if _, _, err := r.FindMACKey(t.Context(), 3); !errors.Is(err, s.fail) {
			t.Errorf("outage: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), readGap/2)
		defer cancel()
		if _, _, err := r.FindMACKey(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient caller: %v", err)
		}
		time.Sleep(readGap)
		synctest.Wait()
		var wg sync.WaitGroup
		busy := 0
		var mu sync.Mutex
		for range maxWaiting + 10 {
			wg.Go(func() {
				if _, _, err := r.FindMACKey(t.Context(), 3); errors.Is(err, ErrBusy) {
					mu.Lock()
					busy++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if busy > 10 {
			t.Errorf("%d callers were turned away", busy)
		}
	})
}

func TestRunKeepsTheRingUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{}
		cfg := config(t, s, nil)
		cfg.Clock = time.Now
		cfg.Policy = Policy{Period: 24 * time.Hour, Access: 15 * time.Minute, Refresh: 12 * time.Hour}
		a, b := open(t, cfg), open(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, r := range []*Ring{a, b} {
			wg.Go(func() { r.Run(ctx) })
		}
		outage := errors.New("disk on fire")
		seen := map[rotation.KeyID]bool{}
		for hour := range 52 {
			time.Sleep(time.Hour)
			s.mu.Lock()
			if s.fail = nil; hour%7 == 3 {
				s.fail = outage
			}
			s.mu.Unlock()
			seen[a.MAC().ID] = true
			if a.MAC().ID != b.MAC().ID {
				t.Errorf("hour %d: keys %d and %d are used at once", hour, a.MAC().ID, b.MAC().ID)
			}
		}
		cancel()
		wg.Wait()
		if len(seen) != 3 {
			t.Errorf("%d MAC keys were used in 52 hours, want 3: %v", len(seen), seen)
		}
		if n := len(a.List()); n > 5 {
			t.Errorf("%d keys are left", n)
		}
	})
}

// For the race detector: everything at once.
func TestConcurrentUse(t *testing.T) {
	s, c := &memory{}, newClock()
	r := open(t, config(t, s, c))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				switch (i + n) % 4 {
				case 0:
					c.add(time.Minute)
					if err := r.Refresh(t.Context()); err != nil {
						t.Error(err)
					}
				case 1:
					if token, err := r.Sign(claims(c.now())); err != nil || token == "" {
						t.Error(err)
					}
				case 2:
					if k := r.MAC(); k.ID == 0 {
						t.Error("no MAC key")
					} else if _, ok := r.MACKey(k.ID); !ok {
						t.Error("the current key is unknown")
					}
				default:
					if len(r.List()) < 2 || len(r.JWKS()) == 0 || len(r.PublicKeys()) == 0 {
						t.Error("empty ring")
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestPolicyIsChecked(t *testing.T) {
	good := testPolicy().withDefaults()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Policy){
		"algorithm":     func(p *Policy) { p.Algorithm = "none" },
		"access":        func(p *Policy) { p.Access = 0 },
		"refresh":       func(p *Policy) { p.Refresh = -1 },
		"skew":          func(p *Policy) { p.Skew = -1 },
		"skew and lead": func(p *Policy) { p.Skew = p.Lead/4 + 1 },
		"lead":          func(p *Policy) { p.Lead = time.Millisecond },
		"period":        func(p *Policy) { p.Period = 2*p.Lead - 1 },
	} {
		p := good
		change(&p)
		cfg := config(t, &memory{}, newClock())
		if cfg.Policy = p; p.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
		if name == "access" {
			if _, err := Open(t.Context(), cfg); err == nil {
				t.Error("Open does not check the policy")
			}
		}
	}
	for _, lead := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
		p := Policy{Lead: lead, Access: time.Second}.withDefaults()
		if err := p.Validate(); err != nil {
			t.Error(fmt.Errorf("defaults do not fit a lead time of %v: %w", lead, err))
		}
	}
}
