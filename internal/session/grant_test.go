package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// readableKeys sign in plain text.
type readableKeys struct{ session.Keys }

func (readableKeys) Sign(c wire.AccessClaims) (string, error) {
	b, err := json.Marshal(c)
	return string(b), err
}

// granted are people with fixed grants.
type granted struct {
	session.Directory
	scope string
	roles []string
}

func (d granted) User(ctx context.Context, id string) (session.User, error) {
	u, err := d.Directory.User(ctx, id)
	u.Scope, u.Roles = d.scope, d.roles
	return u, err
}

func (d granted) Grants(ctx context.Context, id string) (session.User, error) { return d.User(ctx, id) }

func claimsOf(t *testing.T, g session.Grant) (c wire.AccessClaims) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.AccessToken), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// However many tokens somebody has got hold of, one overlap gives one access
// token, at every node (PROTOCOL.md §9).
func TestOneAccessTokenPerOverlap(t *testing.T) {
	f := newFixture(t).with(func(c *session.Config) { c.Keys = readableKeys{c.Keys} })
	nodes := []*session.Service{f.Service, session.New(f.cfg)}
	parent := f.open(t, f.start(t))
	siblings := []rotation.Token{parent}
	for range 40 {
		g, err := f.Refresh(t.Context(), presented(parent))
		if err != nil {
			t.Fatal(err)
		}
		siblings = append(siblings, f.open(t, g))
		f.advance(10 * time.Millisecond)
	}
	if _, err := f.Refresh(t.Context(), presented(siblings[len(siblings)-1])); err != nil {
		t.Fatal(err)
	}
	tokens := map[string]int{}
	for range 9 {
		f.advance(time.Second)
		for i, tok := range siblings[:len(siblings)-1] {
			g, err := nodes[i%2].Refresh(t.Context(), presented(tok))
			if err != nil || g.RefreshToken != "" {
				t.Fatalf("%q, %v", g.RefreshToken, err)
			}
			if c := claimsOf(t, g); c.ExpiresAt != f.cfg.Clock().Unix()+g.ExpiresIn || g.ExpiresIn < 14*60 {
				t.Fatalf("lives for %d s, ends at %d", g.ExpiresIn, c.ExpiresAt)
			}
			tokens[g.AccessToken]++
		}
	}
	if len(tokens) != 1 {
		t.Errorf("%d access tokens in one overlap, want one", len(tokens))
	}
}

