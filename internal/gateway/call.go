package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// call is one request on its way through.
type call struct {
	gateway  *Gateway
	rule     *rule // nil: an access token is enough
	upstream *upstream
	token    *verify.Token // nil: anonymous
	signed   string        // identity

	control    *http.ResponseController
	cancel     context.CancelFunc
	stream     *stream // nil: the response ends by itself
	tunnel     *tunnel // nil: no WebSocket
	ws, plain  bool    // a WebSocket is asked for; with the plain subprotocol
	hijacked   bool
	bodyFailed atomic.Bool
	err        error
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// own is a request that may be changed, without the server's time limit for
// reading, which is for requests that end soon.
func (c *call) own(r *http.Request) *http.Request {
	r = r.WithContext(r.Context()) // a shallow copy
	limit := time.Time{}
	if r.Body != nil && r.Body != http.NoBody {
		limit = time.Now().Add(c.gateway.stall)
		r.Body = &body{r.Body, c.control, c.gateway.stall, func() { c.bodyFailed.Store(true) }}
	}
	_ = c.control.SetReadDeadline(limit)
	if r.Header["Upgrade"] != nil || r.Header[protocolHeader] != nil {
		r.Header = r.Header.Clone()
		c.webSocket(r)
	}
	return r
}

// webSocket finds out whether one is asked for, and puts the access token where
// it is looked for and where the upstream expects it. Other upgrades are not
// passed on: what is spoken after them (HTTP/2 in clear text, say) would go
// past every rule.
func (c *call) webSocket(r *http.Request) {
	if c.ws = isWebSocket(r); !c.ws {
		r.Header.Del("Upgrade")
	}
	token, plain := unwrapProtocols(r.Header)
	c.plain = plain
	if token != "" && c.ws && r.Header["Authorization"] == nil {
		r.Header.Set("Authorization", "Bearer "+token)
	}
}

// authorize is verify.Verifier's middleware for the rule of the path.
func (c *call) authorize(r *http.Request) (*verify.Token, error) {
	t, err := c.gateway.Verifier.Authenticate(r)
	if c.rule == nil {
		return t, err
	}
	if c.rule.public && errors.Is(err, verify.ErrNoCredential) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return t, verify.Allow(t, c.rule.permissions...)
}

func (c *call) forward(w http.ResponseWriter, r *http.Request) error {
	g := c.gateway
	if c.token != nil && g.Sign != nil {
		var err error
		if c.signed, err = g.Sign(claims(c.token, c.upstream.origin, g.Clock())); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), callKey{}, c))
	defer cancel()
	c.cancel = cancel
	defer func() { // also when the response broke off, which is a panic
		if c.stream != nil {
			g.streams.remove(c.stream)
			c.stream.done()
		}
	}()
	g.proxy.ServeHTTP(&hijackable{ResponseWriter: w, call: c}, r.WithContext(ctx))
	var refused errRefused
	if errors.As(c.err, &refused) {
		g.Verifier.WriteError(w, r, refused.error)
		return nil
	}
	return c.err
}

// rewrite makes the request to the upstream. Hop-by-hop headers, among them
// those that Connection names, have been taken out before, so nothing that is
// set here can be taken out by a caller.
func (g *Gateway) rewrite(p *httputil.ProxyRequest) {
	c := callOf(p.In.Context())
	p.Out.URL.Scheme, p.Out.URL.Host = c.upstream.url.Scheme, c.upstream.url.Host
	p.Out.URL.User = nil
	p.Out.URL.RawQuery = p.In.URL.RawQuery // nothing was decided on it, so it stays as it is
	p.Out.Trailer = nil                    // could not be looked through
	strip(p.Out.Header)
	remote, _, err := net.SplitHostPort(p.In.RemoteAddr)
	if err != nil {
		remote = p.In.RemoteAddr
	}
	forwarded(p.In, p.Out, g.Trusted(p.In), remote, g.Scheme)
	if !c.upstream.keep {
		c.upstream.replace(p.Out.URL)
		if c.upstream.text != "/" {
			p.Out.Header.Set("X-Forwarded-Prefix", c.upstream.text)
		}
	}
	if c.token == nil {
		return
	}
	Identify(p.Out.Header, c.token)
	if c.signed != "" {
		p.Out.Header.Set(wire.HeaderIdentity, c.signed)
	}
}

