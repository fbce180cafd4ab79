package session_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// countedKeys counts signatures and can be made to fail.
type countedKeys struct {
	session.Keys
	signed atomic.Int64
	fail   atomic.Bool
}

func (c *countedKeys) Sign(claims wire.AccessClaims) (string, error) {
	if c.fail.Load() {
		return "", errors.New("no key")
	}
	c.signed.Add(1)
	return c.Keys.Sign(claims)
}

// versioned are people whose grants can change.
type versioned struct {
	session.Directory
	version atomic.Int64
}

func (v *versioned) Grants(ctx context.Context, id string) (session.User, error) {
	u, err := v.Directory.Grants(ctx, id)
	u.GrantsVersion = v.version.Load()
	return u, err
}

func newSharedFixture(t *testing.T) (*fixture, *countedKeys, *versioned) {
	f := newFixture(t)
	keys, people := &countedKeys{Keys: f.cfg.Keys}, &versioned{Directory: f.people}
	return f.with(func(c *session.Config) { c.Keys, c.Directory = keys, people }), keys, people
}

func (f *fixture) mustRefresh(t *testing.T, raw string) session.Grant {
	t.Helper()
	g, err := f.refresh(t, raw)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAHerdSharesOneSignature(t *testing.T) {
	f, keys, _ := newSharedFixture(t)
	raw := f.start(t).RefreshToken
	keys.signed.Store(0)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { _, _ = f.refresh(t, raw) })
	}
	wg.Wait()
	first, second := f.mustRefresh(t, raw), f.mustRefresh(t, raw)
	// The first one is not known to have equals.
	if n := keys.signed.Load(); n > 2 {
		t.Errorf("%d signatures for 202 equal presentations of one second, want 2 at most", n)
	}
	if first.AccessToken != second.AccessToken || first.ExpiresIn != second.ExpiresIn {
		t.Error("equal presentations of one second got different access tokens, or different words about one")
	}
	if first.RefreshToken == second.RefreshToken {
		t.Error("equal presentations share a child: a thief among them would not be told apart")
	}
}

func TestASharedAccessTokenIsAsGoodAsOnesOwn(t *testing.T) {
	f, keys, people := newSharedFixture(t)
	raw := f.start(t).RefreshToken
	g := f.mustRefresh(t, raw)
	differs := func(what string, other session.Grant) {
		t.Helper()
		if other.AccessToken == g.AccessToken {
			t.Errorf("%s: the access token is that of an answer which it does not fit", what)
		}
		g = other
	}
	people.version.Add(1)
	differs("after a change of grants", f.mustRefresh(t, raw))
	f.advance(time.Second)
	differs("a second later", f.mustRefresh(t, raw))
	differs("another token of the session", f.mustRefresh(t, g.RefreshToken))

	f.advance(time.Second)
	keys.fail.Store(true)
	if _, err := f.refresh(t, g.RefreshToken); !errors.Is(err, session.ErrUnavailable) {
		t.Fatalf("without a key: %v, want ErrUnavailable", err)
	}
	keys.fail.Store(false)
	f.mustRefresh(t, g.RefreshToken) // a failure is not remembered
}