// What is bound differently, or has other grants, is another token.
func TestTokensOfAnOverlapAreAsGoodAsOnesOwn(t *testing.T) {
	f, _, people := newSharedFixture(t)
	f.with(func(c *session.Config) { c.Keys = readableKeys{c.Keys} })
	parent := f.open(t, f.start(t))
	g, err := f.Refresh(t.Context(), presented(parent))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Refresh(t.Context(), presented(f.open(t, g))); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	add := func(what string, p session.Presentation) {
		t.Helper()
		g, err := f.Refresh(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		id := claimsOf(t, g).ID
		if other, ok := seen[id]; ok {
			t.Errorf("%s: has the identifier of the one %s", what, other)
		}
		seen[id] = what
	}
	add("without a key", presented(parent))
	p := presented(parent)
	p.Binding.ProofKey = "key-1"
	add("with a key", p)
	p.Binding = session.Binding{EncryptionKey: "key-1"}
	add("encrypted", p)
	people.version.Add(1)
	add("after a change of grants", presented(parent))
}

// A token that would be at its end, or come from the future, is a new one.
func TestAnOverlapLongerThanAnAccessToken(t *testing.T) {
	for _, passed := range []time.Duration{-time.Hour, 3 * time.Second} {
		f := newFixture(t).with(func(c *session.Config) {
			c.Keys, c.Lifetimes.Access = readableKeys{c.Keys}, 4*time.Second
		})
		parent := f.open(t, f.start(t))
		if _, err := f.refresh(t, f.mustRefresh(t, rotation.Seal(f.cfg.Keys.MAC(), parent)).RefreshToken); err != nil {
			t.Fatal(err)
		}
		f.advance(passed)
		g, err := f.Refresh(t.Context(), presented(parent))
		if err != nil {
			t.Fatal(err)
		}
		if c := claimsOf(t, g); g.ExpiresIn != 4 || c.IssuedAt != f.cfg.Clock().Unix() {
			t.Errorf("%v after the head: lives for %d s, from %d on", passed, g.ExpiresIn, c.IssuedAt)
		}
	}
}

// Everything that a response is bound to is in its one token.
func TestAllBindingsAreInTheToken(t *testing.T) {
	f := newFixture(t).with(func(c *session.Config) { c.Keys = readableKeys{c.Keys} })
	in := signIn
	in.Binding = session.Binding{ProofKey: "proof", EncryptionKey: "encryption", Carried: true}
	g, err := f.Start(t.Context(), in)
	for i := range 3 {
		if err != nil {
			t.Fatal(err)
		}
		c := claimsOf(t, g)
		if c.Confirmation == nil || c.Confirmation.KeyThumbprint != "proof" || c.EncryptionKey != "encryption" || g.TokenType != "DPoP" || !g.Carried || g.RefreshToken != "" {
			t.Fatalf("response %d: %+v", i, c)
		}
		tok, err2 := session.FromCarried(c.SessionID, c.Chain)
		if err2 != nil {
			t.Fatal(err2)
		}
		g, err = f.Refresh(t.Context(), session.Presentation{Token: tok, Contact: home, Binding: in.Binding})
	}
}

func TestDetailsAreInTheToken(t *testing.T) {
	at := time.Unix(1_799_999_000, 0).UTC()
	for name, c := range map[string]struct {
		details session.Details
		scope   string // what the user may do
		want    wire.AccessClaims
	}{
		"none": {session.Details{}, "orders:* users:read", wire.AccessClaims{Scope: "orders:* users:read", Roles: []string{"clerk"}, Audience: "api"}},
		"less than the user may do": {session.Details{Limited: true, Scope: "openid orders:read"}, "orders:* users:read",
			wire.AccessClaims{Scope: "openid orders:read", Audience: "api"}},
		"roles": {session.Details{Limited: true, Scope: "roles orders:read"}, "*",
			wire.AccessClaims{Scope: "roles orders:read", Roles: []string{"clerk"}, Audience: "api"}},
		"more than the user may do": {session.Details{Limited: true, Scope: "* users:*"}, "orders:read users:read",
			wire.AccessClaims{Scope: "orders:read users:read", Audience: "api"}},
		"nothing": {session.Details{Limited: true}, "*", wire.AccessClaims{Audience: "api"}},
		"all of them": {session.Details{Limited: true, Scope: "orders:read", Audience: "https://other.example", ACR: "gold", AMR: "pwd otp", AuthTime: at}, "*",
			wire.AccessClaims{Scope: "orders:read", Audience: "https://other.example", ACR: "gold", AMR: []string{"pwd", "otp"}, AuthTime: at.Unix()}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.with(func(cfg *session.Config) {
				cfg.Keys, cfg.Audience = readableKeys{cfg.Keys}, "api"
				cfg.Directory = granted{cfg.Directory, c.scope, []string{"clerk"}}
			})
			in := signIn
			in.Details = c.details
			g, err := f.Start(t.Context(), in)
			for range 2 {
				if err != nil {
					t.Fatal(err)
				}
				got := claimsOf(t, g)
				if got.Scope != c.want.Scope || got.Audience != c.want.Audience || !slices.Equal(got.Roles, c.want.Roles) ||
					got.ACR != c.want.ACR || !slices.Equal(got.AMR, c.want.AMR) || got.AuthTime != c.want.AuthTime {
					t.Errorf("%+v", got)
				}
				if g.Scope != c.want.Scope {
					t.Errorf("the response says the scope is %q", g.Scope)
				}
				// What the session remembers is what was granted at the sign-in.
				want := c.details
				if want.Limited {
					want.Scope = c.want.Scope
				}
				if g.Session.Details != want.Encode() {
					t.Errorf("%+v", g.Session.Details)
				}
				g, err = f.Refresh(t.Context(), presented(f.open(t, g)))
			}
		})
	}
}

func TestDetailsCanBeReadAgain(t *testing.T) {
	if s := (session.Details{}).Encode(); s != "" {
		t.Errorf("an ordinary session keeps %q", s)
	}
	for _, d := range []session.Details{{}, {Limited: true}, {Limited: true, Scope: "a b", Audience: "c", ACR: "d", AMR: "e f", AuthTime: time.Unix(1, 0).UTC()}, {AMR: "pwd"}} {
		if got, err := session.DecodeDetails(d.Encode()); err != nil || got != d {
			t.Errorf("%s: %+v, %v", d.Encode(), got, err)
		}
	}
	if _, err := session.DecodeDetails("x"); err == nil || !strings.Contains(err.Error(), "details") {
		t.Error(err)
	}
}

// An agreement on encryption keeps what the token at hand has.
func TestRebind(t *testing.T) {
	f := newFixture(t).with(func(c *session.Config) { c.Keys = readableKeys{c.Keys} })
	g := f.start(t)
	end := time.Unix(claimsOf(t, g).ExpiresAt, 0)
	token, err := f.Rebind(g.Session, g.User, session.Binding{ProofKey: "proof", EncryptionKey: "encryption"}, "chain", end)
	if err != nil {
		t.Fatal(err)
	}
	c := claimsOf(t, session.Grant{AccessToken: token})
	if c.ExpiresAt != end.Unix() || c.SessionID != g.Session.ID.String() || c.Confirmation.KeyThumbprint != "proof" || c.EncryptionKey != "encryption" || c.Chain != "chain" {
		t.Errorf("%+v", c)
	}
	f.with(func(c *session.Config) { k := &countedKeys{Keys: c.Keys}; k.fail.Store(true); c.Keys = k })
	if _, err := f.Rebind(g.Session, g.User, session.Binding{}, "", end); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("without a key: %v", err)
	}
}
