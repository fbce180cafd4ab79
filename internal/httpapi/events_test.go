package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

func running(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	h := newHarness(t, change...)
	h.App.Start()
	return h
}

func TestTheEndOfASessionReachesItsUserOnly(t *testing.T) {
	h := running(t)
	phone, laptop, bob := h.begin("alice"), h.begin("alice"), h.begin("bob")
	onPhone, onLaptop, bobs := h.events(phone.AccessToken), h.events(laptop.AccessToken), h.events(bob.AccessToken)
	h.call(http.DefaultClient, "DELETE", "/auth/sessions/"+phone.Session.ID.String(), "", bearer(laptop.AccessToken)...).want(204)

	for name, s := range map[string]*reader{"phone": onPhone, "laptop": onLaptop} {
		b := s.want(wire.EventSessionEnded, phone.Session.ID.String())
		var d wire.SessionEnded
		if err := json.Unmarshal([]byte(b.data), &d); err != nil || d.Reason != wire.ReasonEndedByUser {
			t.Errorf("%s: %s, %v", name, b.data, err)
		}
		if _, err := strconv.ParseInt(b.id, 10, 64); err != nil {
			t.Errorf("%s: id %q is not a sequence number", name, b.id)
		}
	}
	onPhone.ended() // after it was told
	if err := h.App.Sessions.End(t.Context(), laptop.Session.ID, wire.ReasonEndedByAdmin); err != nil {
		t.Fatal(err)
	}
	onLaptop.want(wire.EventSessionEnded, wire.ReasonEndedByAdmin)
	onLaptop.ended()
	if err := h.App.Sessions.End(t.Context(), bob.Session.ID, wire.ReasonEndedByAdmin); err != nil {
		t.Fatal(err)
	}
	bobs.want(wire.EventSessionEnded, bob.Session.ID.String()) // and nothing before it
	bobs.ended()
}

func TestReuseIsToldToTheUsersOtherDevices(t *testing.T) {
	h := running(t)
	stolen, other := h.begin("alice"), h.begin("alice")
	s := h.events(other.AccessToken)
	second := h.refreshBody(stolen.RefreshToken).tokens().RefreshToken
	third := h.refreshBody(second).tokens().RefreshToken
	h.refreshBody(third).tokens()
	h.refreshBody(stolen.RefreshToken, "User-Agent", "thief").problem(400, wire.CodeInvalidGrant)
	var d wire.ReuseDetected
	if err := json.Unmarshal([]byte(s.want(wire.EventReuseDetected, "").data), &d); err != nil || d.Presented.UserAgent != "thief" || d.SessionID != stolen.Session.ID.String() {
		t.Errorf("%+v, %v", d, err)
	}
	s.want(wire.EventSessionEnded, wire.ReasonReuseDetected)
}

// withDirectory makes the harness use the embedded directory, with one user per
// name.
func withDirectory(c *app.Config) { c.Directory, c.Authenticator = nil, nil }

func TestChangesOfGrantsReachAnOpenPage(t *testing.T) {
	h := running(t, withDirectory)
	admin := h.addUser("ann")
	g := h.begin(admin)
	s := h.events(g.AccessToken)
	dir := h.App.Directory
	if err := dir.AddRole(t.Context(), "clerk", "orders:read"); err != nil {
		t.Fatal(err)
	}
	if err := dir.GrantRole(t.Context(), admin, "clerk"); err != nil {
		t.Fatal(err)
	}
	s.want(wire.EventGrantsChanged, `"grants_version":2`)
	if err := dir.SetPermissions(t.Context(), "clerk", "orders:read", "orders:write"); err != nil {
		t.Fatal(err)
	}
	s.want(wire.EventGrantsChanged, `"grants_version":3`)
	// The stream goes on although the token is stale; a new one needs a new token.
	h.call(http.DefaultClient, "GET", "/auth/events", "", bearer(g.AccessToken)...).problem(401, wire.CodeInvalidToken)
	h.events(h.begin(admin).AccessToken)
}

func TestWhatAnotherProcessCommitsReachesOpenPages(t *testing.T) {
	h := running(t)
	g := h.begin("alice")
	s := h.events(g.AccessToken)
	cli := h.elsewhere()
	if err := cli.Sessions.End(t.Context(), g.Session.ID, wire.ReasonEndedByAdmin); err != nil {
		t.Fatal(err)
	}
	s.want(wire.EventSessionEnded, wire.ReasonEndedByAdmin)
	s.ended()
	if got := h.status(g.AccessToken); got != 401 {
		t.Errorf("status %d although the stream has told of the end", got)
	}
}

