package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// What became of a request that was not served by the API. The caller of
// Serve translates them.
var (
	ErrMethod       = errors.New("gateway: the method is not for APIs")
	ErrNotFound     = errors.New("gateway: no upstream leads there")
	ErrUpstream     = errors.New("gateway: the upstream can't be reached or broke off")           // 502
	ErrUpstreamSlow = errors.New("gateway: the upstream did not respond in time")                 // 504
	ErrBody         = errors.New("gateway: the body of the request could not be read to its end") // 400
)

// Config is what a Gateway needs. All fields but Sign are required.
type Config struct {
	Table *Table
	// Verifier checks access tokens. Liveness is the one that it asks.
	Verifier *verify.Verifier
	Liveness verify.Liveness
	// Session returns when a session runs out if it is not renewed (zero:
	// never), or ErrSessionOver.
	Session func(ctx context.Context, id string) (expires time.Time, err error)
	// Sign makes a JWT of type wire.IdentityTokenType. Nil: identities are not
	// signed.
	Sign func(wire.AccessClaims) (string, error)
	// Trusted reports whether the peer of a request is a proxy whose
	// X-Forwarded-For and -Host are believed.
	Trusted func(*http.Request) bool
	// Scheme is that of the public URL.
	Scheme string
	// CORS is whether the caller sets the Access-Control headers, so that
	// those of upstreams are dropped.
	CORS bool
	// Timeout is how long an upstream may take from the end of the request to
	// the head of its response.
	Timeout time.Duration
	// Recheck is how often the session of an open stream is looked up at least.
	Recheck time.Duration
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Gateway is safe for concurrent use.
type Gateway struct {
	Config
	streams *streams
	stall   time.Duration // how long a caller may pause within a body
	proxy   *httputil.ReverseProxy
}

// Limits that need no setting.
const (
	dialTimeout  = 5 * time.Second
	defaultStall = time.Minute
	// farewell is how long a WebSocket's peer has to take the close frame.
	farewell  = 500 * time.Millisecond
	idleConns = 128 // per upstream
)

// New returns a Gateway.
func New(c Config) *Gateway {
	g := &Gateway{Config: c, streams: newStreams(), stall: defaultStall}
	g.proxy = &httputil.ReverseProxy{
		Rewrite:        g.rewrite,
		ModifyResponse: g.responded,
		ErrorHandler:   g.failed,
		ErrorLog:       slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
		Transport: &http.Transport{ // no Proxy: upstreams are not reached through HTTP_PROXY
			DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   dialTimeout,
			ResponseHeaderTimeout: c.Timeout,
			MaxIdleConns:          8 * idleConns,
			MaxIdleConnsPerHost:   idleConns,
			IdleConnTimeout:       90 * time.Second,
			ExpectContinueTimeout: time.Second,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true, // what the caller and the upstream agree on
		},
	}
	return g
}

// Serve passes a request on, or responds with the reason. The error says that nothing
// was written.
func (g *Gateway) Serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		return ErrMethod // TRACE would send the signed identity back to the caller
	}
	d, err := g.Table.match(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	who := g.Table.who(d)
	if d.upstream < 0 && who == nil {
		return ErrNotFound
	}
	c := &call{gateway: g, control: http.NewResponseController(w), rule: who}
	r = c.own(r)
	if _, encrypted := verify.EncryptedWith(r.Context()); d.encrypted && !encrypted {
		g.Verifier.WriteError(w, r, verify.ErrEncryptionRequired)
		return nil
	}
	if c.token, err = c.authorize(r); err != nil {
		g.Verifier.WriteError(w, r, err)
		return nil
	}
	if d.upstream < 0 {
		return ErrNotFound
	}
	c.upstream = &g.Table.upstreams[d.upstream]
	return c.forward(w, r)
}
