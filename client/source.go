package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how a [Source] works. Only URL is needed.
type Config struct {
	// URL is the auth server's base URL with its base path, such as
	// "https://example.com/auth".
	URL string
	// Store keeps the session; nil is a new [MemoryStore].
	Store TokenStore
	// HTTP makes the calls to the auth server; nil is [http.DefaultTransport].
	// It must not be a [Transport] of the same source.
	HTTP http.RoundTripper
	// InsecureHTTP allows a URL, and origins of a [Transport], without TLS on
	// hosts that are not this computer.
	InsecureHTTP bool

	// RenewAt is the part of a token's lifetime after which it is renewed ahead
	// of need, between 0 and 1; 0 means 0.8. A little is taken off at random,
	// so that fleets do not renew in step.
	RenewAt float64
	// Leeway is how long before its end a token is no longer used, for what the
	// request needs to arrive; 0 means 10 s. It is at most a tenth of the
	// lifetime.
	Leeway time.Duration
	// RenewTimeout bounds a renewal with all its attempts and its wait for the
	// store's lock; 0 means 30 s. One attempt may take a third of it.
	RenewTimeout time.Duration
	// Confirm tells the server at once that a new refresh token was stored, at
	// the price of one call: a stolen older one is then dead at once instead of
	// one access lifetime later (PROTOCOL.md, "confirm").
	Confirm bool

	// OnSignedOut is called when the session turns out to be over without this
	// source's SignOut, once per session, on a goroutine of its own. It may
	// call the source.
	OnSignedOut func(*SignedOutError)
}

const (
	defaultRenewAt      = 0.8
	defaultLeeway       = 10 * time.Second
	defaultRenewTimeout = 30 * time.Second
	renewSpread         = 0.05 // of the age at which a token is renewed ahead
)

// Source hands out the access tokens of one session and renews them. It is safe
// for any number of goroutines; a program needs one per session.
type Source struct {
	server       *server
	insecure     bool
	store        TokenStore
	renewAt      float64
	leeway       time.Duration
	renewTimeout time.Duration
	confirm      bool
	onSignedOut  func(*SignedOutError)
	random       func() float64 // in [0,1)

	ctx   context.Context // ends with Close
	close context.CancelFunc
	work  sync.WaitGroup // renewals that are running

	// cur is the grant in use; never nil. It is replaced under mu.
	cur atomic.Pointer[grant]

	// flight is the renewal that is running, if any. It is replaced under mu.
	flight atomic.Pointer[flight]

	mu      sync.Mutex
	backoff backoff
	budget  budget
	session string // the last known session, until its end was told
	closed  bool
}

// New returns a source on the session in cfg.Store, if there is one; it reads
// the store when it is first asked for a token. It starts nothing.
func New(cfg Config) (*Source, error) {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultTransport
	}
	srv, err := newServer(cfg.URL, cfg.InsecureHTTP, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	if cfg.RenewAt < 0 || cfg.RenewAt >= 1 {
		return nil, fmt.Errorf("client: Config.RenewAt is %v; it must be at least 0 and less than 1", cfg.RenewAt)
	}
	if cfg.Leeway < 0 || cfg.RenewTimeout < 0 {
		return nil, errors.New("client: Config.Leeway and Config.RenewTimeout must not be negative")
	}
	if cfg.Store == nil {
		cfg.Store = NewMemoryStore()
	}
	s := &Source{
		server: srv, insecure: cfg.InsecureHTTP, store: cfg.Store, confirm: cfg.Confirm, onSignedOut: cfg.OnSignedOut,
		renewAt: orDefault(cfg.RenewAt, defaultRenewAt), leeway: orDefault(cfg.Leeway, defaultLeeway),
		renewTimeout: orDefault(cfg.RenewTimeout, defaultRenewTimeout), random: rand.Float64,
	}
	s.ctx, s.close = context.WithCancel(context.Background())
	s.cur.Store(none())
	return s, nil
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Close ends a renewal that is running and waits for it. The session stays in
// the store. After it every call fails with [ErrClosed].
func (s *Source) Close() {
	s.mu.Lock()
	s.closed = true
	s.cur.Store(none())
	s.mu.Unlock()
	s.close()
	s.work.Wait()
}

// Token returns an access token that is good for at least [Config.Leeway],
// renewing it first if need be. ctx bounds the wait only: a renewal goes on for
// those who still wait for it.
func (s *Source) Token(ctx context.Context) (Token, error) {
	g, err := s.usable(ctx)
	if err != nil {
		return Token{}, err
	}
	return g.token, nil
}

// Renew returns a token other than old, which an API has just refused: the
// current one if old was replaced meanwhile, else a new one. It is for
// protocols that [Transport] does not speak, such as gRPC or a WebSocket's
// hello. Call it once per refusal: an API that refuses every token would
// otherwise make every call a renewal.
func (s *Source) Renew(ctx context.Context, old Token) (Token, error) {
	g := s.cur.Load()
	if g.token.AccessToken != old.AccessToken {
		return s.Token(ctx)
	}
	g, err := s.newer(ctx, g)
	if err != nil {
		return Token{}, err
	}
	return g.token, nil
}

// usable is the hot path: a fresh token costs a load and a look at the clock.
func (s *Source) usable(ctx context.Context) (*grant, error) {
	g := s.cur.Load()
	age := g.age(time.Now())
	if age < g.renewFrom {
		return g, nil
	}
	if age < g.usableFor {
		s.renewAhead(g)
		return g, nil
	}
	return s.newer(ctx, g)
}

// fresh is usable for a request that cannot be repeated: a token that is due is
// renewed first. If that fails for now, one that is still good has to do.
func (s *Source) fresh(ctx context.Context) (*grant, error) {
	g := s.cur.Load()
	age := g.age(time.Now())
	if age < g.renewFrom {
		return g, nil
	}
	n, err := s.newer(ctx, g)
	if _, temporary := errors.AsType[*TemporaryError](err); temporary && g.usable(time.Now()) {
		return g, nil
	}
	return n, err
}

// renewAhead starts a renewal of g that nobody waits for.
func (s *Source) renewAhead(g *grant) {
	if !s.mu.TryLock() { // someone is at it
		return
	}
	defer s.mu.Unlock()
	if !s.closed && s.flight.Load() == nil && s.cur.Load() == g && s.backoff.pending(time.Now()) == nil {
		s.takeOff(g)
	}
}

// newer returns a usable grant other than old, waiting for a renewal if need be.
func (s *Source) newer(ctx context.Context, old *grant) (*grant, error) {
	f, g, err := s.join(old)
	if f == nil {
		return g, err
	}
	ended := ctx.Done()
	if ended == nil { // a herd that waits for one thing only wakes up sooner
		<-f.done
		return f.grant, f.err
	}
	select {
	case <-f.done:
		return f.grant, f.err
	case <-ended:
		return nil, fmt.Errorf("client: waiting for an access token: %w", ctx.Err())
	}
}

// join returns what there is instead of old, or the renewal to wait for.
func (s *Source) join(old *grant) (*flight, *grant, error) {
	// A herd does not queue for the lock: a renewal of old is the one to wait
	// for, even if it is over by now.
	if f := s.flight.Load(); f != nil && f.stale == old {
		return f, nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	now := time.Now()
	cur := s.cur.Load()
	if cur != old && cur.usable(now) {
		return nil, cur, nil
	}
	if f := s.flight.Load(); f != nil {
		return f, nil, nil
	}
	if err := s.backoff.pending(now); err != nil {
		return nil, nil, err
	}
	return s.takeOff(cur), nil, nil
}
