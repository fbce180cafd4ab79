package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
)

const (
	origin = "https://app.example.test"
	master = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"
)

// node is one machine; it runs one incarnation of the program at a time.
type node struct {
	w     *world
	index int
	skew  time.Duration // of its clock, ahead of the true time
	up    *incarnation  // nil while it is down
	since time.Time     // it answers since then
	begun int
}

// incarnation is one run of the program, from its start to its kill.
type incarnation struct {
	*node
	*app.App
	name   string
	store  *handle
	killed chan struct{}
}

func (in *incarnation) isDead() bool {
	select {
	case <-in.killed:
		return true
	default:
		return false
	}
}

func (n *node) clock() time.Time { return time.Now().Add(n.skew) }

// start runs the program, and again a second later if it does not come up.
func (n *node) start() {
	w := n.w
	if n.up != nil {
		return
	}
	// Its timers lie beside the grid, each node's at a place of its own.
	time.Sleep(time.Duration(1+n.index) * quantum / 16)
	n.begun++
	in := &incarnation{node: n, name: fmt.Sprintf("n%d.%d", n.index, n.begun), killed: make(chan struct{})}
	overlap := w.overlap
	if w.mutant.strict {
		overlap = 0
	}
	a, err := app.Open(context.Background(), app.Config{
		PublicURL: origin, MasterKey: master,
		AccessTTL: w.access, IdleTTL: w.idle + w.mutant.late, AbsoluteTTL: w.absolute + w.mutant.late, Overlap: new(overlap),
		OpenStore: func(hooks app.Hooks) (app.Store, error) {
			in.store = &handle{store: w.store, node: in, hooks: hooks, seen: w.store.version}
			return in.store, nil
		},
		Sessions: func(c *session.Config) {
			// What comes from here decides about lifetimes and the order of sessions;
			// other random numbers are names only.
			c.Rand = rand.NewChaCha8([32]byte{0: byte(n.index), 1: byte(n.begun), 2: byte(w.seed), 3: byte(w.seed >> 8), 4: byte(w.seed >> 16)})
			c.Authenticator = passwords{w}
			c.Directory = inTurn{c.Directory, in.store}
		},
		EventPoll: w.poll,
		Observe:   func(d session.Decided) { w.later(func() { w.oracle.decided(in, d) }) },
		Clock:     n.clock,
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.note("", "node %s does not start: %v", in.name, err)
		w.after(time.Second, n.start)
		return
	}
	in.App = a
	a.Start()
	n.up, n.since = in, time.Now()
	w.note("", "node %s starts, its clock is off by %v", in.name, n.skew)
}

// RoundTrip answers a resource server that comes for the key set.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, n := range w.nodes {
		if n.up != nil {
			rec := httptest.NewRecorder()
			n.up.Handler.ServeHTTP(rec, r)
			return rec.Result(), nil
		}
	}
	return nil, errDown
}

// resourceServer checks tokens elsewhere, with a copy of the key set as old as may be.
func (w *world) resourceServer() (*verify.Verifier, error) {
	set, err := verify.NewKeySet(verify.KeySetConfig{URL: origin + "/.well-known/jwks.json", Client: &http.Client{Transport: w},
		RefreshEvery: keys.DefaultLead / 2, Cooldown: time.Hour})
	if err != nil {
		return nil, err
	}
	return verify.New(verify.Config{Issuer: origin, Audience: origin, Keys: set})
}

// kill ends the program without a word.
func (n *node) kill() {
	in := n.up
	if in == nil {
		return
	}
	n.w.note("", "node %s is killed", in.name)
	n.up = nil
	close(in.killed)
	_ = in.Close() // the simulated store's has no errors
}

// inTurn has those who share one decision go on one by one.
type inTurn struct {
	session.Directory
	store *handle
}

func (d inTurn) Grants(ctx context.Context, id string) (session.User, error) {
	if err := d.store.turn(ctx); err != nil {
		return session.User{}, err
	}
	return d.Directory.Grants(ctx, id)
}

// passwords lets everybody in whose password is their name.
type passwords struct{ w *world }

func (p passwords) Authenticate(_ context.Context, name, password string, _ session.Contact) (session.Identity, error) {
	if name != password {
		return session.Identity{}, session.ErrInvalidCredentials
	}
	return session.Identity{UserID: userID(name)}, nil
}

func userID(name string) string { return "usr_" + name }

// post has a node answer a request that has arrived. leave is called when the
// caller hangs up; then is not called after the node has died.
func (w *world) post(in *incarnation, who, path, body, cookies, csrf string, then func(*call)) (leave func()) {
	w.calls++
	c := &call{id: w.calls, node: in, then: then}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), callKey{}, c.id))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/auth"+path, strings.NewReader(body))
	if err != nil {
		panic(err) // the path is a constant
	}
	r.RemoteAddr = "192.0.2.1:4711"
	r.Header.Set("User-Agent", who)
	r.Header.Set("Content-Type", "application/json")
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
		r.Header.Set("X-XSRF-TOKEN", csrf)
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	go func() {
		rec := httptest.NewRecorder()
		in.Handler.ServeHTTP(rec, r)
		cancel()
		c.status, c.header, c.body = rec.Code, rec.Header(), rec.Body.Bytes()
		w.mu.Lock()
		w.finished = append(w.finished, c)
		w.mu.Unlock()
	}()
	return cancel
}

// do runs an administrator's command at a node, as the command line does.
func (w *world) do(in *incarnation, f func(context.Context) error, then func(error)) {
	w.calls++
	var err error
	c := &call{id: w.calls, node: in, then: func(*call) { then(err) }}
	go func() {
		err = f(context.WithValue(context.Background(), callKey{}, c.id))
		w.mu.Lock()
		w.finished = append(w.finished, c)
		w.mu.Unlock()
	}()
}

// turn waits until the scheduler says so.
func (h *handle) turn(ctx context.Context) error {
	id, ok := ctx.Value(callKey{}).(uint64)
	if !ok {
		return nil
	}
	o := &op{node: h.node, key: fmt.Sprintf("%s turn %016x", h.node.name, id), done: make(chan struct{})}
	h.w.mu.Lock()
	h.w.asked = append(h.w.asked, o)
	h.w.mu.Unlock()
	select {
	case <-o.done:
		return nil
	case <-h.node.killed:
		return errKilled
	case <-ctx.Done():
		return ctx.Err()
	}
}
