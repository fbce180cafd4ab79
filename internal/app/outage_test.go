package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/internal/telemetry"
	"github.com/tacet-dev/tacet/wire"
)

// outage is how the test below runs. Plain tests have the short form; the one of
// the acceptance, 500 clients and 60 s, comes with TACET_DEEP=1.
type outage struct {
	clients        int
	before, during time.Duration
	after          time.Duration // at most, until all is as before
}

func howLong() outage {
	if os.Getenv("TACET_DEEP") != "" {
		return outage{500, 10 * time.Second, 60 * time.Second, 5 * time.Second}
	}
	return outage{60, time.Second, time.Second, 30 * time.Second}
}

// PostgreSQL is stopped under clients that renew all the time: everybody is told
// to come back, access tokens are checked as before, nobody is signed out and
// nobody gets a wrong answer; when it is back, so is everything else, without a
// restart.
func TestPostgresStoppedUnderClients(t *testing.T) {
	how := howLong()
	cluster := pgtest.Shared(t) // runs again at the end
	people := &slowPeople{}
	a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DatabaseURL: cluster.Schema(t), MasterKey: strings.Repeat("0123456789abcdef", 4),
		Directory: people, Authenticator: people, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	a.Start()
	t.Cleanup(func() { must(t, a.Close()) })
	srv := httptest.NewServer(a.Handler)
	t.Cleanup(srv.Close)

	c := newCrowd(t, a, srv.URL, how.clients)
	stop := c.run()
	time.Sleep(how.before)
	c.phase("before")
	must(t, cluster.Stop())
	time.Sleep(how.during)
	c.phase("during")
	began := time.Now()
	must(t, cluster.Start())
	returned := time.Now() // it answers
	back := time.Duration(-1)
	for time.Since(returned) < how.after+5*time.Second {
		if c.rate(returned) >= 0.8*c.speed("before") {
			back = time.Since(returned)
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Second)
	c.phase("after")
	stop()

	t.Logf("%d clients, stopped for %s (and %s until it answered): renewals/s before %.0f, at the end %.0f (ratio %.2f); 0.8 of the speed before was reached %s after it was back; %d answers 503, %d checks of access tokens",
		how.clients, how.during, returned.Sub(began).Round(time.Millisecond), c.speed("before"), c.lastSecond(), c.lastSecond()/c.speed("before"),
		back.Round(10*time.Millisecond), c.later.Load(), c.checks.Load())
	if back < 0 || back > how.after {
		t.Errorf("full speed again after %s", back)
	}
	if c.later.Load() == 0 || c.checks.Load() == 0 {
		t.Error("the test saw no outage")
	}
	for i, token := range c.tokens {
		if !c.renewOnce(i, &token) {
			t.Errorf("client %d was signed out", i)
		}
	}
	page := scrape(t, a)
	wantLines(t, page, `tacet_renewals_total{outcome="reuse_detected"} 0`, `tacet_renewals_total{outcome="ended"} 0`, `tacet_sessions_ended_total{reason="reuse_detected"} 0`)
	for _, name := range telemetry.PoolMetrics() {
		if !strings.Contains(page, "\n"+name+`{pool="renewals"} `) {
			t.Errorf("there is no metric %s", name)
		}
	}
	if strings.Contains(page, "\ntacet_store_errors_total{failure=\"unreachable\"} 0\n") {
		t.Error("the metrics have not noticed the outage")
	}
}

// crowd is clients that renew, each its own session, as fast as they get answers.
type crowd struct {
	*testing.T
	url     string
	http    *http.Client
	tokens  []string
	ids     []string
	access  string
	renewed atomic.Int64
	later   atomic.Int64
	checks  atomic.Int64

	mu     sync.Mutex
	phases map[string]float64
	since  time.Time
	mark   int64
	points []point // every 100 ms
}

type point struct {
	at time.Time
	n  int64
}

func newCrowd(t *testing.T, a *App, url string, n int) *crowd {
	return newCrowdOf(t, a, url, n, func(i int) string { return fmt.Sprint("user ", i) })
}

// newCrowdOf gives client i a session of the user of that name.
func newCrowdOf(t *testing.T, a *App, url string, n int, user func(int) string) *crowd {
	c := &crowd{T: t, url: url, tokens: make([]string, n), ids: make([]string, n), phases: map[string]float64{},
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: n + 1}}}
	for i := range n {
		g, err := a.Sessions.Start(t.Context(), session.SignIn{UserID: user(i), Client: session.Client{ID: "tacet-web"}})
		must(t, err)
		c.tokens[i], c.ids[i], c.access = g.RefreshToken, g.Session.ID.String(), g.AccessToken
	}
	return c
}

