package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
)

func TestA401RenewsAndRepeats(t *testing.T) {
	for name, spoil := range map[string]func(authority){"invalid": authority.ForgetAccess, "grants changed": authority.ChangeGrants} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil).signIn()
			w.get("/")
			spoil(w.auth)
			if s := w.get("/"); s != 200 {
				t.Errorf("%s: status %d", name, s)
			}
			w.renewals(1)
			if n := w.api.Calls("/"); n != 3 {
				t.Errorf("%s: %d requests, want 3", name, n)
			}
		})
	}
}

func TestA403NeverRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		for range 5 {
			if s := w.get("/forbidden"); s != 403 {
				t.Fatal(s)
			}
		}
		w.renewals(0)
	})
}

func TestBodiesAreRepeatedByteForByte(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	for name, body := range map[string]func() io.Reader{
		"bytes":   func() io.Reader { return bytes.NewReader(big) },
		"buffer":  func() io.Reader { return bytes.NewBuffer(bytes.Clone(big)) },
		"string":  func() io.Reader { return strings.NewReader(string(big)) },
		"none":    func() io.Reader { return nil },
		"no body": func() io.Reader { return http.NoBody },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil).signIn()
			w.auth.ForgetAccess()
			req, _ := http.NewRequest("POST", apiURL+"/", body())
			res, err := w.http.Do(req)
			must(t, err)
			got, _ := io.ReadAll(res.Body)
			want := big
			if strings.HasPrefix(name, "no") {
				want = nil
			}
			if res.StatusCode != 200 || !bytes.Equal(got, want) {
				t.Errorf("%s: status %d, %d bytes", name, res.StatusCode, len(got))
			}
			if res.Request != req || req.Header.Get("Authorization") != "" {
				t.Errorf("%s: the caller sees the token", name)
			}
		})
	}
}

// stream can be read once and knows whether it was closed.
type stream struct {
	io.Reader
	read   bool
	closed atomic.Int32
}

func newStream(s string) *stream { return &stream{Reader: strings.NewReader(s)} }

func (s *stream) Read(p []byte) (int, error) { s.read = true; return s.Reader.Read(p) }
func (s *stream) Close() error               { s.closed.Add(1); return nil }

func post(t *testing.T, c *http.Client, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequest("POST", apiURL+"/", body)
	must(t, err)
	return c.Do(req)
}

func TestAOneShotBodyIsSentWithAFreshTokenOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(13 * time.Minute) // good, but due
		res, err := post(t, w.http, newStream("x"))
		must(t, err)
		if res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		w.renewals(1) // before it was sent, not beside

		w.auth.ForgetAccess()
		body := newStream("x")
		_, err = post(t, w.http, body)
		if !errors.Is(err, client.ErrBodyNotRepeatable) {
			t.Fatal(err)
		}
		if body.closed.Load() == 0 {
			t.Error("body not closed")
		}
		if n := w.api.Calls("/"); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		if res, err = post(t, w.http, newStream("x")); err != nil || res.StatusCode != 200 {
			t.Errorf("the repetition by the caller: %v %v", res, err)
		}
		w.renewals(2)
	})
}

func TestAOneShotBodyIsNotReadWithoutAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		w.loseAll()
		time.Sleep(13 * time.Minute) // due, cannot be renewed now, but still good
		res, err := post(t, w.http, newStream("x"))
		must(t, err)
		if res.StatusCode != 200 {
			t.Error(res.Status)
		}
		time.Sleep(time.Hour)
		body := newStream("x")
		_, err = post(t, w.http, body)
		wantErr[*client.TemporaryError](t, err)
		if body.read || body.closed.Load() == 0 {
			t.Errorf("read %v, closed %d", body.read, body.closed.Load())
		}
	})
}

func TestALate401IsRepeatedWithoutAnotherRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		w.auth.ForgetAccess()
		w.api.Plan(func(r *http.Request) fakeauth.Fault {
			if r.URL.Path == "/slow" {
				return fakeauth.Fault{Kind: fakeauth.Slow, Delay: 20 * time.Second}
			}
			return fakeauth.Fault{}
		})
		late := make(chan int)
		go func() { late <- w.get("/slow") }()
		synctest.Wait()
		if s := w.get("/"); s != 200 {
			t.Fatal(s)
		}
		w.renewals(1)
		if s := <-late; s != 200 {
			t.Errorf("late: %d", s)
		}
		w.renewals(1)
	})
}

