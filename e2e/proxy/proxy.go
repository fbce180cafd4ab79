package main

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

// fault is what the proxy does to the next Count requests for Path (exact, or
// a prefix if it ends in /).
type fault struct {
	Path  string `json:"path"`
	Count int    `json:"count"`
	// Kind is one of:
	//  drop-answer: the server does its work, then the connection dies
	//  drop-request: the connection dies before the server hears of it
	//  status: the proxy answers Status (with RetryAfter seconds) by itself
	//  delay-answer: the answer is held for MS milliseconds
	//  delay-request: the request is held for MS milliseconds
	//  hang: no answer ever, until the client gives up
	Kind       string `json:"kind"`
	Status     int    `json:"status"`
	RetryAfter int    `json:"retry_after"`
	MS         int64  `json:"ms"`
}

// request is one request that came to the proxy.
type request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"` // 0: no answer was given
	Fault  string `json:"fault,omitempty"`
}

type proxy struct {
	next *httputil.ReverseProxy

	mu     sync.Mutex
	faults []fault
	log    []request
}

func newProxy(backend string) *proxy {
	u, err := url.Parse(backend)
	if err != nil {
		panic(err) // made by run
	}
	p := &proxy{}
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

func (p *proxy) add(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, f)
}

func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.log = nil, nil
}

func (p *proxy) seen() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]request{}, p.log...)
}

// take finds the fault for a path and uses it up once.
func (p *proxy) take(path string) (fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.faults {
		f := &p.faults[i]
		if f.Count > 0 && (f.Path == path || strings.HasSuffix(f.Path, "/") && strings.HasPrefix(path, f.Path)) {
			f.Count--
			return *f, true
		}
	}
	return fault{}, false
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := request{Method: r.Method, Path: r.URL.Path}
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

// discard takes an answer that does not go out, or not yet.
type discard struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return d.body.Write(b) }
