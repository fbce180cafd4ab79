package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// kind of a call.
type kind uint8

const (
	signIn kind = iota
	renew
	confirm
	signOut
	use // of an access token
)

// answer to a call, as far as it says anything about the session.
type answer uint8

const (
	unknown answer = iota // lost: it may have been carried out, also later
	undone                // it was certainly not carried out
	granted               // with a new refresh token, or as was asked
	bare                  // with an access token alone
	refused
)

var answerNames = [...]string{"unknown", "undone", "granted", "bare", "refused"}
var kindNames = [...]string{"sign-in", "renew", "confirm", "sign-out", "use"}

// op is one call of a client and what became of it. Times count from the start
// of the run.
type op struct {
	kind      kind
	answer    answer
	thief     bool
	client    int
	node      int
	status    int
	session   rotation.SessionID
	presented rotation.Token
	minted    rotation.Token // of an answer that is granted
	call, ret time.Duration
}

// recorder collects what happens. A call is in it when its answer is known.
type recorder struct {
	began    time.Time
	renewals atomic.Int64 // granted, to honest clients

	mu    sync.Mutex
	ops   []op
	wrong []string // answers that a server must not give
}

func (r *recorder) now() time.Duration { return time.Since(r.began) }

func (r *recorder) add(o op) {
	if o.kind == renew && o.answer == granted && !o.thief {
		r.renewals.Add(1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, o)
}

func (r *recorder) complain(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, what)
}

// line is the way of one client to the nodes: a balancer that keeps to a node
// until there is trouble. It writes down what passes.
type line struct {
	w      *world
	client int
	thief  bool

	mu     sync.Mutex
	random *rand.Rand
	node   int
	alive  []message // requests that may still be on their way
}

// message is a request without an answer.
type message struct {
	node        int
	incarnation int64 // of the node: when it dies, so do the requests in it
	until       time.Duration
}

func newLine(w *world, client int, thief bool, random *rand.Rand) *line {
	return &line{w: w, client: client, thief: thief, random: random, node: random.IntN(len(w.nodes))}
}

// calm is how long to wait until no earlier request can arrive any more.
func (l *line) calm() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wait time.Duration
	now, rest := l.w.rec.now(), l.alive[:0]
	for _, m := range l.alive {
		if m.until > now && l.w.nodes[m.node].incarnation.Load() == m.incarnation {
			rest = append(rest, m)
			wait = max(wait, m.until-now)
		}
	}
	l.alive = rest
	return wait
}

// lost notes a request that may arrive yet: in the process that was there when
// it was given up, which may already be another one than at its call.
func (l *line) lost(o op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alive = append(l.alive, message{o.node, l.w.nodes[o.node].incarnation.Load(), o.ret + l.w.Life})
}

// choose returns the node to go to, after trouble another one.
func (l *line) choose(trouble bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if trouble || l.random.IntN(10) == 0 {
		l.node = l.random.IntN(len(l.w.nodes))
	}
	return l.node
}

var kinds = map[string]kind{wire.PathLogin: signIn, wire.PathRefresh: renew, wire.PathConfirm: confirm, wire.PathLogout: signOut, wire.PathMe: use}

// RoundTrip is http.RoundTripper.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	o := op{kind: kinds[strings.TrimPrefix(r.URL.Path, wire.DefaultBasePath)], client: l.client, thief: l.thief, node: l.choose(false)}
	body, err := l.presented(r, &o)
	if err != nil {
		return nil, err
	}
	n := l.w.nodes[o.node]
	var sent atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	out := r.Clone(ctx)
	out.URL.Host, out.Host, out.Body = n.front.addr, r.URL.Host, io.NopCloser(bytes.NewReader(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }

	o.call = l.w.rec.now()
	resp, err := l.w.transport.RoundTrip(out)
	var data []byte
	if err == nil {
		data, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(data))
	}
	o.ret = l.w.rec.now()
	switch {
	case err == nil:
		o.status = resp.StatusCode
		l.judge(&o, resp, data)
	case !sent.Load():
		o.answer = undone
	case o.kind != signIn && o.kind != use:
		l.lost(o)
	}
	if err != nil || o.status >= 500 {
		l.choose(true)
	}
	if o.session != (rotation.SessionID{}) && o.answer != undone {
		l.w.rec.add(o)
	}
	return resp, err
}

// presented reads what the request presents, and returns its body.
func (l *line) presented(r *http.Request, o *op) (body []byte, err error) {
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	var given struct {
		RefreshToken string `json:"refresh_token"`
	}
	switch o.kind {
	case signIn:
		return body, nil
	case use:
		o.session = sessionOf(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		return body, nil
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &given); err != nil {
			return nil, err
		}
	}
	if given.RefreshToken == "" {
		c, err := r.Cookie(wire.CookieRefresh)
		if err != nil {
			return nil, errors.New("nothing is presented")
		}
		given.RefreshToken = c.Value
	}
	o.presented, err = parseToken(given.RefreshToken)
	o.session = o.presented.Session
	return body, err
}

// judge reads an answer.
func (l *line) judge(o *op, resp *http.Response, data []byte) {
	switch code := problemCode(data); {
	case resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests:
		// The decision that the caller waited for is over, and made or not.
		return
	case o.kind == use && resp.StatusCode == http.StatusUnauthorized,
		o.kind != use && o.kind != signIn && resp.StatusCode == http.StatusBadRequest && code == wire.CodeInvalidGrant:
		o.answer = refused
		return
	case resp.StatusCode == http.StatusNoContent && (o.kind == signOut || o.kind == confirm), resp.StatusCode == http.StatusOK && o.kind == use:
		o.answer = granted
		return
	case resp.StatusCode == http.StatusOK && (o.kind == signIn || o.kind == renew):
		l.judgeTokens(o, resp, data)
		return
	default:
		l.w.rec.complain(kindNames[o.kind] + " was answered with " + resp.Status + " " + code)
	}
}

func (l *line) judgeTokens(o *op, resp *http.Response, data []byte) {
	var a wire.TokenResponse
	if err := json.Unmarshal(data, &a); err != nil {
		l.w.rec.complain("an answer can't be read: " + err.Error())
		return
	}
	for _, c := range resp.Cookies() {
		if c.Name == wire.CookieRefresh {
			a.RefreshToken = c.Value
		}
	}
	o.answer = bare
	if a.RefreshToken != "" {
		o.answer = granted
		t, err := parseToken(a.RefreshToken)
		if err != nil {
			l.w.rec.complain(err.Error())
		}
		o.minted = t
		if o.kind == signIn {
			o.session = t.Session
		}
	}
	if sid := sessionOf(a.AccessToken); sid != o.session || a.Session.ID != o.session.String() || o.minted != (rotation.Token{}) && o.minted.Session != sid {
		l.w.rec.complain("an answer about session " + o.session.String() + " holds tokens of another one")
	}
}

func problemCode(data []byte) string {
	var p wire.Problem
	_ = json.Unmarshal(data, &p) // what is none has no code
	return p.Code
}
