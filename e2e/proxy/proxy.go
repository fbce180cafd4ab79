// Package proxy is a reverse proxy for tests that loses, delays and forges answers
// and notes what came through.
package proxy

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is what a [Proxy] does to the next Count requests for Path (exact, or
// a prefix if it ends in /).
type Fault struct {
	Path  string `json:"path"`
	Count int    `json:"count"`
	// Kind is one of:
	//  drop-answer: the server does its work, then the connection dies
	//  drop-request: the connection dies before the server hears of it
	//  status: the proxy answers Status (with RetryAfter seconds) by itself
	//  delay-answer: the response is held for MS milliseconds
	//  delay-request: the request is held for MS milliseconds
	//  hang: no response ever, until the client gives up
	Kind       string `json:"kind"`
	Status     int    `json:"status"`
	RetryAfter int    `json:"retry_after"`
	MS         int64  `json:"ms"`
}

// Request is one request that came to the proxy.
type Request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"` // 0: no response was given
	Fault  string `json:"fault,omitempty"`
}

// Proxy passes requests on to a backend, except where a [Fault] was added for
// them.
type Proxy struct {
	next *httputil.ReverseProxy

	mu     sync.Mutex
	faults []Fault
	log    []Request
}

// New returns a proxy for the server at a URL, without faults.
func New(backend string) *Proxy {
	u, err := url.Parse(backend)
	if err != nil {
		panic(err) // every caller made it itself
	}
	p := &Proxy{}
	p.next = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		FlushInterval: -1,
	}
	return p
}

// Add plans a fault, after those that were added before.
func (p *Proxy) Add(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, f)
}

// Reset forgets faults and what was seen.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.log = nil, nil
}

// Seen is what came to the proxy, in order.
func (p *Proxy) Seen() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request{}, p.log...)
}

// take finds the fault for a path and uses it up once.
func (p *Proxy) take(path string) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.faults {
		f := &p.faults[i]
		if f.Count > 0 && (f.Path == path || strings.HasSuffix(f.Path, "/") && strings.HasPrefix(path, f.Path)) {
			f.Count--
			return *f, true
		}
	}
	return Fault{}, false
}

// ServeHTTP is http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := Request{Method: r.Method, Path: r.URL.Path}
	f, faulty := p.take(r.URL.Path)
	if faulty {
		entry.Fault = f.Kind
	}
	p.mu.Lock()
	p.log = append(p.log, entry)
	at := len(p.log) - 1
	p.mu.Unlock()
	rec := &recorder{ResponseWriter: w}
	defer func() {
		p.mu.Lock()
		if at < len(p.log) { // not reset meanwhile
			p.log[at].Status = rec.status
		}
		p.mu.Unlock()
	}()
	switch f.Kind {
	case "drop-request":
		panic(http.ErrAbortHandler)
	case "drop-answer":
		p.next.ServeHTTP(&discard{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case "status":
		_, _ = io.Copy(io.Discard, r.Body)
		if f.RetryAfter > 0 {
			rec.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		rec.Header().Set("Content-Type", "text/plain")
		rec.WriteHeader(f.Status)
	case "delay-request":
		wait(r, f.MS)
		p.next.ServeHTTP(rec, r)
	case "delay-answer":
		held := &discard{header: http.Header{}}
		p.next.ServeHTTP(held, r)
		wait(r, f.MS)
		for k, v := range held.header {
			rec.Header()[k] = v
		}
		rec.WriteHeader(held.status)
		_, _ = rec.Write(held.body.Bytes())
	case "hang":
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	default:
		p.next.ServeHTTP(rec, r)
	}
}

func wait(r *http.Request, ms int64) {
	select {
	case <-r.Context().Done():
	case <-time.After(time.Duration(ms) * time.Millisecond):
	}
}

// recorder notes the status on its way to the client.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// discard takes a response that does not go out, or not yet.
type discard struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return d.body.Write(b) }
