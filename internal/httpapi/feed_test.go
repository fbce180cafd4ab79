package httpapi_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

const feedToken = "feed-token-of-the-tests-0123456789"

func withFeed(c *app.Config) { c.FeedToken = feedToken }

// feed opens the feed and returns its greeting.
func (h *harness) feed(lastID string) (*reader, wire.FeedHello) {
	h.Helper()
	headers := bearer(feedToken)
	if lastID != "" {
		headers = append(headers, "Last-Event-ID", lastID)
	}
	s := h.stream("/auth/feed", headers...)
	var hello wire.FeedHello
	into(h, s.want(wire.EventFeedHello, ""), &hello)
	return s, hello
}

func into(t testing.TB, b block, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(b.data), v); err != nil {
		t.Fatalf("%v in %+v", err, b)
	}
}

func (h *harness) end(g session.Grant, reason string) {
	h.Helper()
	if err := h.App.Sessions.End(h.Context(), g.Session.ID, reason); err != nil {
		h.Fatal(err)
	}
}

// settle waits until the hub has read what is committed.
func (h *harness) settle() {
	h.Helper()
	_, last, err := h.App.DB.Events().Bounds(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	for range 2000 {
		sub, at, err := h.App.Events.SubscribeAll()
		if err != nil {
			h.Fatal(err)
		}
		sub.Close()
		if at.Seq >= last {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	h.Fatal("the hub does not read what is committed")
}

func TestTheFeedIsForThoseWithItsToken(t *testing.T) {
	newHarness(t).call(http.DefaultClient, "GET", "/auth/feed", "", bearer(feedToken)...).problem(404, wire.CodeNotFound)
	h := running(t, withFeed)
	access := h.begin("alice").AccessToken
	for name, headers := range map[string][]string{
		"none": nil, "empty": bearer(""), "wrong": bearer("x" + feedToken[1:]), "longer": bearer(feedToken + "x"), "shorter": bearer(feedToken[1:]),
		"an access token": bearer(access), "another scheme": {"Authorization", "Basic " + feedToken}, "a cookie": {"Cookie", "tacet_refresh=" + feedToken},
	} {
		a := h.call(http.DefaultClient, "GET", "/auth/feed", "", headers...)
		a.problem(401, wire.CodeInvalidToken)
		if a.Header.Get("WWW-Authenticate") == "" || strings.Contains(string(a.body), feedToken) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	h.call(http.DefaultClient, "GET", "/auth/feed?access_token="+feedToken, "").problem(401, wire.CodeInvalidToken)
	h.call(http.DefaultClient, "POST", "/auth/feed", "", bearer(feedToken)...).problem(405, wire.CodeMethodNotAllowed)
	h.call(http.DefaultClient, "HEAD", "/auth/feed", "", bearer(feedToken)...).want(200)
}

func TestFeedTokenSetting(t *testing.T) {
	dir := t.TempDir()
	file := func(content string) string {
		path := filepath.Join(dir, fmt.Sprint("token", len(content)))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ token, file, want string }{
		{"", "", ""},
		{feedToken, filepath.Join(dir, "missing"), ""}, // the value wins
		{"", file(feedToken + "\n"), ""},
		{"", filepath.Join(dir, "missing"), "missing"},
		{"", file(" \n"), "is empty"},
		{"short", "", "at least 16"},
		{"sixteen or more with spaces", "", "without spaces"},
		{`0123456789abcdef"`, "", "quotes"},
	} {
		a, err := app.Open(t.Context(), app.Config{PublicURL: "http://localhost", DataDir: filepath.Join(dir, "data"), FeedToken: c.token, FeedTokenFile: c.file})
		if err == nil {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("token %q, file %q: %v, want %q", c.token, c.file, err, c.want)
		case err != nil && c.token != "" && strings.Contains(err.Error(), c.token):
			t.Errorf("the error shows the token: %v", err)
		}
	}
}

func TestTheFeedKeepsItsPromises(t *testing.T) {
	h := running(t, withFeed, withDirectory)
	ann := h.addUser("ann")
	long, fresh, later := h.begin(ann), h.begin(ann), h.begin(ann)
	h.end(long, wire.ReasonSignedOut)
	h.Clock.Advance(15*time.Minute + (wire.FeedMargin+1)*time.Second) // concerns no token that lives
	h.end(fresh, wire.ReasonEndedByUser)
	h.settle()

	s, hello := h.feed("")
	if hello.AccessTTL != 900 || hello.Tick != 5 || !hello.Reset || hello.Seq < 2 || hello.Now != h.Clock.Now().Format(time.RFC3339Nano) {
		t.Errorf("hello %+v", hello)
	}
	var ended wire.FeedSessionEnded
	into(t, s.want(wire.EventSessionEnded, ""), &ended)
	if want := (wire.FeedSessionEnded{SessionID: fresh.Session.ID.String(), UserID: ann, Reason: wire.ReasonEndedByUser, At: h.Clock.Now().Format(time.RFC3339Nano)}); ended != want {
		t.Errorf("%+v, want %+v", ended, want)
	}
	var tick wire.FeedTick
	b := s.want(wire.EventFeedTick, "")
	into(t, b, &tick)
	if tick.Seq != hello.Seq || tick.Mark == "" || b.id != wire.FeedID(tick.Seq, tick.Mark) {
		t.Errorf("tick %+v after hello %+v", b, hello)
	}
	resume := b.id

	h.end(later, wire.ReasonReuseDetected)
	into(t, s.want(wire.EventSessionEnded, later.Session.ID.String()), &ended)
	if err := h.App.Directory.Disable(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	var changed wire.FeedGrantsChanged
	into(t, s.want(wire.EventGrantsChanged, ""), &changed)
	if changed.UserID != ann || changed.GrantsVersion != 2 || changed.At == "" {
		t.Errorf("%+v", changed)
	}
	s.cancel()
	h.settle()

	again, hello := h.feed(resume)
	if hello.Reset {
		t.Error("reset although everything is there")
	}
	again.want(wire.EventSessionEnded, later.Session.ID.String())
	again.want(wire.EventGrantsChanged, ann)
	again.want(wire.EventFeedTick, "")

	for _, id := range []string{"999999", "x", "-5", resume + "x", "1-wrong"} {
		s, hello := h.feed(id)
		if !hello.Reset {
			t.Errorf("resumed at %q", id)
		}
		s.want(wire.EventKeysRotated, "{}") // may have been missed
		s.want(wire.EventSessionEnded, fresh.Session.ID.String())
		s.cancel()
	}
}

// What identifies people or networks stays between the server and its user.
func TestTheFeedTellsNothingElse(t *testing.T) {
	h := running(t, withFeed)
	s, _ := h.feed("")
	s.want(wire.EventFeedTick, "")
	stolen := h.begin("alice")
	next := h.refreshBody(stolen.RefreshToken).tokens().RefreshToken
	next = h.refreshBody(next).tokens().RefreshToken
	h.refreshBody(next).tokens()
	h.refreshBody(stolen.RefreshToken).problem(400, wire.CodeInvalidGrant)
	b := s.want(wire.EventSessionEnded, wire.ReasonReuseDetected)
	if strings.Contains(b.data, "127.0.0.1") {
		t.Errorf("%+v", b)
	}
}

// When a resource server hears of new keys, also of those that the command line
// made, this server publishes them already.
func TestNewKeysArePublishedBeforeTheyAreTold(t *testing.T) {
	h := running(t, withFeed)
	s, _ := h.feed("")
	s.want(wire.EventFeedTick, "")
	for name, a := range map[string]*app.App{"this process": h.App, "another process": h.elsewhere()} {
		made, err := a.Keys.Rotate(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		s.want(wire.EventKeysRotated, "{}")
		jwks := string(h.call(http.DefaultClient, "GET", wire.PathJWKS, "").want(200).body)
		for _, k := range made {
			if k.KeyID != "" && !strings.Contains(jwks, k.KeyID) {
				t.Errorf("%s: key %s was told and is not published", name, k.KeyID)
			}
		}
	}
}

func TestTooManyFeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bubble(t)
		defer h.closeBubble()
		for range 256 {
			h.inBubble("/auth/feed", bearer(feedToken)...)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p, r := newPipe(ctx, "GET", "/auth/feed", bearer(feedToken)...)
		resp := serve(h.App.Handler, p, r)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

// A tick is a promise; when the store can't be read there is none.
func TestTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bubble(t)
		s := h.inBubble("/auth/feed", bearer(feedToken)...)
		time.Sleep(30*time.Second + time.Millisecond)
		synctest.Wait()
		if got := fmt.Sprint(s.pending()); got != "[hello tick tick tick tick tick tick tick]" {
			t.Errorf("half a minute: %s", got)
		}
		if err := h.App.DB.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // what was read just before may still be told
		synctest.Wait()
		s.pending()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.pending(); len(got) > 0 {
			t.Errorf("with the store gone: %v", got)
		}
		s.cancel()
		h.closeBubble()
	})
}

// network is what lies between a resource server and the issuer, with faults.
type network struct {
	mu      sync.Mutex
	handler http.Handler // nil: nobody listens
	down    bool
	conns   []context.CancelFunc
}

func (n *network) with(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *network) cut() {
	n.with(func() {
		for _, c := range n.conns {
			c()
		}
		n.conns = nil
	})
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	var handler http.Handler
	n.with(func() {
		if !n.down {
			handler = n.handler
		}
		n.conns = append(n.conns, cancel)
	})
	if handler == nil {
		cancel()
		return nil, errors.New("connection refused")
	}
	p, _ := newPipe(ctx, "GET", "/")
	return serve(handler, p, r.WithContext(ctx)), nil
}

// device is a sign-in that renews as clients do, or, once it has ended, a thief
// who goes on with its last token.
type device struct {
	grant   session.Grant
	expires time.Time // of the access token
	ended   time.Time // zero: it lives
	stale   time.Time // since when its grants are; zero: they are not
}

// The resource server's view of the whole: the real server, its store and its
// restarts, the real feed and verifier, clocks up to a minute apart, and a network
// that is cut and restored. An ended session or a grant that was taken away is
// never accepted for longer than MaxLag, and nobody honest is ever refused.
func TestResourceServerBehindFaults(t *testing.T) {
	seeds := 1
	if os.Getenv("TACET_SOAK") != "" {
		seeds = 30
	}
	for _, skew := range []time.Duration{-time.Minute, 0, time.Minute} {
		for seed := range seeds {
			t.Run(fmt.Sprint(skew, " seed ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { faults(t, skew, uint64(seed)) })
			})
		}
	}
}

func faults(t *testing.T, skew time.Duration, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, uint64(skew)))
	h := bubble(t, withDirectory)
	if err := h.App.Directory.AddRole(t.Context(), "clerk", "orders:read"); err != nil {
		t.Fatal(err)
	}
	users := []string{h.addUser("ann", "clerk"), h.addUser("ben", "clerk")}
	net := &network{handler: h.App.Handler}
	clock := func() time.Time { return time.Now().Add(skew) }
	feed, err := verify.NewFeed(verify.FeedConfig{URL: "http://localhost/auth/feed", Secret: feedToken, Client: &http.Client{Transport: net}, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Issuer: "http://localhost", Audience: "http://localhost", Liveness: feed, Clock: clock,
		Keys: verify.KeysFunc(func(_ context.Context, kid string) (crypto.PublicKey, error) {
			for _, k := range h.App.Keys.PublicKeys() {
				if k.ID == kid {
					return k.Key, nil
				}
			}
			return nil, verify.ErrUnknownKey
		})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = feed.Run(ctx) })
	if err := feed.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	begin := func(user string) *device {
		g := h.begin(user)
		return &device{grant: g, expires: time.Now().Add(time.Duration(g.ExpiresIn) * time.Second)}
	}
	renew := func(d *device) {
		g, err := h.App.Sessions.Open(t.Context(), d.grant.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		next, err := h.App.Sessions.Refresh(t.Context(), session.Presentation{Token: g})
		if err != nil {
			t.Fatalf("a renewal of a living session: %v", err)
		}
		*d = device{grant: next, expires: time.Now().Add(time.Duration(next.ExpiresIn) * time.Second)}
	}
	var devices []*device
	for i := range 6 {
		devices = append(devices, begin(users[i%2]))
	}
	calm := time.Now() // no fault since then
	seen := map[string]int{}
	request := func(d *device) {
		if d.ended.IsZero() && !time.Now().Before(d.expires.Add(-time.Minute)) {
			renew(d) // ahead of its end, as clients do
		}
		_, err := v.Verify(t.Context(), d.grant.AccessToken)
		switch {
		case errors.Is(err, verify.ErrUnavailable):
			seen["unavailable"]++
			if quiet := time.Since(calm); quiet > 30*time.Second {
				t.Fatalf("503 although nothing has gone wrong for %v, lag %v", quiet, feed.Lag())
			}
		case err == nil:
			seen["accepted"]++
			for what, since := range map[string]time.Time{"session that ended": d.ended, "grant that changed": d.stale} {
				if !since.IsZero() {
					seen["accepted late"]++
					if time.Since(since) > verify.DefaultMaxLag {
						t.Fatalf("accepted a %s %v ago, lag %v", what, time.Since(since), feed.Lag())
					}
				}
			}
		case !d.ended.IsZero():
			seen["refused"]++
		default:
			if !errors.Is(err, verify.ErrStaleGrants) || d.stale.IsZero() {
				t.Fatalf("an honest request was refused: %v", err)
			}
			seen["renewed"]++
			renew(d)
			if _, err := v.Verify(t.Context(), d.grant.AccessToken); errors.Is(err, verify.ErrInvalidToken) {
				t.Fatalf("refused with a new token: %v", err)
			}
		}
	}
	for range 400 {
		time.Sleep(time.Duration(rng.Int64N(int64(8 * time.Second))))
		i := rng.IntN(len(devices))
		switch d := devices[i]; rng.IntN(24) {
		case 0, 1:
			if d.ended.IsZero() {
				h.end(d.grant, wire.ReasonSignedOut)
				d.ended = time.Now()
			} else if time.Since(d.ended) > 2*time.Minute {
				devices[i] = begin(users[i%2])
			}
		case 2:
			user := rng.IntN(2)
			change := h.App.Directory.GrantRole
			if u, err := h.App.Directory.User(t.Context(), users[user]); err != nil {
				t.Fatal(err)
			} else if slices.Contains(u.Roles, "clerk") {
				change = h.App.Directory.RevokeRole
			}
			if err := change(t.Context(), users[user], "clerk"); err != nil {
				t.Fatal(err)
			}
			for j, d := range devices {
				if j%2 == user && d.stale.IsZero() {
					d.stale = time.Now()
				}
			}
		case 3:
			calm = time.Now()
			net.cut()
		case 4: // cut for a while
			net.with(func() { net.down = true })
			net.cut()
			if d.ended.IsZero() { // which cannot be known on the other side
				h.end(d.grant, wire.ReasonEndedByAdmin)
				d.ended = time.Now()
			}
			time.Sleep(time.Duration(rng.Int64N(int64(20 * time.Second))))
			for _, d := range devices {
				request(d)
			}
			time.Sleep(time.Duration(rng.Int64N(int64(70 * time.Second))))
			for _, d := range devices {
				if time.Since(calm) > time.Second {
					calm = time.Now()
				}
				request(d)
			}
			net.with(func() { net.down = false })
			calm = time.Now()
		case 5: // the issuer is restarted
			cfg := h.App.Config
			if err := h.App.Close(); err != nil {
				t.Fatal(err)
			}
			net.with(func() { net.handler = nil })
			time.Sleep(time.Duration(rng.Int64N(int64(5 * time.Second))))
			if h.App, err = app.Open(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			h.App.Start()
			net.with(func() { net.handler = h.App.Handler })
			calm = time.Now()
		default:
			request(d)
		}
	}
	for _, what := range []string{"accepted", "refused", "renewed", "accepted late"} {
		if seen[what] == 0 {
			t.Errorf("nothing was %s: the simulation shows nothing", what)
		}
	}
	t.Logf("%v, %+v", seen, feed.Stats())
	cancel()
	run.Wait()
	h.closeBubble()
}
