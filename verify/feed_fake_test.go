package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

const secret = "feed-secret"

// feedIssuer is the server's side of the feed as wire.PathFeed promises it,
// reduced to a list, with faults between it and the reader. It is an
// http.RoundTripper, so that everything runs in a synctest bubble's time.
type feedIssuer struct {
	mu     sync.Mutex
	log    []logged
	seq    int64
	ttl    time.Duration
	skew   time.Duration // of the issuer's clock
	pruned int64         // events up to that number are gone
	conns  []context.CancelFunc
	asked  []http.Header // of each request

	// Faults.
	down    bool          // refuses connections
	delay   time.Duration // of everything that is sent
	mute    bool          // sends comments only
	rng     *rand.Rand    // duplicates and reorders, if set
	answers []func() (*http.Response, error)
}

type logged struct {
	seq  int64
	kind string
	data string
	at   time.Time
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (f *feedIssuer) now() time.Time { return time.Now().Add(f.skew) }

// commit appends an event.
func (f *feedIssuer) commit(kind string, data any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	f.log = append(f.log, logged{f.seq, kind, text(data), f.now()})
}

func (f *feedIssuer) end(session string) {
	f.commit(wire.EventSessionEnded, wire.FeedSessionEnded{SessionID: session, At: stamp(f.now())})
}

func (f *feedIssuer) change(user string, version int64) {
	f.commit(wire.EventGrantsChanged, wire.FeedGrantsChanged{UserID: user, GrantsVersion: version, At: stamp(f.now())})
}

// with changes the faults.
func (f *feedIssuer) with(change func(*feedIssuer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// cut ends all connections in the middle of whatever they are sending.
func (f *feedIssuer) cut() {
	f.with(func(f *feedIssuer) {
		for _, c := range f.conns {
			c()
		}
		f.conns = nil
	})
}

func (f *feedIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Header.Clone())
	down := f.down
	var answer func() (*http.Response, error)
	if len(f.answers) > 0 {
		answer, f.answers = f.answers[0], f.answers[1:]
	}
	f.mu.Unlock()
	switch {
	case down:
		return nil, errors.New("connection refused")
	case answer != nil:
		return answer()
	case r.Header.Get("Authorization") != "Bearer "+secret:
		return respond(401, "application/problem+json", nil), nil
	}
	pr, pw := io.Pipe()
	ctx, reset := context.WithCancel(r.Context())
	f.with(func(f *feedIssuer) { f.conns = append(f.conns, reset) })
	go func() {
		<-ctx.Done()
		pw.CloseWithError(errors.New("connection reset"))
	}()
	go f.serve(ctx, pw, r.Header.Get("Last-Event-ID"))
	return respond(200, "text/event-stream; charset=utf-8", pr), nil
}

func respond(status int, contentType string, body io.ReadCloser) *http.Response {
	if body == nil {
		body = http.NoBody
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: body}
}

// serve writes the stream until the pipe breaks. What is to be sent is taken
// down at once and sent after the delay, as in a slow network.
func (f *feedIssuer) serve(ctx context.Context, w *io.PipeWriter, last string) {
	type line struct {
		text string
		at   time.Time
	}
	queue := make(chan line, 100_000)
	go func() {
		for l := range queue {
			time.Sleep(time.Until(l.at))
			if _, err := io.WriteString(w, l.text); err != nil {
				return
			}
		}
	}()
	defer close(queue)
	send := func(kind string, seq int64, data string) {
		queue <- line{fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", kind, seq, data), time.Now().Add(f.delay)}
	}
	f.mu.Lock()
	from, err := strconv.ParseInt(last, 10, 64)
	reset := err != nil || from < f.pruned || from > f.seq
	if reset {
		from = f.pruned
	}
	send(wire.EventFeedHello, f.seq, text(wire.FeedHello{Now: stamp(f.now()), Seq: f.seq, AccessTTL: int64(f.ttl.Seconds()), Tick: 5, Reset: reset}))
	f.mu.Unlock()
	for n := 0; ; n++ {
		f.mu.Lock()
		if f.mute {
			queue <- line{": still here\n\n", time.Now()}
		} else {
			batch := f.since(from, reset)
			reset = false
			for _, e := range batch {
				send(e.kind, e.seq, e.data)
			}
			if from = f.seq; n%50 == 0 {
				send(wire.EventFeedTick, from, text(wire.FeedTick{Now: stamp(f.now()), Seq: from}))
			}
		}
		f.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
		if ctx.Err() != nil {
			return
		}
	}
}

// since returns what comes after from, repeated and shuffled if told so.
func (f *feedIssuer) since(from int64, reset bool) []logged {
	var batch []logged
	for _, e := range f.log {
		if reset && e.at.Before(f.now().Add(-f.ttl-wire.FeedMargin*time.Second)) {
			continue
		}
		if e.seq > from {
			batch = append(batch, e)
			if f.rng != nil && f.rng.IntN(3) == 0 {
				batch = append(batch, e)
			}
		}
	}
	if f.rng != nil {
		f.rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	}
	return batch
}

// newFeed returns a Feed that reads from f; run it with go feed.Run(ctx).
func newFeed(t testing.TB, f *feedIssuer, c verify.FeedConfig) *verify.Feed {
	t.Helper()
	if f.ttl == 0 {
		f.ttl = 15 * time.Minute
	}
	c.URL = issuer + "/auth/feed"
	if c.Secret == "" {
		c.Secret = secret
	}
	c.Client = &http.Client{Transport: f}
	feed, err := verify.NewFeed(c)
	if err != nil {
		t.Fatal(err)
	}
	return feed
}