func TestAnAPIThatAlwaysAnswers401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		for range 4 {
			if s := w.get("/always401"); s != 401 {
				t.Fatal(s)
			}
		}
		w.renewals(1)
		if n := w.api.Calls("/always401"); n != 5 {
			t.Errorf("%d requests, want 5", n)
		}
		// A day of one request a second stays within a few hundred renewals,
		// those that are due anyway (24 × 5) included.
		for start := time.Now(); time.Since(start) < 24*time.Hour; time.Sleep(time.Second) {
			w.get("/always401")
		}
		if n := w.watch.Good(refreshPath); n > 500 {
			t.Errorf("%d renewals in a day", n)
		}
	})
}

// One API that takes the token does not license another to have it renewed with
// every request.
func TestAnAPIThatAlwaysAnswers401BesideOneThatDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(100 * time.Millisecond) {
			w.get("/")
			w.get("/always401")
		}
		if n := w.watch.Good(refreshPath); n > 13 {
			t.Errorf("%d renewals in a minute", n)
		}
	})
}

func TestGrantsThatChangeOftenAreFollowedWithinABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		for range 5 {
			w.auth.ChangeGrants()
			if s := w.get("/"); s != 200 {
				t.Fatal(s)
			}
		}
		w.renewals(5)
		bad := 0
		for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(100 * time.Millisecond) {
			w.auth.ChangeGrants()
			if w.get("/") != 200 {
				bad++
			}
		}
		if n := w.watch.Good(refreshPath); n > 5+4+2*13 {
			t.Errorf("%d renewals in a minute", n)
		}
		time.Sleep(time.Minute)
		if s := w.get("/"); s != 200 {
			t.Errorf("after the storm: %d", s)
		}
	})
}

func TestSignedOutInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		w.auth.EndAll()
		_, err := w.http.Get(apiURL + "/")
		wantErr[*client.SignedOutError](t, err)
		synctest.Wait()
		if len(w.ended) != 1 {
			t.Errorf("OnSignedOut called %d times", len(w.ended))
		}
	})
}

// recorder answers everything with 200 and keeps what was sent.
type recorder struct {
	mu   sync.Mutex
	seen []*http.Request
	idle int
	do   func(*http.Request) (*http.Response, error)
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, req)
	if r.do != nil {
		return r.do(req)
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, nil
}

func (r *recorder) CloseIdleConnections() { r.idle++ }

func TestTheTokenGoesToItsOriginsOnly(t *testing.T) {
	w := newWorld(t, nil).signIn()
	base := &recorder{}
	tr, err := client.NewTransport(w.source, base, "https://api.test", "http://127.0.0.1:9000", "https://Other.test:443/")
	must(t, err)
	for url, want := range map[string]bool{
		"https://api.test/x":         true,
		"https://API.test:443/x":     true,
		"https://other.test":         true,
		"http://127.0.0.1:9000/":     true,
		"http://api.test/x":          false, // another scheme
		"https://api.test:8443/x":    false, // another port
		"https://api.test.evil.com/": false,
		"https://evil-api.test/":     false,
		"https://sub.api.test/":      false,
		"https://api.test.:443/":     false,
		"https://api.test@evil.com/": false,
		"http://127.0.0.1:90000/":    false,
	} {
		base.seen = nil
		req, err := http.NewRequest("GET", url, nil)
		must(t, err)
		_, err = tr.RoundTrip(req)
		must(t, err)
		if got := base.seen[0].Header.Get("Authorization") != ""; got != want {
			t.Errorf("%s: token sent %v, want %v", url, got, want)
		}
	}
}

func TestARedirectElsewhereLeavesTheTokenBehind(t *testing.T) {
	w := newWorld(t, nil).signIn()
	base := &recorder{do: func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "api.test" {
			return &http.Response{StatusCode: 307, Body: http.NoBody, Header: http.Header{"Location": {"https://bucket.test/file"}}}, nil
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, nil
	}}
	tr, err := client.NewTransport(w.source, base, apiURL)
	must(t, err)
	c := &http.Client{Transport: tr}
	res, err := c.Get(apiURL)
	must(t, err)
	if res.StatusCode != 200 || len(base.seen) != 2 || base.seen[0].Header.Get("Authorization") == "" || base.seen[1].Header.Get("Authorization") != "" {
		t.Errorf("%d, %d requests", res.StatusCode, len(base.seen))
	}
	c.CloseIdleConnections()
	if base.idle != 1 {
		t.Error("CloseIdleConnections did not pass through")
	}
}

