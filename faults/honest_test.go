package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/wire"
)

// errRefused: the server says that the session is over.
var errRefused = errors.New("refused")

// holder is a client with one session. Its calls make one attempt.
type holder interface {
	signIn(ctx context.Context) error
	// renew presents what the holder has and keeps what comes back. It returns
	// errRefused if the session is over; any other error is temporary.
	renew(ctx context.Context) error
	signOut(ctx context.Context) error
	access() string // the last access token
	token() string  // the refresh token; empty: none, or not to be copied
}

// agent makes calls in the name of one user.
type agent struct {
	name string
	line *line
	http *http.Client

	mu    sync.Mutex
	last  string // access token
	token string // body delivery
}

func newAgent(w *world, l *line, name string) *agent {
	return &agent{name: name, line: l, http: &http.Client{Transport: l, Timeout: w.Patience}}
}

func (a *agent) post(ctx context.Context, path string, body any, h http.Header) (tokens wire.TokenResponse, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return tokens, err
	}
	r, err := http.NewRequestWithContext(ctx, "POST", publicURL+wire.DefaultBasePath+path, bytes.NewReader(b))
	if err != nil {
		return tokens, err
	}
	for k, v := range h {
		r.Header[k] = v
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(r)
	if err != nil {
		return tokens, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil {
			return tokens, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.last = tokens.AccessToken
		return tokens, nil
	case http.StatusNoContent:
		return tokens, nil
	case http.StatusBadRequest:
		return tokens, errRefused
	}
	after, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0: it does not say
	return tokens, &laterError{resp.Status, time.Duration(after) * time.Second}
}

// laterError is a server that asks to be asked again later.
type laterError struct {
	status string
	after  time.Duration
}

func (e *laterError) Error() string { return e.status }

func (a *agent) access() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// bodyHolder keeps its token as a program does.
type bodyHolder struct{ *agent }

func (h bodyHolder) token() string {
	h.agent.mu.Lock()
	defer h.agent.mu.Unlock()
	return h.agent.token
}

func (h bodyHolder) keep(token string) {
	h.agent.mu.Lock()
	defer h.agent.mu.Unlock()
	h.agent.token = token
}

func (h bodyHolder) signIn(ctx context.Context) error {
	t, err := h.post(ctx, wire.PathLogin, wire.LoginRequest{Username: h.name, Password: h.name, Delivery: wire.DeliveryBody}, nil)
	if err == nil {
		h.keep(t.RefreshToken)
	}
	return err
}

func (h bodyHolder) renew(ctx context.Context) error {
	t, err := h.post(ctx, wire.PathRefresh, wire.RefreshRequest{RefreshToken: h.token()}, nil)
	if err == nil && t.RefreshToken != "" {
		h.keep(t.RefreshToken)
	}
	return err
}

func (h bodyHolder) signOut(ctx context.Context) error {
	_, err := h.post(ctx, wire.PathLogout, wire.LogoutRequest{RefreshToken: h.token()}, nil)
	return err
}

// cookieHolder is a browser.
type cookieHolder struct{ *agent }

var jarURL = &url.URL{Scheme: "http", Host: "tacet.localhost", Path: wire.DefaultBasePath + wire.PathRefresh}

func newCookieHolder(a *agent) cookieHolder {
	a.http.Jar, _ = cookiejar.New(nil) // never fails
	return cookieHolder{a}
}

func (h cookieHolder) cookie(name string) string {
	for _, c := range h.http.Jar.Cookies(jarURL) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (h cookieHolder) token() string { return h.cookie(wire.CookieRefresh) }

func (h cookieHolder) csrf() http.Header {
	return http.Header{http.CanonicalHeaderKey(wire.HeaderCSRF): {h.cookie(wire.CookieCSRF)}}
}

func (h cookieHolder) signIn(ctx context.Context) error {
	_, err := h.post(ctx, wire.PathLogin, wire.LoginRequest{Username: h.name, Password: h.name}, nil)
	return err
}

func (h cookieHolder) renew(ctx context.Context) error {
	_, err := h.post(ctx, wire.PathRefresh, struct{}{}, h.csrf())
	return err
}

func (h cookieHolder) signOut(ctx context.Context) error {
	_, err := h.post(ctx, wire.PathLogout, struct{}{}, h.csrf())
	return err
}

// sourceHolder is a program that uses package client.
type sourceHolder struct {
	name   string
	source *client.Source
	cur    client.Token
}

func newSourceHolder(w *world, l *line, name string, confirms bool) (*sourceHolder, error) {
	s, err := client.New(client.Config{URL: publicURL + wire.DefaultBasePath, HTTP: l, RenewTimeout: 3 * w.Patience, Confirm: confirms})
	return &sourceHolder{name: name, source: s}, err
}

func (h *sourceHolder) signIn(ctx context.Context) error {
	_, err := h.source.SignIn(ctx, h.name, h.name)
	if err == nil {
		h.cur, err = h.source.Token(ctx)
	}
	return err
}

func (h *sourceHolder) renew(ctx context.Context) error {
	t, err := h.source.Renew(ctx, h.cur)
	if _, over := errors.AsType[*client.SignedOutError](err); over {
		return errRefused
	}
	if err == nil {
		h.cur = t
	}
	if temporary, ok := errors.AsType[*client.TemporaryError](err); ok {
		return &laterError{"", temporary.RetryAfter}
	}
	return err
}

func (h *sourceHolder) signOut(ctx context.Context) error { return h.source.SignOut(ctx) }
func (h *sourceHolder) access() string                    { return h.cur.AccessToken }
func (h *sourceHolder) token() string                     { return "" } // in its store, where a thief cannot reach it

// honest is a person with a session: mostly one client, sometimes two tabs that
// take turns.
type honest struct {
	w      *world
	number int
	line   *line
	holder

	turn   sync.Mutex // one call at a time, for all tabs
	random *rand.Rand
	in     bool // signed in
}

// newHonest makes the client with a number; it is of one kind in five.
func newHonest(w *world, number int) (*honest, error) {
	random := rand.New(rand.NewPCG(w.Seed, uint64(number)))
	l := newLine(w, number, false, random)
	h := &honest{w: w, number: number, line: l, random: rand.New(rand.NewPCG(w.Seed, uint64(number)+1<<32))}
	name := fmt.Sprint("u", number)
	var err error
	switch number % 5 {
	case 0, 1:
		h.holder = bodyHolder{newAgent(w, l, name)}
	case 2, 3: // 3 has two tabs
		h.holder = newCookieHolder(newAgent(w, l, name))
	case 4:
		h.holder, err = newSourceHolder(w, l, name, number%2 == 0)
	}
	return h, err
}

// live renews until the context ends.
func (h *honest) live(ctx context.Context) {
	var tabs sync.WaitGroup
	n := 1
	if h.number%5 == 3 {
		n = 2
	}
	for range n {
		tabs.Go(func() {
			for ctx.Err() == nil {
				h.round(ctx, false)
				wait(ctx, h.pause())
			}
		})
	}
	tabs.Wait()
}

func (h *honest) pause() time.Duration {
	h.turn.Lock()
	defer h.turn.Unlock()
	return h.w.Pace/2 + time.Duration(h.random.Int64N(int64(h.w.Pace)))
}

// round signs in if need be, else renews once and sometimes signs out. It waits
// until nothing of an earlier renewal can arrive any more, unless that does not
// matter.
func (h *honest) round(ctx context.Context, hurry bool) {
	h.turn.Lock()
	defer h.turn.Unlock()
	if !h.in {
		h.in = h.insist(ctx, h.signIn) == nil
		return
	}
	if !hurry {
		wait(ctx, h.line.calm())
	}
	if h.insist(ctx, h.renew) == errRefused {
		h.in = false
		h.w.haunt(h.access())
		return
	}
	if !hurry && ctx.Err() == nil && h.random.IntN(40) == 0 {
		old := h.access()
		if h.insist(ctx, h.signOut) == nil {
			h.in = false
			h.w.haunt(old)
		}
	}
}

// insist repeats a call, at growing intervals and not before the server wants it,
// until it has a clear answer or ctx is done.
func (h *honest) insist(ctx context.Context, call func(context.Context) error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := call(ctx)
		if err == nil || err == errRefused {
			return err
		}
		least := pause
		if later, ok := errors.AsType[*laterError](err); ok {
			least = max(pause, min(later.after, 2*time.Second))
		}
		wait(ctx, least+time.Duration(h.random.Int64N(int64(least))))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
