package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/verify"
)

// cluster are nodes on one database behind servers of their own, and resource
// servers that fetch the key set from one of them.
type cluster struct {
	t         *testing.T
	nodes     []*App
	urls      []string
	verifiers map[string]*verify.Verifier
}

const testFeedToken = "feed-token-of-the-tests"

// newCluster opens n nodes; clock may be nil.
func newCluster(t *testing.T, n int, clock func() time.Time) *cluster {
	t.Helper()
	c := &cluster{t: t, verifiers: map[string]*verify.Verifier{}}
	url := pgtest.Shared(t).Schema(t)
	for range n {
		a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DatabaseURL: url, FeedToken: testFeedToken, Clock: clock,
			Sessions:  func(c *session.Config) { c.Directory = anyone{} },
			MasterKey: strings.Repeat("0123456789abcdef", 4), Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		t.Cleanup(func() { must(t, a.Close()) })
		srv := httptest.NewServer(a.Handler)
		t.Cleanup(srv.Close)
		t.Cleanup(srv.CloseClientConnections)
		c.nodes, c.urls = append(c.nodes, a), append(c.urls, srv.URL)
	}
	return c
}

// resourceServer checks tokens with the key set of node i, fetched by client (nil:
// the usual one).
func (c *cluster) resourceServer(name string, i int, clock func() time.Time, client *http.Client, feed bool) {
	c.t.Helper()
	set, err := verify.NewKeySet(verify.KeySetConfig{URL: c.urls[i] + "/.well-known/jwks.json", Clock: clock, Client: client})
	must(c.t, err)
	must(c.t, set.Refresh(c.t.Context()))
	cfg := verify.Config{Issuer: "http://localhost", Audience: "http://localhost", Keys: set, Clock: c.nodes[0].Config.Clock}
	if feed {
		f, err := verify.NewFeed(verify.FeedConfig{URL: c.urls[i] + "/auth/feed", Secret: testFeedToken, Keys: set})
		must(c.t, err)
		ctx, cancel := context.WithCancel(c.t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = f.Run(ctx) }) // ends with the test
		c.t.Cleanup(running.Wait)
		c.t.Cleanup(cancel)
		cfg.Liveness = f
	}
	v, err := verify.New(cfg)
	must(c.t, err)
	c.verifiers[name] = v
}

// accepted checks an access token everywhere: first where its key has to be asked
// for.
func (c *cluster) accepted(when, token string) {
	c.t.Helper()
	for name, v := range c.verifiers {
		if _, err := v.Verify(c.t.Context(), token); err != nil {
			c.t.Errorf("%s: resource server %s refuses a token of key %s: %v", when, name, kidOf(token), err)
		}
	}
	for i, node := range c.nodes {
		if _, err := node.Verifier.Verify(c.t.Context(), token); err != nil {
			c.t.Errorf("%s: node %d refuses a token of key %s: %v", when, i, kidOf(token), err)
		}
	}
}

func kidOf(token string) string {
	header, _, _ := strings.Cut(token, ".")
	var h struct{ Kid string }
	if json.NewDecoder(base64Reader(header)).Decode(&h) != nil || h.Kid == "" {
		return "none"
	}
	return h.Kid
}

// published answers a key set's fetches with what a node has in memory.
type published struct{ *keys.Ring }

func (p published) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(p.JWKS()))}, nil
}

// holder is a client of the sessions below.
type holder struct{ refresh, access string }

func (c *cluster) signIn(user string) *holder {
	c.t.Helper()
	g, err := c.nodes[0].Sessions.Start(c.t.Context(), session.SignIn{UserID: user, Client: session.Client{ID: "test"}})
	must(c.t, err)
	return &holder{g.RefreshToken, g.AccessToken}
}

// renew renews at a node; a refusal fails the test.
func (c *cluster) renew(h *holder, node *App) bool {
	c.t.Helper()
	t, err := node.Sessions.Open(c.t.Context(), h.refresh)
	if err != nil {
		c.t.Errorf("a refresh token was refused: %v", err)
		return false
	}
	g, err := node.Sessions.Refresh(c.t.Context(), session.Presentation{Token: t})
	if err != nil {
		c.t.Errorf("a renewal was refused: %v", err)
		return false
	}
	h.refresh, h.access = g.RefreshToken, g.AccessToken
	return true
}

// anyone is a directory in which everybody exists: the clock of a test may run
// for months.
type anyone struct{}

