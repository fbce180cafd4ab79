package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// visit loads the page without a cookie and returns the new browser's.
func visit(t *testing.T, s *Server) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != cookieName || !cookies[0].HttpOnly {
		t.Fatalf("cookies %v", cookies)
	}
	return cookies[0]
}

func TestBrowsersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newDemo(t)
		first := visit(t, s)
		for range maxBrowsers + 10 {
			time.Sleep(time.Second)
			visit(t, s)
		}
		if len(s.browsers) != maxBrowsers || s.browsers[first.Value] != nil {
			t.Errorf("%d browsers, the first one still known: %v", len(s.browsers), s.browsers[first.Value] != nil)
		}
		time.Sleep(maxIdle)
		last := visit(t, s)
		if len(s.browsers) != 1 || s.browsers[last.Value] == nil {
			t.Errorf("after an hour without use %d browsers are known", len(s.browsers))
		}
	})
}

func TestWhatABrowserHoldsIsBounded(t *testing.T) {
	s, auth := newDemo(t)
	cookie := visit(t, s)
	b := s.browsers[cookie.Value]
	for range 2 * maxEntries {
		s.record(b, Entry{Kind: KindExpire})
	}
	if len(b.log) > maxEntries || b.log[len(b.log)-1].Seq != 2*maxEntries+1 {
		t.Errorf("%d entries, the last is %d", len(b.log), b.log[len(b.log)-1].Seq)
	}
	for range 2 * maxAccess {
		req := httptest.NewRequest("POST", "/auth/login", strings.NewReader("{}"))
		req.AddCookie(cookie)
		s.ServeHTTP(httptest.NewRecorder(), req)
	}
	if len(b.access) > maxAccess || len(s.owners) != 1 || len(b.open) != 0 {
		t.Errorf("%d access tokens, %d owners, %d open calls; %d sessions", len(b.access), len(s.owners), len(b.open), len(auth.states))
	}
	for range maxCalls {
		s.begin(b, WhoBrowser, "refresh", rotation.Token{})
	}
	req := httptest.NewRequest("POST", "/auth/refresh", nil)
	req.AddCookie(cookie)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("one call too many: %d", w.Code)
	}
}

func TestASlowRenewalWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, auth := newDemo(t)
		cookie := visit(t, s)
		b := s.browsers[cookie.Value]
		b.faults = Faults{Slow: 1}
		req := httptest.NewRequest("POST", "/auth/refresh", strings.NewReader("{}"))
		req.AddCookie(cookie)
		start := time.Now()
		s.ServeHTTP(httptest.NewRecorder(), req)
		if waited := time.Since(start); waited != slowness || auth.calls.Load() != 1 || b.faults.Slow != 0 {
			t.Errorf("waited %v, %d calls, %d left", waited, auth.calls.Load(), b.faults.Slow)
		}
	})
}

// A restart of the demo forgets browsers; their refresh cookies live on.
func TestADecisionLinksASessionToTheCallThatCarriesItsToken(t *testing.T) {
	s, auth := newDemo(t)
	cookie := visit(t, s)
	login := httptest.NewRecorder()
	auth.ServeHTTP(login, httptest.NewRequest("POST", "/auth/login", nil)) // past the demo
	refresh := refreshCookie(login.Result().Cookies())
	token, _ := peek(refresh)

	// A forged token with the same session id shows nothing to its sender.
	forged := token
	forged.Tag[0]++
	spy := visit(t, s)
	call, _, _ := s.begin(s.browsers[spy.Value], WhoBrowser, "refresh", forged)
	req := httptest.NewRequest("POST", "/auth/refresh", nil)
	req.AddCookie(cookie)
	req.AddCookie(&http.Cookie{Name: wire.CookieRefresh, Value: refresh})
	s.ServeHTTP(httptest.NewRecorder(), req)
	s.end(s.browsers[spy.Value], call)

	if got := s.owners[token.Session]; got != s.browsers[cookie.Value] {
		t.Fatalf("the session belongs to %v", got)
	}
	mine, _ := s.since(s.browsers[cookie.Value], 1)
	wantShape(t, mine, "present browser refresh", "decide advanced", "answer browser refresh delivered OK")
	spied, _ := s.since(s.browsers[spy.Value], 1)
	wantShape(t, spied, "present browser refresh")
}

func TestTheStreamResumesAndEnds(t *testing.T) {
	s, _ := newDemo(t)
	srv := httptest.NewServer(s)
	defer srv.Close()
	cookie := visit(t, s)
	b := s.browsers[cookie.Value]
	s.record(b, Entry{Kind: KindExpire})

	read := func(after string, n int) (seqs []int64, rest *bufio.Scanner) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/demo/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(cookie)
		req.Header.Set("Last-Event-ID", after)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Fatalf("Content-Type %q", got)
		}
		lines := bufio.NewScanner(res.Body)
		for len(seqs) < n && lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var e Entry
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				if e.Seq > 0 { // not the clock
					seqs = append(seqs, e.Seq)
				}
			}
		}
		return seqs, lines
	}
	if got, _ := read("", 2); fmt.Sprint(got) != "[1 2]" {
		t.Errorf("from the start: %v", got)
	}
	if got, _ := read("99", 2); fmt.Sprint(got) != "[1 2]" {
		t.Errorf("after a restart of the server: %v", got)
	}
	got, rest := read("1", 1)
	if fmt.Sprint(got) != "[2]" {
		t.Errorf("resumed: %v", got)
	}
	s.record(b, Entry{Kind: KindExpire})
	live := ""
	for rest.Scan() {
		if strings.HasPrefix(rest.Text(), "id: ") {
			live = rest.Text()
			break
		}
	}
	if live != "id: 3" {
		t.Errorf("live: %q", live)
	}
	s.Close()
	s.Close()
	for rest.Scan() { // ends, or the test hangs
		continue
	}
}

func TestTheHeartbeatKeepsAQuietStreamOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newDemo(t)
		cookie := visit(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), heartbeat+time.Second)
		defer cancel()
		req := httptest.NewRequest("GET", "/demo/stream", nil).WithContext(ctx)
		req.AddCookie(cookie)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if !strings.HasSuffix(w.Body.String(), "\n\n:\n\n") {
			t.Errorf("the stream ends with %q", w.Body.String())
		}
	})
}