// A reader that is cut off again and again, while events are committed by two
// processes, has in the end exactly what happened, once and in order.
func TestResumeLosesAndRepeatsNothing(t *testing.T) {
	h := running(t)
	keep, cli := h.begin("alice"), h.elsewhere()
	const n = 60
	var victims []session.Grant
	for range n {
		victims = append(victims, h.begin("alice"))
	}
	var ending sync.WaitGroup
	for who, a := range []*app.App{h.App, cli} {
		ending.Go(func() {
			for i := who; i < n; i += 2 {
				if err := a.Sessions.End(t.Context(), victims[i].Session.ID, wire.ReasonSignedOut); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen, last := map[string]int{}, int64(0)
	for cuts, after := 0, "0"; len(seen) < n; cuts++ {
		if cuts > 10*n {
			t.Fatalf("%d of %d events after %d connections", len(seen), n, cuts)
		}
		headers := []string{"Last-Event-ID", after}
		path := "/auth/events"
		if cuts%3 == 0 {
			path, headers = "/auth/events?last_event_id="+after, nil
		}
		s := h.stream(path, append(headers, bearer(keep.AccessToken)...)...)
		for range 1 + cuts%5 {
			if len(seen) == n {
				break
			}
			b := s.next()
			if b.event != wire.EventSessionEnded {
				t.Fatalf("%+v", b)
			}
			seq, err := strconv.ParseInt(b.id, 10, 64)
			if err != nil || seq <= last {
				t.Fatalf("id %s after %d", b.id, last)
			}
			last, after = seq, b.id
			seen[b.data]++
		}
		s.cancel()
	}
	ending.Wait()
	for _, v := range victims {
		text := fmt.Sprintf(`{"session_id":%q,"reason":"signed_out"}`, v.Session.ID)
		if seen[text] != 1 {
			t.Errorf("%s came %d times", text, seen[text])
		}
	}
}

func TestWhoCannotResumeIsToldToStartOver(t *testing.T) {
	h := running(t)
	g := h.begin("alice")
	for _, id := range []string{"999999", "-1", "x", "1e3", "99999999999999999999"} {
		s := h.stream("/auth/events", append(bearer(g.AccessToken), "Last-Event-ID", id)...)
		first, _ := s.any()
		b := s.want(wire.EventReset, `{"seq":`)
		if b.id != first.id || b.id == id {
			t.Errorf("after %q: begins with %+v, then %+v", id, first, b)
		}
		s.cancel()
	}
}

func TestEventsNeedACredential(t *testing.T) {
	h := running(t)
	a := h.call(http.DefaultClient, "GET", "/auth/events", "")
	a.problem(401, wire.CodeInvalidToken)
	if a.Header.Get("WWW-Authenticate") == "" {
		t.Error("no challenge")
	}
	h.call(http.DefaultClient, "GET", "/auth/events", "", bearer("x.y.z")...).problem(401, wire.CodeInvalidToken)
	h.call(http.DefaultClient, "GET", "/auth/events", "", "Cookie", "tacet_refresh=nonsense").problem(401, wire.CodeInvalidToken)
	h.call(http.DefaultClient, "POST", "/auth/events", "{}").problem(405, wire.CodeMethodNotAllowed)
	g := h.begin("alice")
	if a := h.call(http.DefaultClient, "HEAD", "/auth/events", "", bearer(g.AccessToken)...).want(200); len(a.body) != 0 {
		t.Error("HEAD has a body")
	}
	if err := h.App.Sessions.End(t.Context(), g.Session.ID, wire.ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	h.call(http.DefaultClient, "GET", "/auth/events", "", bearer(g.AccessToken)...).problem(401, wire.CodeInvalidToken)
}

// EventSource of the platform sends cookies and no headers. The cookie is read,
// never renewed, and a copy that would end the session at a renewal does not end
// it here.
func TestThePlatformsEventSource(t *testing.T) {
	h := running(t)
	r := h.login(h.client, "alice")
	state := func() string {
		id, err := rotation.ParseSessionID(r.Session.ID)
		if err != nil {
			t.Fatal(err)
		}
		s, err := h.App.DB.Sessions().Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%+v %+v", s.State, s.End)
	}
	first := h.cookie(h.client, wire.CookieRefresh)
	cookie := func(v string, more ...string) []string { return append(more, "Cookie", wire.CookieRefresh+"="+v) }
	before := state()
	s := h.stream("/auth/events", cookie(first, "Origin", h.URL, "Sec-Fetch-Site", "same-origin")...)
	if len(s.resp.Cookies()) > 0 || state() != before {
		t.Error("the stream touches cookies or the session")
	}
	for range 3 {
		h.Clock.Advance(time.Minute)
		h.refresh(h.client).want(200)
	}
	before = state()
	h.call(http.DefaultClient, "GET", "/auth/events", "", cookie(first)...).problem(401, wire.CodeInvalidToken)
	if state() != before {
		t.Errorf("a GET changed the session:\n%s\n%s", before, state())
	}
	now := h.cookie(h.client, wire.CookieRefresh)
	h.call(http.DefaultClient, "GET", "/auth/events", "", cookie(now, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")...).problem(403, wire.CodeCSRF)
	h.stream("/auth/events", cookie(now, "Authorization", "Bearer null")...) // a front-end without a token yet
	// A token that is presented counts, whatever cookie there is.
	h.call(http.DefaultClient, "GET", "/auth/events", "", cookie(now, "Authorization", "Bearer x.y.z")...).problem(401, wire.CodeInvalidToken)
	h.call(h.client, "POST", "/auth/logout", "{}", wire.HeaderCSRF, h.cookie(h.client, wire.CookieCSRF)).want(204)
	s.want(wire.EventSessionEnded, wire.ReasonSignedOut)
	s.ended()
	h.call(http.DefaultClient, "GET", "/auth/events", "", cookie(now)...).problem(401, wire.CodeInvalidToken)
}

func TestOneSessionCannotTakeAllStreamsOfItsUser(t *testing.T) {
	h := running(t)
	refused := func(g session.Grant) {
		t.Helper()
		a := h.call(http.DefaultClient, "GET", "/auth/events", "", bearer(g.AccessToken)...)
		if p := a.problem(503, wire.CodeUnavailable); !strings.Contains(p.Detail, "streams") || a.Header.Get("Retry-After") == "" {
			t.Errorf("%+v", p)
		}
	}
	var last *reader
	for range 4 {
		g := h.begin("alice")
		for range 16 {
			last = h.events(g.AccessToken)
		}
		refused(g)
	}
	fifth, bob := h.begin("alice"), h.begin("bob")
	refused(fifth) // 64 are all that a user has
	h.events(bob.AccessToken)
	last.cancel()
	for i := 0; h.call(http.DefaultClient, "HEAD", "/auth/events", "", bearer(fifth.AccessToken)...).StatusCode != http.StatusOK; i++ {
		if i == 2000 {
			t.Fatal("the place of a stream that ended is not free")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAThousandSubscribers(t *testing.T) {
	const n = 1000
	h := running(t)
	h.People.Change(func(users map[string]session.User) {
		for i := range n {
			id := fmt.Sprint("user", i)
			users[id] = session.User{User: wire.User{ID: id, Username: id}}
		}
	})
	open := make([]*reader, n)
	grants := make([]session.Grant, n)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				grants[i] = h.begin(fmt.Sprint("user", i))
				open[i] = h.events(grants[i].AccessToken)
			}
		})
	}
	wg.Wait()
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				if err := h.App.Sessions.End(t.Context(), grants[i].Session.ID, wire.ReasonSignedOut); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, s := range open {
		s.want(wire.EventSessionEnded, grants[i].Session.ID.String())
		s.ended()
	}
}

// A graceful stop waits for running answers; streams must not make it wait.
func TestStreamsEndWhenTheServerStops(t *testing.T) {
	h := running(t, func(c *app.Config) { c.FeedToken = feedToken })
	g := h.begin("alice")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- h.App.Serve(ctx, ln, h.App.Handler) }()
	h.URL = "http://" + ln.Addr().String()
	s, feed := h.events(g.AccessToken), h.stream("/auth/feed", bearer(feedToken)...)
	stop()
	s.ended()
	for ok := true; ok; {
		_, ok = feed.any()
	}
	if err := <-stopped; err != nil { // it says so when it had to cut requests
		t.Error(err)
	}
}

// bubble is an app in a synctest bubble, without a network.
func bubble(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	change = append([]func(*app.Config){func(c *app.Config) {
		c.Clock, c.Logger = nil, slog.New(slog.DiscardHandler) // the bubble's time; hours pass here
		c.FeedToken, c.EventPoll = feedToken, time.Second
	}}, change...)
	h := &harness{Server: apptest.New(t, "http://localhost", apptest.NewPeople(
		session.User{User: wire.User{ID: "alice", Username: "alice"}, GrantsVersion: 1},
		session.User{User: wire.User{ID: "bob", Username: "bob"}, GrantsVersion: 1}), change...)}
	h.App.Start()
	return h
}

func (h *harness) inBubble(path string, headers ...string) *reader {
	h.Helper()
	ctx, cancel := context.WithCancel(h.Context())
	p, r := newPipe(ctx, "GET", path, headers...)
	resp := serve(h.App.Handler, p, r)
	if resp.StatusCode != 200 {
		h.Fatalf("GET %s: %d", path, resp.StatusCode)
	}
	return newReader(h, resp, cancel)
}

func (h *harness) closeBubble() {
	if err := h.App.Close(); err != nil {
		h.Error(err)
	}
	synctest.Wait()
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bubble(t)
		defer h.closeBubble()
		g := h.begin("alice")
		s := h.inBubble("/auth/events", bearer(g.AccessToken)...)
		c := h.inBubble("/auth/events", "Cookie", wire.CookieRefresh+"="+g.RefreshToken)
		time.Sleep(time.Duration(g.ExpiresIn)*time.Second - 2*time.Second)
		synctest.Wait()
		if s.isEnded() || c.isEnded() {
			t.Fatal("ended before its time")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !s.isEnded() {
			t.Error("the stream outlives its access token")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !c.isEnded() {
			t.Error("the stream outlives a look at its cookie by more than an access lifetime")
		}
	})
}

// Heartbeats show that a quiet stream is alive, and move the reader's number on,
// so that a long silence of its own is no reason to start over.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bubble(t)
		defer h.closeBubble()
		g := h.begin("alice")
		s := h.inBubble("/auth/events", bearer(g.AccessToken)...)
		start, _ := s.any()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		for range 3 {
			if b, _ := s.any(); b.comment == "" || b.event != "" || b.id != "" {
				t.Errorf("heartbeat %+v", b)
			}
		}
		if got := s.pending(); len(got) > 0 {
			t.Errorf("more: %v", got)
		}
		bob := h.begin("bob")
		if err := h.App.Sessions.End(t.Context(), bob.Session.ID, wire.ReasonSignedOut); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if b, _ := s.any(); b.comment == "" || b.event != "" || b.data != "" || b.id <= start.id {
			t.Errorf("heartbeat %+v after other people's events, began with %+v", b, start)
		}
		s.cancel()
	})
}

// A peer that takes nothing any more is given up, and one that takes too little
// is dropped; neither holds anything up.
func TestDeadAndSlowPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bubble(t)
		defer h.closeBubble()
		g := h.begin("alice")
		handle := func() (*pipe, chan struct{}) {
			p, r := newPipe(t.Context(), "GET", "/auth/events", append(bearer(g.AccessToken), "Last-Event-ID", "0")...)
			done := make(chan struct{})
			go func() { defer close(done); h.App.Handler.ServeHTTP(p, r) }()
			return p, done
		}
		_, done := handle()
		began := time.Now()
		<-done
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("a dead peer was given up after %v", d)
		}
		p, done := handle()
		synctest.Wait() // it waits for the first bytes to be taken
		var ev []events.Event
		for range 100 {
			ev = append(ev, events.Event{At: time.Now(), Kind: "x", UserID: "alice", Data: []byte("{}")})
		}
		h.commit(ev...)
		synctest.Wait()
		go func() { // now it reads, too late
			buf := make([]byte, 1<<10)
			for {
				if _, err := p.r.Read(buf); err != nil {
					return
				}
			}
		}()
		<-done
		_ = p.w.Close()
		if n := h.App.Events.Listeners("alice"); n != 0 {
			t.Errorf("%d listeners are left", n)
		}
	})
}

// commit appends events to the log with a write that changes nothing else.
func (h *harness) commit(ev ...events.Event) {
	h.Helper()
	ring, version, err := keys.NewStore(h.App.DB.Documents()).Load(h.Context())
	if err == nil {
		err = keys.NewStore(h.App.DB.Documents()).Replace(h.Context(), version, ring, ev...)
	}
	if err != nil {
		h.Fatal(err)
	}
}

// Time limits of the server, which are for answers that end, cut no stream; a
// reader that goes leaves nothing behind.
func TestStreamsOutliveTheServersTimeLimits(t *testing.T) {
	h := running(t)
	g, other := h.begin("alice"), h.begin("alice")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h.App.Handler, ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	h.URL = "http://" + ln.Addr().String()
	s, gone := h.events(g.AccessToken), h.events(other.AccessToken)
	gone.cancel()
	for range 2000 {
		if h.App.Events.Listeners("alice") == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n := h.App.Events.Listeners("alice"); n != 1 {
		t.Errorf("%d listeners where one is left", n)
	}
	time.Sleep(200 * time.Millisecond) // several limits
	h.end(g, wire.ReasonSignedOut)
	s.want(wire.EventSessionEnded, g.Session.ID.String())
	s.ended()
}
