package webhooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/wire"
)

const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// world is a log, a place in it that survives, and a receiver.
type world struct {
	mu       sync.Mutex
	log      []events.Event
	first    int64 // of the events that are kept
	seq      int64
	known    bool
	outage   error // of the store
	answer   func(id int64) (*http.Response, error)
	received []int64
	bodies   map[int64]message
	wrong    []string
}

func newWorld() *world { return &world{first: 1, bodies: map[int64]message{}} }

func (w *world) commit(kind, user, session, data string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, events.Event{Seq: int64(len(w.log) + 1), At: time.Now(), Kind: kind, UserID: user, SessionID: session, Data: []byte(data)})
}

func (w *world) Since(_ context.Context, seq int64, limit int) ([]events.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from := max(seq, w.first-1)
	if from >= int64(len(w.log)) {
		return nil, w.outage
	}
	list := w.log[from:]
	return slices.Clone(list[:min(limit, len(list))]), w.outage
}

func (w *world) Bounds(context.Context) (first, last int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first, int64(len(w.log)), w.outage
}

func (w *world) Prune(context.Context, time.Time, int) (int, error) { return 0, nil }

func (w *world) Load(context.Context) (int64, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seq, w.known, w.outage
}

func (w *world) Save(_ context.Context, seq int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.outage == nil {
		w.seq, w.known = seq, true
	}
	return w.outage
}

// RoundTrip is the receiver. It checks every signature.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	text, _ := io.ReadAll(r.Body)
	id, _ := strconv.ParseInt(r.Header.Get("webhook-id"), 10, 64)
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secretText, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(text)))
	w.mu.Lock()
	answer := w.answer
	if r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		w.wrong = append(w.wrong, "signature")
	}
	if at, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64); at != time.Now().Unix() {
		w.wrong = append(w.wrong, "timestamp")
	}
	if r.URL.String() != "https://hooks.example.com/tacet" || id < 1 || id > int64(len(w.log)) {
		w.wrong = append(w.wrong, r.URL.String())
	}
	w.mu.Unlock()
	if answer != nil {
		if res, err := answer(id); res != nil || err != nil {
			return res, err
		}
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.received, w.bodies[id] = append(w.received, id), m
	return status(204), nil
}

func status(code int) *http.Response {
	h := http.Header{}
	h.Set("Location", "https://elsewhere.example.com/")
	return &http.Response{StatusCode: code, Status: strconv.Itoa(code), Header: h, Body: io.NopCloser(strings.NewReader(""))}
}

func (w *world) answers(f func(id int64) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

func (w *world) got() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.received)
}

func (w *world) body(id int64) message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bodies[id]
}

func (w *world) at(id int64) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log[id-1].At
}

func (w *world) mistakes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.wrong)
}

// run runs a sender until stop is called.
func (w *world) run(t *testing.T) (stop func()) {
	t.Helper()
	secret, err := ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{URL: "https://hooks.example.com/tacet", Secret: secret, Log: w, Position: w, Clock: time.Now, Logger: slog.New(slog.DiscardHandler), Transport: w})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	return func() { cancel(); <-ended }
}

func (w *world) end(t *testing.T, want ...int64) {
	t.Helper()
	if got := w.got(); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	if wrong := w.mistakes(); len(wrong) > 0 {
		t.Errorf("wrong: %v", wrong)
	}
}

func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.commit(wire.EventSessionEnded, "before", "s", `{}`) // there was no webhook yet
		stop := w.run(t)
		defer func() { stop() }()
		time.Sleep(time.Minute)
		w.commit(wire.EventReuseDetected, "ada", "s1", `{"session_id":"s1","head_at":"x"}`)
		w.commit(wire.EventSessionEnded, "ada", "s1", `{"session_id":"s1","reason":"reuse_detected"}`)
		w.commit(wire.EventKeysRotated, "", "", ``)
		w.commit(wire.EventGrantsChanged, "bob", "", `{"grants_version":7}`)
		time.Sleep(2 * time.Second)
		m := w.body(3)
		if m.Type != "session.ended" || m.Data["reason"] != "reuse_detected" || m.Data["session_id"] != "s1" || m.Data["user_id"] != "ada" {
			t.Errorf("message %+v", m)
		}
		if at, err := time.Parse(time.RFC3339Nano, m.Timestamp); err != nil || !at.Equal(w.at(3)) {
			t.Errorf("timestamp %s: %v", m.Timestamp, err)
		}
		if m := w.body(5); m.Type != "grants.changed" || m.Data["grants_version"] != 7.0 || m.Data["user_id"] != "bob" {
			t.Errorf("message %+v", m)
		}
		got := w.got()
		slices.Sort(got) // of two users
		if !slices.Equal(got, []int64{2, 3, 5}) || len(w.mistakes()) > 0 {
			t.Errorf("received %v; wrong: %v", got, w.mistakes())
		}
		// A restart tells nothing again, and loses nothing.
		stop()
		w.commit(wire.EventSessionEnded, "ada", "s2", `{"reason":"signed_out"}`)
		stop = w.run(t)
		time.Sleep(2 * time.Second)
		if got := w.got(); len(got) != 4 || got[3] != 6 {
			t.Errorf("after the restart %v", got)
		}
	})
}