func (anyone) Authenticate(context.Context, string, string, session.Contact) (session.Identity, error) {
	return session.Identity{}, session.ErrInvalidCredentials
}
func (anyone) User(_ context.Context, id string) (u session.User, _ error) { u.ID = id; return u, nil }
func (a anyone) Grants(ctx context.Context, id string) (session.User, error) {
	return a.User(ctx, id)
}

// TestRotationAtOnceRefusesNobody: "key rotate --now" on one node, while clients
// renew on all of them and use their new tokens everywhere in the same moment.
func TestRotationAtOnceRefusesNobody(t *testing.T) {
	const clients, rounds, between = 6, 5, 60
	c := newCluster(t, 3, nil)
	c.nodes[0].Start()
	c.nodes[1].Start() // the third one hears of nothing: it must find out when it is asked
	// The cooldown of a key set, for which a rotation would have to wait, passes
	// between two of them; with the feed it does not matter.
	var own atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(own.Load())) }
	for i, name := range []string{"first", "second", "third"} {
		c.resourceServer(name, i, clock, nil, i == 1)
	}
	var renewed atomic.Int64
	var stop atomic.Bool
	var running sync.WaitGroup
	used := sync.Map{}
	for i := range clients {
		h := c.signIn("u" + string(rune('a'+i)))
		running.Go(func() {
			for n := i; !stop.Load() && !t.Failed(); n++ {
				if !c.renew(h, c.nodes[n%len(c.nodes)]) {
					return
				}
				c.accepted("at once", h.access)
				used.Store(kidOf(h.access), true)
				renewed.Add(1)
			}
		})
	}
	for i := range rounds {
		own.Add(int64(verify.DefaultCooldown))
		if _, err := c.nodes[i%len(c.nodes)].Keys.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		target := renewed.Load() + between
		soon(t, "renewals under the new key", func() bool { return renewed.Load() >= target || t.Failed() })
	}
	stop.Store(true)
	running.Wait()
	n := 0
	used.Range(func(any, any) bool { n++; return true })
	if n < rounds {
		t.Errorf("tokens were made under %d keys, want %d", n, rounds)
	}
}

// TestPlannedRotationRefusesNobody: a key's whole life on a clock that is walked
// through it, with a node that hears nothing and reads the ring as rarely as is
// allowed. Every token stays good until it expires.
func TestPlannedRotationRefusesNobody(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixNano())
	now := func() time.Time { return time.Unix(0, clock.Load()).UTC() }
	c := newCluster(t, 3, now)
	c.nodes[0].Start()
	c.nodes[1].Start() // the third one has no ears
	for i, name := range []string{"first", "second", "third"} {
		c.resourceServer(name, i, now, &http.Client{Transport: published{c.nodes[i].Keys}}, false)
	}
	type issued struct {
		token string
		until time.Time
	}
	const step = 3 * time.Minute
	const until = keys.DefaultLead + keys.DefaultLead + DefaultAccessTTL + keys.DefaultLead + time.Hour // announced … dropped
	clock.Add(int64(keys.DefaultPeriod - 10*time.Minute))
	h := c.signIn("u")
	var alive []issued
	used := map[string]map[int]bool{}
	random := rand.New(rand.NewPCG(1, 2))
	for passed := time.Duration(0); passed < until && !t.Failed(); passed += step {
		clock.Add(int64(step))
		for i, node := range c.nodes {
			if i < 2 || passed%(keys.DefaultLead/4) < step {
				must(t, node.Keys.Refresh(t.Context()))
			}
		}
		for _, i := range random.Perm(len(c.nodes)) {
			if !c.renew(h, c.nodes[i]) {
				break
			}
			kid := kidOf(h.access)
			if used[kid] == nil {
				used[kid] = map[int]bool{}
			}
			used[kid][i] = true
			alive = append(alive, issued{h.access, now().Add(DefaultAccessTTL * 19 / 20)})
		}
		for len(alive) > 0 && !alive[0].until.After(now()) {
			alive = alive[1:]
		}
		for _, a := range alive {
			c.accepted(passed.String(), a.token)
		}
	}
	for kid, nodes := range used {
		if len(nodes) != len(c.nodes) {
			t.Errorf("key %s was used on the nodes %v only", kid, nodes)
		}
	}
	if len(used) != 2 {
		t.Errorf("%d keys were used, want the old one and the new one", len(used))
	}
	for _, k := range c.nodes[0].Keys.List() {
		if k.Use == keys.UseSign && k.State != keys.StateActive {
			t.Errorf("the old key is still there: %+v", k)
		}
	}
}
