package verify

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults and limits of a [KeySet].
const (
	DefaultRefreshEvery = 5 * time.Minute
	DefaultCooldown     = 10 * time.Second
	DefaultMaxStale     = 24 * time.Hour

	fetchTimeout  = 5 * time.Second
	firstRetry    = time.Second
	maxKeySetBody = 256 << 10
)

// KeySetConfig says where a key set is and how it is kept.
type KeySetConfig struct {
	// URL of the JWK Set. https, or http on a loopback host.
	URL string
	// InsecureHTTP allows http elsewhere: whoever sits on the way can then forge
	// tokens.
	InsecureHTTP bool
	// Client fetches the set. Nil: one that follows no redirects.
	Client *http.Client
	// RefreshEvery is the age at which the set is fetched again, in the
	// background while it is in use. It is how long a withdrawn key can still be
	// accepted (twice that when requests are rare), and must be shorter than the
	// time between an issuer's announcing a key and using it. Zero: 5 min.
	RefreshEvery time.Duration
	// Cooldown is the least time between two fetches that tokens with an unknown
	// kid can cause, and the most between attempts when fetching fails (they
	// start at 1 s). Zero: 10 s.
	Cooldown time.Duration
	// MaxStale is how long the last good set is used when the issuer does not
	// answer; after that the response is ErrKeysUnavailable. Zero: 24 h.
	MaxStale time.Duration
	// Clock is the time. Nil: time.Now.
	Clock func() time.Time
	// OnError is told of each fetch that failed, for the log. May be nil.
	OnError func(error)
}

// KeySet is the issuer's JWK Set (RFC 7517), fetched when first needed and kept
// fresh from then on. It runs no goroutine while nobody asks, and returns known
// keys from memory without a lock. At most one fetch is under way at a time.
type KeySet struct {
	c   KeySetConfig
	set atomic.Pointer[fetched]

	mu       sync.Mutex
	fetch    chan struct{} // closed when the fetch under way is over; nil: none
	next     time.Time     // no fetch before that
	failures int           // in a row
	failed   atomic.Bool   // failures > 0
}

// fetched is a key set and when it was asked for.
type fetched struct {
	keys StaticKeys
	at   time.Time
}

// NewKeySet checks c; it fetches nothing yet (see [KeySet.Refresh]).
func NewKeySet(c KeySetConfig) (*KeySet, error) {
	if err := checkURL("KeySetConfig.URL", c.URL, c.InsecureHTTP); err != nil {
		return nil, err
	}
	if c.RefreshEvery < 0 || c.Cooldown < 0 || c.MaxStale < 0 {
		return nil, errors.New("verify: RefreshEvery, Cooldown and MaxStale of KeySetConfig cannot be negative")
	}
	if c.Client == nil {
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	c.RefreshEvery = orElse(c.RefreshEvery, DefaultRefreshEvery)
	c.Cooldown = orElse(c.Cooldown, DefaultCooldown)
	c.MaxStale = max(orElse(c.MaxStale, DefaultMaxStale), c.RefreshEvery)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &KeySet{c: c}, nil
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// checkURL refuses anything but https, and http where nobody can listen in.
func checkURL(name, raw string, insecure bool) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("verify: %s must be an absolute https URL without user information", name)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme == "http" && !loopback && !insecure {
		return fmt.Errorf("verify: %s uses plain http to %s, where it could be tampered with: use https, or set InsecureHTTP", name, u.Hostname())
	}
	return nil
}

// Key returns the key with that id. Known keys of a fresh set are returned at
// once; an unknown kid causes a fetch, within the cooldown, that the caller waits
// for as long as ctx allows.
func (s *KeySet) Key(ctx context.Context, kid string) (crypto.PublicKey, error) {
	now := s.c.Clock()
	set := s.set.Load()
	if set != nil {
		age := now.Sub(set.at)
		if age < 0 { // the clock went back: nothing is known about the age
			age = s.c.RefreshEvery
		}
		if key, ok := set.keys[kid]; ok {
			switch {
			case age < s.c.RefreshEvery:
				return key, nil
			// After a long pause it is worth a wait, unless the issuer is known
			// not to respond.
			case age < 2*s.c.RefreshEvery, s.failed.Load() && age < s.c.MaxStale:
				s.start(now, false)
				return key, nil
			}
		}
	}
	if done := s.start(now, false); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, ctx.Err())
		}
	}
	set = s.set.Load()
	if set == nil || now.Sub(set.at) >= s.c.MaxStale {
		return nil, ErrKeysUnavailable
	}
	if key, ok := set.keys[kid]; ok {
		return key, nil
	}
	if s.failed.Load() { // it may be a new key
		return nil, ErrKeysUnavailable
	}
	return nil, ErrUnknownKey
}

// Refresh fetches the set now: at start-up, or when the issuer says that its keys
// have changed. A fetch that is under way may have asked before they had, so it
// is waited for and followed by another one. On error the last good set stays.
func (s *KeySet) Refresh(ctx context.Context) error {
	s.mu.Lock()
	under := s.fetch
	s.mu.Unlock()
	if under != nil {
		select {
		case <-under:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrKeysUnavailable, ctx.Err())
		}
	}
	select {
	case <-s.start(s.c.Clock(), true):
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrKeysUnavailable, ctx.Err())
	}
	if s.failed.Load() {
		return ErrKeysUnavailable
	}
	return nil
}

// start begins a fetch if none is under way and one is due (or forced), and
// returns what is closed at its end; nil if there is nothing to wait for. The
// fetch belongs to no caller: one that goes away does not end it for others.
func (s *KeySet) start(now time.Time, force bool) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetch != nil {
		return s.fetch
	}
	// A clock that went back must not put off the next fetch for long.
	if !force && now.Before(s.next) && s.next.Sub(now) <= s.c.Cooldown {
		return nil
	}
	done := make(chan struct{})
	s.fetch = done
	go func() {
		keys, err := s.load()
		s.finish(now, keys, err)
		close(done)
		if err != nil && s.c.OnError != nil {
			s.c.OnError(err)
		}
	}()
	return done
}

func (s *KeySet) finish(began time.Time, keys StaticKeys, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetch = nil
	if err == nil {
		s.set.Store(&fetched{keys, began})
		s.failures, s.next = 0, began.Add(s.c.Cooldown)
	} else {
		s.next = s.c.Clock().Add(min(firstRetry<<min(s.failures, 10), s.c.Cooldown))
		s.failures++
	}
	s.failed.Store(err != nil)
}

// load fetches and parses the set. Its errors name no part of the response.
func (s *KeySet) load() (StaticKeys, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.c.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("verify: fetching the key set: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.c.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("verify: fetching the key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("verify: fetching the key set: %s responded with %d instead of 200", s.c.URL, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySetBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("verify: reading the key set: %w", err)
	case len(body) > maxKeySetBody:
		return nil, fmt.Errorf("verify: the key set at %s is larger than %d bytes", s.c.URL, maxKeySetBody)
	}
	return ParseJWKS(body)
}
