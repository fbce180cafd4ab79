package client

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Transport is an [http.RoundTripper] that adds an access token to requests to
// its origins, and repeats a request once, with a new token, when the API
// refuses the old one with a 401 (RFC 6750 §3.1). Every other response is handed
// on as it is.
//
// Requests to other origins pass through without a token, also when a redirect
// leads there. So do requests that have an Authorization header of their own.
//
// A body is repeated through Request.GetBody, which [http.NewRequest] sets for
// the usual readers. A request whose body can be read only once is sent with a
// token that is not due for renewal; if it is refused nevertheless, the error is
// [ErrBodyNotRepeatable].
type Transport struct {
	source  *Source
	base    http.RoundTripper
	origins []origin
}

type origin struct{ scheme, host string }

// NewTransport returns a transport that sends the source's tokens to the given
// origins, such as "https://api.example.com", and nowhere else. base makes the
// requests; nil is [http.DefaultTransport].
func NewTransport(s *Source, base http.RoundTripper, origins ...string) (*Transport, error) {
	if s == nil {
		return nil, errors.New("client: a transport needs a source")
	}
	if len(origins) == 0 {
		return nil, errors.New(`client: a transport needs the origins that may get the token, such as "https://api.example.com"`)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{source: s, base: base}
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf(`client: %q is no origin; it should look like "https://api.example.com" or "http://127.0.0.1:9000"`, redactURL(u, o))
		}
		n := originOf(u)
		if n.scheme != "https" && n.scheme != "http" {
			return nil, fmt.Errorf("client: origin %q: the scheme must be https or http", o)
		}
		if n.scheme == "http" && !s.insecure && !isLoopback(u.Hostname()) {
			return nil, fmt.Errorf("client: origin %q would get access tokens unencrypted; use https, or set Config.InsecureHTTP", o)
		}
		t.origins = append(t.origins, n)
	}
	return t, nil
}

// originOf is the origin of u in one spelling (RFC 6454 §4).
func originOf(u *url.URL) origin {
	o := origin{strings.ToLower(u.Scheme), strings.ToLower(u.Host)}
	if o.scheme == "https" {
		o.host = strings.TrimSuffix(o.host, ":443")
	} else if o.scheme == "http" {
		o.host = strings.TrimSuffix(o.host, ":80")
	}
	return o
}

func (t *Transport) allows(u *url.URL) bool {
	for _, o := range t.origins { // as it is usually spelled
		if u.Scheme == o.scheme && u.Host == o.host {
			return true
		}
	}
	n := originOf(u)
	for _, o := range t.origins {
		if n == o {
			return true
		}
	}
	return false
}

// RoundTrip implements [http.RoundTripper]. Besides the base transport's errors
// it returns those of [Source.Token] and [ErrBodyNotRepeatable].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil || !t.allows(req.URL) || len(req.Header["Authorization"]) > 0 {
		return t.base.RoundTrip(req)
	}
	ask := t.source.usable
	if !repeatable(req) {
		ask = t.source.fresh
	}
	g, err := ask(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	res, err := t.send(req, req.Body, g)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		return res, err
	}
	return t.refused(req, res, g)
}

// refused repeats a request that got a 401, if that may help.
func (t *Transport) refused(req *http.Request, res *http.Response, g *grant) (*http.Response, error) {
	why := readRefusal(res.Header)
	if !why.renew || !t.source.worthRenewing(g, why.grantsChanged) {
		return res, nil
	}
	drain(res.Body)
	g.refused.Store(true)
	g, err := t.source.newer(req.Context(), g)
	if err != nil {
		return nil, err
	}
	if !repeatable(req) {
		return nil, fmt.Errorf("client: %s request: %w", req.Method, ErrBodyNotRepeatable)
	}
	body := req.Body
	if req.GetBody != nil {
		if body, err = req.GetBody(); err != nil {
			return nil, fmt.Errorf("client: the request's body for the repetition: %w", err)
		}
	}
	return t.send(req, body, g)
}

// send makes one attempt with g's token. The response keeps the caller's request,
// not the one with the token in it.
func (t *Transport) send(req *http.Request, body io.ReadCloser, g *grant) (*http.Response, error) {
	res, err := t.base.RoundTrip(authorized(req, body, g))
	if err != nil {
		return nil, err
	}
	res.Request = req
	if res.StatusCode != http.StatusUnauthorized && !g.accepted.Load() {
		g.accepted.Store(true)
	}
	return res, nil
}

// authorized is a copy of req that carries g's token. It is one allocation and
// a map: the header's values are shared, but with no room behind them, so that
// adding to one does not reach the caller's request.
func authorized(req *http.Request, body io.ReadCloser, g *grant) *http.Request {
	c := &struct {
		req http.Request
		url url.URL
	}{*req, *req.URL}
	c.req.URL = &c.url
	c.req.Body = body
	c.req.Header = maps.Clone(req.Header)
	if c.req.Header == nil {
		c.req.Header = make(http.Header, 1)
	}
	for name, values := range req.Header {
		if len(values) < cap(values) {
			c.req.Header[name] = values[:len(values):len(values)]
		}
	}
	c.req.Header["Authorization"] = g.header
	return &c.req
}

// repeatable reports whether the request can be sent twice.
func repeatable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // what it says no longer matters
	}
}

// drain reads a short rest so that the connection can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 16<<10)
	_ = body.Close()
}

// CloseIdleConnections closes those of the base transport, for
// [http.Client.CloseIdleConnections].
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
