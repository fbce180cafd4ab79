package fakeauth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Fault is what goes wrong with one request.
type Fault struct {
	Kind       FaultKind
	Status     int           // of Answer
	RetryAfter int           // seconds; of Answer
	Delay      time.Duration // of Slow
}

// FaultKind names a fault.
type FaultKind int

const (
	None        FaultKind = iota
	LoseRequest           // it never arrives
	LoseAnswer            // it is carried out, the response is lost
	Answer                // Status, from something in front of the server
	Page                  // 200 with somebody's HTML
	Hang                  // no response, ever
	Slow                  // carried out after Delay
)

// Watch counts requests to a server and breaks them by plan.
type Watch struct {
	next http.Handler

	mu    sync.Mutex
	plan  func(*http.Request) Fault
	calls map[string]int
	good  map[string]int
}

// NewWatch watches next.
func NewWatch(next http.Handler) *Watch {
	return &Watch{next: next, calls: map[string]int{}, good: map[string]int{}}
}

// Plan sets what goes wrong from now on; nil is nothing.
func (w *Watch) Plan(f func(*http.Request) Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan = f
}

// Next plans the faults of the next requests to path, in order.
func (w *Watch) Next(path string, faults ...Fault) {
	w.Plan(func(r *http.Request) Fault { // called with w.mu held
		if r.URL.Path != path || len(faults) == 0 {
			return Fault{}
		}
		f := faults[0]
		faults = faults[1:]
		return f
	})
}

// Calls is how many requests to path arrived here, broken ones included.
func (w *Watch) Calls(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[path]
}

// Good is how many requests to path the server served with 200, whether the
// answer arrived or not.
func (w *Watch) Good(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.good[path]
}

// ServeHTTP implements [http.Handler].
func (w *Watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.calls[r.URL.Path]++
	var f Fault
	if w.plan != nil {
		f = w.plan(r)
	}
	w.mu.Unlock()
	switch f.Kind {
	case LoseRequest:
		panic(http.ErrAbortHandler)
	case Answer:
		if f.RetryAfter > 0 {
			rw.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		rw.WriteHeader(f.Status)
		return
	case Page:
		_, _ = io.WriteString(rw, "<html>Welcome to the hotel network</html>")
		return
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client leave
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Slow:
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done(): // carried out all the same: it did arrive
		}
	}
	rec := httptest.NewRecorder()
	w.next.ServeHTTP(rec, r)
	if rec.Code == http.StatusOK {
		w.mu.Lock()
		w.good[r.URL.Path]++
		w.mu.Unlock()
	}
	if f.Kind == LoseAnswer {
		panic(http.ErrAbortHandler)
	}
	for k, v := range rec.Header() {
		rw.Header()[k] = v
	}
	rw.WriteHeader(rec.Code)
	_, _ = rw.Write(rec.Body.Bytes())
}

// errLost is what a client sees of a lost request or answer.
var errLost = errors.New("connection lost")

// RoundTripper serves requests without a network, for tests in simulated time.
type RoundTripper struct{ Handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t RoundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	} else {
		defer req.Body.Close()
	}
	rec, lost := httptest.NewRecorder(), make(chan bool, 1)
	go func() {
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
			lost <- p != nil
		}()
		t.Handler.ServeHTTP(rec, in)
	}()
	select {
	case l := <-lost:
		if l {
			return nil, errLost
		}
		res := rec.Result()
		res.Request = req
		return res, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}