func TestTheCallersRequestStaysAsItIs(t *testing.T) {
	w := newWorld(t, nil).signIn()
	// A rude base transport: it writes to whatever it is given.
	base := &recorder{do: func(r *http.Request) (*http.Response, error) {
		r.URL.Host = "changed.test"
		r.Header.Add("Accept", "changed")
		r.Header.Set("X-New", "changed")
		r.Header.Add("Authorization", "changed")
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, nil
	}}
	tr, err := client.NewTransport(w.source, base, apiURL)
	must(t, err)
	req, _ := http.NewRequest("GET", apiURL+"/path", nil)
	accept := append(make([]string, 0, 4), "text/plain") // with room behind it
	req.Header["Accept"] = accept
	before := fmt.Sprint(req.URL, req.Header)
	for range 3 {
		_, err = tr.RoundTrip(req)
		must(t, err)
	}
	if after := fmt.Sprint(req.URL, req.Header); after != before || accept[:2][1] != "" {
		t.Errorf("%s became %s (%q)", before, after, accept[:2])
	}
	for _, r := range base.seen {
		if v := r.Header.Values("Authorization"); len(v) != 2 || !strings.HasPrefix(v[0], "Bearer at.") {
			t.Errorf("sent %d Authorization values", len(v))
		}
	}
}

func TestARequestWithItsOwnAuthorizationPassesThrough(t *testing.T) {
	w := newWorld(t, nil) // nobody is signed in
	base := &recorder{}
	tr, err := client.NewTransport(w.source, base, apiURL)
	must(t, err)
	req, _ := http.NewRequest("GET", apiURL, nil)
	req.SetBasicAuth("a", "b")
	_, err = tr.RoundTrip(req)
	must(t, err)
	if base.seen[0] != req {
		t.Error("the request was replaced")
	}
}

func TestEveryBodyIsClosed(t *testing.T) {
	w := newWorld(t, nil).signIn()
	for _, fail := range []bool{false, true} {
		var bodies []*stream
		base := &recorder{do: func(r *http.Request) (*http.Response, error) {
			must(t, r.Body.Close())
			if fail {
				return nil, errors.New("broken")
			}
			b := newStream("refused")
			bodies = append(bodies, b)
			return &http.Response{StatusCode: 401, Body: b, Header: http.Header{}}, nil
		}}
		tr, err := client.NewTransport(w.source, base, apiURL)
		must(t, err)
		var sent []*stream
		open := func() (io.ReadCloser, error) {
			sent = append(sent, newStream("x"))
			return sent[len(sent)-1], nil
		}
		req, _ := http.NewRequest("PUT", apiURL, nil)
		req.Body, _ = open()
		req.GetBody = open
		res, err := tr.RoundTrip(req)
		if fail != (err != nil) {
			t.Fatal(err)
		}
		if !fail { // the caller has the last answer, the first was put away
			if len(bodies) != 2 || bodies[0].closed.Load() != 1 || !bodies[0].read || bodies[1].closed.Load() != 0 || res.Body != bodies[1] {
				t.Errorf("answers: %d", len(bodies))
			}
		}
		for i, b := range sent {
			if b.closed.Load() == 0 {
				t.Errorf("request body %d of %d not closed", i, len(sent))
			}
		}
	}
}

func TestTransportsAreChecked(t *testing.T) {
	w := newWorld(t, nil)
	for _, o := range []string{"", "api.test", "//api.test", "ftp://api.test", "http://api.test", "https://api.test/path", "https://api.test?x", "https://u:geheim@api.test"} {
		if _, err := client.NewTransport(w.source, nil, o); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", o, err)
		}
	}
	if _, err := client.NewTransport(w.source, nil); err == nil {
		t.Error("no origins: no error")
	}
	if _, err := client.NewTransport(nil, nil, apiURL); err == nil {
		t.Error("no source: no error")
	}
}

// Over real connections: renewal, repetition, reuse of the connection.
func TestOverRealHTTP(t *testing.T) {
	auth := newAuthority(15 * time.Minute)
	authSrv, apiSrv := httptest.NewServer(auth), httptest.NewServer(auth.API())
	defer authSrv.Close()
	defer apiSrv.Close()
	s, err := client.New(client.Config{URL: authSrv.URL + "/auth"})
	must(t, err)
	defer s.Close()
	_, err = s.SignIn(context.Background(), fakeauth.Username, fakeauth.Password)
	must(t, err)
	tr, err := client.NewTransport(s, nil, apiSrv.URL)
	must(t, err)
	c := &http.Client{Transport: tr}
	auth.ForgetAccess()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			res, err := c.Post(apiSrv.URL, "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if b, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(b) != "hello" {
				t.Errorf("%d %q", res.StatusCode, b)
			}
		})
	}
	wg.Wait()
	must(t, s.SignOut(context.Background()))
	c.CloseIdleConnections()
}
