package load

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// chains is a server that refuses every token but the newest of a session: it
// notices a client that does not rotate.
type chains struct {
	mu      sync.Mutex
	newest  map[string]int
	renewed int
	cookie  bool // deliver by cookie, with a CSRF token
	chunked bool
	fail    int // answers 503 to so many renewals first
}

func (s *chains) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/login" {
		id := string(raw)
		s.newest[id] = 1
		s.answer(w, id)
		return
	}
	var body struct{ Token string }
	json.Unmarshal(raw, &body)
	if s.cookie {
		if c, err := r.Cookie("rt"); err == nil && r.Header.Get("X-CSRF") == "csrf-of-"+c.Value {
			body.Token = c.Value
		}
	}
	id, gen, _ := strings.Cut(body.Token, ".")
	if s.fail > 0 {
		s.fail--
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	if n, _ := strconv.Atoi(gen); n == 0 || s.newest[id] != n {
		http.Error(w, "stale token", http.StatusBadRequest)
		return
	}
	s.newest[id]++
	s.renewed++
	s.answer(w, id)
}

func (s *chains) answer(w http.ResponseWriter, id string) {
	token := fmt.Sprintf("%s.%d", id, s.newest[id])
	if s.cookie {
		http.SetCookie(w, &http.Cookie{Name: "rt", Value: token, HttpOnly: true})
		http.SetCookie(w, &http.Cookie{Name: "csrf", Value: "csrf-of-" + token})
		fmt.Fprint(w, `{"ok":true}`)
		return
	}
	if s.chunked {
		w.(http.Flusher).Flush()
	}
	fmt.Fprintf(w, `{"a":{"b":1}, "token": "%s"}`, token)
}

var (
	bodyDialect = Dialect{
		Login:   Exchange{Path: "/login", Body: "s{n}"},
		Refresh: Exchange{Path: "/refresh", Body: `{"Token":"{token}"}`},
		Token:   Capture{JSON: "token"},
	}
	cookieDialect = Dialect{
		Login:   Exchange{Path: "/login", Body: "s{n}"},
		Refresh: Exchange{Path: "/refresh", Headers: []string{"Cookie: rt={token}", "X-CSRF: {csrf}"}},
		Token:   Capture{Cookie: "rt"},
		CSRF:    Capture{Cookie: "csrf"},
	}
)

func generator(t *testing.T, s *chains, d Dialect) *Generator {
	t.Helper()
	s.newest = map[string]int{}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	var g Generator
	g.Configure(Config{Addr: srv.Listener.Addr().String(), Pids: []int{os.Getpid()}, Dialect: d})
	if err := g.SignIn(8, 2); err != nil {
		t.Fatal(err)
	}
	return &g
}

const short = 60 * time.Millisecond

func TestEveryRenewalUsesTheTokenOfTheLastAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		server  *chains
		dialect Dialect
	}{
		"body":    {&chains{}, bodyDialect},
		"cookie":  {&chains{cookie: true}, cookieDialect},
		"chunked": {&chains{chunked: true}, bodyDialect},
	} {
		t.Run(name, func(t *testing.T) {
			g := generator(t, c.server, c.dialect)
			for run := range 2 { // the second run goes on where the first ended
				res, err := g.Renew(RenewSpec{Clients: 8, Warmup: short / 4, Duration: short})
				if err != nil {
					t.Fatal(err)
				}
				if res.Renewals == 0 || res.Errors != 0 {
					t.Fatalf("run %d: %+v", run, res)
				}
				if res.P50 <= 0 || res.P99 < res.P50 || res.Max < res.P99 {
					t.Errorf("run %d: latencies out of order: %+v", run, res)
				}
			}
			if c.server.renewed < 16 {
				t.Errorf("the server counts %d renewals", c.server.renewed)
			}
		})
	}
}

func TestFailedRenewalsAreCountedAndTriedAgain(t *testing.T) {
	s := &chains{}
	g := generator(t, s, bodyDialect)
	s.fail = 5
	res, err := g.Renew(RenewSpec{Clients: 1, Duration: short})
	if err != nil {
		t.Fatal(err)
	}
	if res.Errors > 5 || res.Renewals == 0 || !strings.Contains(res.FirstError, "503") {
		t.Errorf("%+v", res)
	}
	s.fail = 1 << 30
	res, err = g.Renew(RenewSpec{Clients: 2, Duration: short})
	if err != nil || res.Renewals != 0 || res.Errors > 2*giveUpAfter {
		t.Errorf("a server that always fails: %+v %v", res, err)
	}
}

func TestRateStartsNoMoreThanAsked(t *testing.T) {
	s := &chains{}
	g := generator(t, s, bodyDialect)
	const rate = 200
	start := time.Now()
	if _, err := g.Renew(RenewSpec{Clients: 8, Duration: short, Rate: rate}); err != nil {
		t.Fatal(err)
	}
	// Slots are due from the start on: so many at most, however slow we are.
	if most := int(time.Since(start).Seconds()*rate) + 8 + 1; s.renewed > most || s.renewed == 0 {
		t.Errorf("%d renewals, at most %d were due", s.renewed, most)
	}
}

func TestHerdPresentsOneTokenManyTimes(t *testing.T) {
	s := &chains{}
	g := generator(t, s, bodyDialect)
	res, err := g.Herd(HerdSpec{Size: 6, Times: 3})
	if err != nil {
		t.Fatal(err)
	}
	// This server is strict: of each herd exactly one is granted.
	if res.Granted != 3 || res.Errors != 15 || len(res.Answers) != 1 {
		t.Errorf("%+v", res)
	}
	if _, err := g.Herd(HerdSpec{Size: 1, Times: 9}); err == nil {
		t.Error("more herds than sessions were accepted")
	}
}

func TestCommandsOverPipes(t *testing.T) {
	s := &chains{newest: map[string]int{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	in, commands := io.Pipe()
	replies, out := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(in, out) }()
	r := &Remote{name: "chains", stdin: commands, replies: json.NewDecoder(replies)}

	err := r.Configure(Config{Addr: srv.Listener.Addr().String(), Pids: []int{os.Getpid()}, Dialect: bodyDialect})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SignIn(2, 1); err != nil {
		t.Fatal(err)
	}
	if res, err := r.Renew(RenewSpec{Clients: 2, Duration: short}); err != nil || res.Renewals == 0 {
		t.Errorf("%+v %v", res, err)
	}
	if _, err := r.Renew(RenewSpec{Clients: 3}); err == nil || !strings.Contains(err.Error(), "2 are signed in") {
		t.Errorf("err = %v, want the generator's own words", err)
	}
	if err := r.call(command{}, nil); err == nil {
		t.Error("an empty command was accepted")
	}
	commands.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