// replace puts the path of the upstream's URL in place of the prefix. The rest
// stays as the caller wrote it.
func (u *upstream) replace(out *url.URL) {
	rest := out.EscapedPath()
	for range u.segments {
		i := strings.IndexByte(rest[1:], '/')
		if i < 0 {
			rest = ""
			break
		}
		rest = rest[1+i:]
	}
	escaped := u.url.EscapedPath()
	if rest != "" {
		escaped = strings.TrimSuffix(escaped, "/") + rest
	}
	path, err := url.PathUnescape(escaped)
	if err != nil { // both halves were parsed
		panic(err)
	}
	out.Path, out.RawPath = path, escaped
}

// errRefused wraps an error of verification after the request was sent.
type errRefused struct{ error }

// responded looks at an upstream's response before it is passed on.
func (g *Gateway) responded(res *http.Response) error {
	c := callOf(res.Request.Context())
	withoutOwnSet(res.Header)
	if g.CORS {
		for name := range res.Header {
			if name != "Access-Control-Expose-Headers" && strings.HasPrefix(name, "Access-Control-") {
				delete(res.Header, name)
			}
		}
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		body, ok := res.Body.(io.ReadWriteCloser)
		if !ok || !c.ws {
			return ErrUpstream
		}
		if c.plain && res.Header.Get(protocolHeader) == "" {
			res.Header.Set(protocolHeader, wire.SubprotocolPlain)
		}
		c.tunnel = &tunnel{ReadWriteCloser: body}
		res.Body = c.tunnel
	}
	if c.token != nil && (c.tunnel != nil || res.ContentLength < 0 && res.Body != http.NoBody) {
		return c.follow(res.Request.Context())
	}
	return nil
}

// follow ties a response of unknown length to its session.
func (c *call) follow(ctx context.Context) error {
	t := c.token
	s := &stream{session: t.SessionID(), user: t.Subject(), grants: t.GrantsVersion(), end: c.end}
	c.stream = s
	c.gateway.streams.add(s)
	// What ended before it was added is known by now, what ends from now on is
	// told to it.
	if err := c.gateway.Liveness.Live(ctx, t); err != nil {
		s.done()
		return errRefused{err}
	}
	go c.gateway.watch(ctx, s, t.ExpiresAt())
	return nil
}

// end cuts a response short: a WebSocket by a close frame, others in the middle,
// which clients tell from an end.
func (c *call) end(e *ending) {
	if c.tunnel != nil {
		c.tunnel.end(e)
	} else {
		_ = c.control.SetWriteDeadline(time.Now()) // it may be waiting for a slow reader
	}
	c.cancel()
}

// failed takes down why there is no response; nothing has been written.
func (g *Gateway) failed(_ http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r.Context())
	var timeout net.Error
	var dial *net.OpError
	switch {
	case errors.As(err, new(errRefused)):
		c.err = err
	case c.hijacked:
		c.err = nil // too late for a response
	case c.bodyFailed.Load():
		c.err = ErrBody
	case r.Context().Err() != nil:
		c.err = nil // the caller is gone
	case errors.As(err, &dial) && dial.Op == "dial":
		c.err = ErrUpstream
	case errors.As(err, &timeout) && timeout.Timeout():
		c.err = ErrUpstreamSlow
	default:
		c.err = ErrUpstream
	}
	if c.err == ErrUpstream || c.err == ErrUpstreamSlow {
		g.Logger.Error("an upstream did not respond; the caller was told so", "upstream", c.upstream.text+"="+c.upstream.url.String(), "error", err)
	}
}
