package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Hashes made by the reference implementation of Argon2 (its command line tool
// and RFC 9106 agree on the format).
func TestForeignHashesAreUnderstood(t *testing.T) {
	d := newDirectory(newMemory())
	// From the PHC winner's own test vectors: argon2id, v=19, m=2^16, t=2, p=1.
	const stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, outdated, err := d.hasher.verify(t.Context(), stored, "password")
	if !ok || !outdated || err != nil {
		t.Errorf("%v, %v, %v", ok, outdated, err)
	}
	if ok, _, _ := d.hasher.verify(t.Context(), stored, "passwore"); ok {
		t.Error("a wrong password fits")
	}
}

func TestDamagedHashesFitNoPassword(t *testing.T) {
	d := newDirectory(newMemory())
	good, err := d.hasher.hash(t.Context(), "alice-password")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"", "x", strings.TrimPrefix(good, "$"), good + "$", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=64", "m=1", 1), strings.Replace(good, "m=64", "m=4294967295", 1), strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "t=1", "t=4000000000", 1),
		strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "m=64", "m=064", 1), good[:len(good)-40], good + "=",
	} {
		if _, err := parsePHC(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
		if ok, _, err := d.hasher.verify(t.Context(), s, "alice-password"); ok || err != nil {
			t.Errorf("%q: %v, %v", s, ok, err)
		}
	}
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=64,t=1,p=1,x$$")
	f.Add("$argon2id$v=19$m=-1,t=1,p=300$c29tZXNhbHQ$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Errorf("%q is read as %q", s, p.String())
		}
		if p.Memory > maxMemory || p.Time > maxTime || p.Threads == 0 {
			t.Errorf("%q costs too much", s)
		}
	})
}

// Spellings that look and are typed alike are one password; a changed cost is
// applied at the next sign-in, and only then.
func TestRehashAtSignIn(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	u := add(t, d, "alice", "pässword-1")
	if _, err := d.Authenticate(t.Context(), "alice", "pa\u0308ssword-1"); err != nil {
		t.Error(err)
	}
	before := m.users[u.ID].PasswordHash
	d.hasher.params.Time = 2
	if _, err := d.Authenticate(t.Context(), "alice", "wrong-password"); !errors.Is(err, ErrInvalidCredentials) || m.users[u.ID].PasswordHash != before {
		t.Errorf("a wrong password: %v, hash changed %v", err, m.users[u.ID].PasswordHash != before)
	}
	if _, err := d.Authenticate(t.Context(), "alice", "pässword-1"); err != nil {
		t.Fatal(err)
	}
	after := m.users[u.ID].PasswordHash
	if !strings.Contains(after, "t=2") {
		t.Errorf("the hash was not made again: %q", after)
	}
	if _, err := d.Authenticate(t.Context(), "alice", "pässword-1"); err != nil || m.users[u.ID].PasswordHash != after {
		t.Errorf("made again without need: %v", err)
	}
	if len(m.events) != 0 || m.users[u.ID].GrantsVersion != 1 {
		t.Error("a new hash counts as a change of grants")
	}
}

// A password that is changed while the old one is being checked stays changed.
func TestRehashDoesNotUndoANewPassword(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	u := add(t, d, "alice", "old-password")
	d.hasher.params.Time = 2
	m.onRead = func() {
		m.onRead = nil
		if err := d.SetPassword(t.Context(), u.ID, "new-password"); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Authenticate(t.Context(), "alice", "old-password"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Authenticate(t.Context(), "alice", "new-password"); err != nil {
		t.Errorf("the new password is gone: %v", err)
	}
}

// Unknown, disabled and impossible names cost the same hash as known ones.
func TestEveryAttemptCostsOneHash(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	add(t, d, "alice", "alice-password")
	if err := d.Disable(t.Context(), add(t, d, "gone", "gone-password").ID); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"alice", "alice-password"}, {"alice", "x"}, {"gone", "gone-password"}, {"nobody", "x"}, {"no body", "x"}, {"alice", strings.Repeat("x", MaxPassword+1)}} {
		// With every slot taken, an attempt that does no work would come back.
		for range cap(d.hasher.slots) {
			d.hasher.slots <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := d.Authenticate(ctx, c[0], c[1])
		cancel()
		for range cap(d.hasher.slots) {
			<-d.hasher.slots
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%.20q answers without a hash: %v", c, err)
		}
	}
	if got := d.hasher.dummy.params(); got != cheap.params() {
		t.Errorf("unknown names cost %s, known ones %s", got, cheap.params())
	}
}

func TestManySignInsAtOnce(t *testing.T) {
	m := newMemory()
	d := New(Config{Store: m, Clock: func() time.Time { return epoch }, Rand: zeroes{}, Hash: cheap, Parallel: 2})
	add(t, d, "alice", "alice-password")
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			name, want := "alice", error(nil)
			if i%2 == 0 {
				name, want = fmt.Sprint("nobody", i), ErrInvalidCredentials
			}
			if _, err := d.Authenticate(t.Context(), name, "alice-password"); !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
			if n := len(d.hasher.slots); n > 2 {
				t.Errorf("%d hashes at once", n)
			}
		})
	}
	wg.Wait()
}

// zeroes is a random source for tests that do not care.
type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { clear(b); return len(b), nil }