// A receiver that is away, in every way that there is, for hours: nothing is lost
// and the order is kept, also over restarts; and it is not flooded meanwhile.
func TestReceiversThatAreAway(t *testing.T) {
	for name, away := range map[string]func(id int64) (*http.Response, error){
		"unreachable": func(int64) (*http.Response, error) { return nil, errors.New("connection refused") },
		"500":         func(int64) (*http.Response, error) { return status(500), nil },
		"gone":        func(int64) (*http.Response, error) { return status(410), nil },
		"a redirect":  func(int64) (*http.Response, error) { return status(307), nil },
		"not found":   func(int64) (*http.Response, error) { return status(404), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				stop := w.run(t)
				time.Sleep(time.Minute)
				var calls atomic.Int64
				w.answers(func(id int64) (*http.Response, error) { calls.Add(1); return away(id) })
				for i := range 3 {
					w.commit(wire.EventSessionEnded, "ada", fmt.Sprint(i), `{"reason":"signed_out"}`)
				}
				time.Sleep(6 * time.Hour)
				if n := calls.Load(); n < 10 || n > 300 {
					t.Errorf("%d calls in six hours", n)
				}
				stop()
				stop = w.run(t)
				defer func() { stop() }()
				time.Sleep(time.Hour)
				w.answers(nil)
				w.end(t)
				time.Sleep(maxPause + time.Second)
				w.end(t, 1, 2, 3)
			})
		})
	}
}

// A slow receiver is given up after 15 s, and told again.
func TestASlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		stop := w.run(t)
		defer func() { stop() }()
		time.Sleep(time.Minute)
		var took time.Duration
		secret, _ := ParseSecret(secretText)
		s := New(Config{URL: "https://hooks.example.com/tacet", Secret: secret, Log: w, Position: w, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })})
		began := time.Now()
		err := s.send(t.Context(), events.Event{Seq: 1, Kind: wire.EventSessionEnded, UserID: "ada"})
		if took = time.Since(began); err == nil || took != callTimeout {
			t.Errorf("gave up after %s: %v", took, err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Messages about one user keep their order, whatever the receiver does with each,
// and every one arrives.
func TestOrderPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		stop := w.run(t)
		defer func() { stop() }()
		time.Sleep(time.Minute)
		tries := map[int64]int{}
		w.answers(func(id int64) (*http.Response, error) {
			time.Sleep(time.Duration(id%7) * time.Millisecond)
			w.mu.Lock()
			defer w.mu.Unlock()
			if tries[id]++; id%50 == 0 && tries[id] < 3 {
				return status(503), nil
			}
			return nil, nil
		})
		for i := range 1000 {
			w.commit(wire.EventSessionEnded, "user"+strconv.Itoa(i%20), "s", `{"reason":"signed_out"}`)
		}
		time.Sleep(time.Hour)
		first, last := map[int64]bool{}, map[int64]int64{}
		for _, id := range w.got() {
			if first[id] {
				continue // again
			}
			first[id] = true
			if user := (id - 1) % 20; last[user] > id {
				t.Fatalf("message %d came after %d", id, last[user])
			} else {
				last[user] = id
			}
		}
		if len(first) != 1000 || len(w.mistakes()) > 0 {
			t.Errorf("%d of 1000 messages came; wrong: %v", len(first), w.mistakes())
		}
		if seq, _, _ := w.Load(t.Context()); seq != 1000 {
			t.Errorf("the position is %d", seq)
		}
	})
}

// A store that is away holds up messages and loses none; a log that a restored
// backup cut off is gone on with from its end.
func TestStoresThatAreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		stop := w.run(t)
		defer func() { stop() }()
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.outage = errors.New("disk on fire")
		w.mu.Unlock()
		w.commit(wire.EventSessionEnded, "ada", "s", `{}`)
		w.commit(wire.EventSessionEnded, "ada", "s", `{}`)
		time.Sleep(time.Hour)
		w.end(t)
		w.mu.Lock()
		w.outage = nil
		w.mu.Unlock()
		time.Sleep(maxPause + time.Second)
		w.end(t, 1, 2)
		w.mu.Lock()
		w.log = w.log[:1]
		w.mu.Unlock()
		time.Sleep(time.Minute)
		w.commit(wire.EventSessionEnded, "ada", "s3", `{}`)
		time.Sleep(time.Minute)
		w.end(t, 1, 2, 2)
	})
}

func TestSecrets(t *testing.T) {
	for _, bad := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_" + strings.Repeat("A", 88), "whsec_not base64 at all, is it"} {
		if _, err := ParseSecret(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	// The example of the specification's libraries.
	key, err := ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	sign(h, key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got := h.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("the signature is %s", got)
	}
}