func (c *crowd) run() (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	c.since = time.Now()
	for i := range c.tokens {
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if !c.renewOnce(i, &c.tokens[i]) {
					return
				}
			}
		})
	}
	running.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case at := <-tick.C:
				c.mu.Lock()
				c.points = append(c.points, point{at, c.renewed.Load()})
				c.mu.Unlock()
				c.check()
			}
		}
	})
	return func() { close(done); running.Wait() }
}

// renewOnce renews a session, and waits as long as it is told to. It is false if
// the session is lost or the answer wrong.
func (c *crowd) renewOnce(i int, token *string) bool {
	resp, err := c.http.Post(c.url+"/auth/refresh", "application/json", strings.NewReader(`{"refresh_token":"`+*token+`"}`))
	if err != nil {
		c.Errorf("client %d: %v", i, err)
		return false
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	switch resp.StatusCode {
	case http.StatusOK:
		var r wire.TokenResponse
		if err := json.Unmarshal(body, &r); err != nil || r.Session.ID != c.ids[i] || r.RefreshToken == "" || r.AccessToken == "" {
			c.Errorf("client %d: a wrong answer: %s", i, body)
			return false
		}
		*token = r.RefreshToken
		c.renewed.Add(1)
		return true
	case http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		if seconds < 1 || seconds > 3 || len(resp.Cookies()) > 0 || !bytes.Contains(body, []byte(wire.CodeUnavailable)) {
			c.Errorf("client %d: Retry-After %q, %s", i, resp.Header.Get("Retry-After"), body)
		}
		c.later.Add(1)
		time.Sleep(time.Duration(seconds) * time.Second)
		return true
	}
	c.Errorf("client %d: %d %s", i, resp.StatusCode, body)
	return false
}

// check asks whether the access token is good, as a proxy would.
func (c *crowd) check() {
	r, err := http.NewRequest("GET", c.url+"/auth/verify", nil)
	must(c.T, err)
	r.Header.Set("Authorization", "Bearer "+c.access)
	resp, err := c.http.Do(r)
	if err != nil {
		c.Errorf("check: %v", err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.Errorf("an access token was refused: %d", resp.StatusCode)
	}
	c.checks.Add(1)
}

// phase ends one and begins the next.
func (c *crowd) phase(name string) {
	now, n := time.Now(), c.renewed.Load()
	c.phases[name] = float64(n-c.mark) / now.Sub(c.since).Seconds()
	c.since, c.mark = now, n
}

func (c *crowd) speed(phase string) float64 { return c.phases[phase] }

// rate is the best of half a second since then, up to now.
func (c *crowd) rate(since time.Time) (best float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, _ := slices.BinarySearchFunc(c.points, since, func(p point, t time.Time) int { return p.at.Compare(t) })
	for i := from; i+5 < len(c.points); i++ {
		a, b := c.points[i], c.points[i+5]
		best = max(best, float64(b.n-a.n)/b.at.Sub(a.at).Seconds())
	}
	return best
}

func (c *crowd) lastSecond() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.points)
	if n < 11 {
		return 0
	}
	a, b := c.points[n-11], c.points[n-1]
	return float64(b.n-a.n) / b.at.Sub(a.at).Seconds()
}
