package gateway

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a gateway whose sessions a test makes up, and a stream of it.
func watched(t *testing.T, session func() (time.Time, error)) (g *Gateway, ended func() string) {
	g = &Gateway{streams: newStreams(), Config: Config{
		Session: func(context.Context, string) (time.Time, error) { return session() },
		Recheck: 15 * time.Minute, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	}}
	var reason atomic.Value
	reason.Store("")
	s := &stream{session: "s", user: "u", grants: 3, end: func(e *ending) { reason.Store(e.reason) }}
	g.streams.add(s)
	go g.watch(t.Context(), s, time.Now().Add(15*time.Minute))
	return g, func() string {
		synctest.Wait()
		return reason.Load().(string)
	}
}

func TestAStreamIsClosedWhenItsSessionRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var expires, asked atomic.Int64 // minutes after the start; times
		expires.Store(60)
		_, ended := watched(t, func() (time.Time, error) {
			asked.Add(1)
			end := start.Add(time.Duration(expires.Load()) * time.Minute)
			if !time.Now().Before(end) {
				return time.Time{}, ErrSessionOver
			}
			return end, nil
		})
		time.Sleep(50 * time.Minute)
		expires.Store(120) // renewed
		time.Sleep(time.Hour + 9*time.Minute)
		if r := ended(); r != "" {
			t.Fatalf("closed as %s while the session lives", r)
		}
		time.Sleep(time.Minute + time.Second)
		if r := ended(); r != "session_ended" {
			t.Fatalf("%q one second after the end of the session", r)
		}
		if n := asked.Load(); n > 10 {
			t.Errorf("asked the store %d times in two hours", n)
		}
	})
}

func TestAStreamOutlivesAStoreThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		_, ended := watched(t, func() (time.Time, error) {
			if down.Load() {
				return time.Time{}, errors.New("down")
			}
			return time.Time{}, ErrSessionOver
		})
		time.Sleep(time.Hour)
		if r := ended(); r != "" {
			t.Fatal(r)
		}
		down.Store(false)
		time.Sleep(checkRetry)
		if r := ended(); r != "session_ended" {
			t.Fatalf("%q", r)
		}
	})
}

func TestStreamsAreClosedByWhatHappens(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*Gateway)
		want    string
	}{
		"end of the session":            {func(g *Gateway) { g.SessionEnded("s") }, "session_ended"},
		"end of another session":        {func(g *Gateway) { g.SessionEnded("s2") }, ""},
		"newer grants":                  {func(g *Gateway) { g.GrantsChanged("u", 4) }, "grants_changed"},
		"the grants it was opened with": {func(g *Gateway) { g.GrantsChanged("u", 3) }, ""},
		"another user's grants":         {func(g *Gateway) { g.GrantsChanged("u2", 9) }, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			g, ended := watched(t, func() (time.Time, error) { return time.Time{}, nil })
			c.happens(g)
			c.happens(g) // twice is once
			if r := ended(); r != c.want {
				t.Errorf("%s: %q, want %q", name, r, c.want)
			}
		})
	}
}

func TestAStreamThatIsDoneIsNotTouched(t *testing.T) {
	g := &Gateway{streams: newStreams()}
	s := &stream{session: "s", user: "u", end: func(*ending) { t.Error("closed after it was done") }}
	g.streams.add(s)
	s.done()
	g.SessionEnded("s")
	g.streams.remove(s)
	if len(g.streams.bySession)+len(g.streams.byUser) != 0 {
		t.Error("something is left")
	}
	g.SessionEnded("s")
	g.Close()
	var none *Gateway
	none.SessionEnded("s")
	none.GrantsChanged("u", 1)
	none.Close()
}

func TestCloseClosesAllAndWhatComesLater(t *testing.T) {
	g := &Gateway{streams: newStreams()}
	var codes []uint16
	open := func(session string) {
		g.streams.add(&stream{session: session, user: "u", end: func(e *ending) { codes = append(codes, e.code) }})
	}
	open("a")
	open("b")
	g.Close()
	open("c")
	if !slices.Equal(codes, []uint16{1001, 1001, 1001}) {
		t.Error(codes)
	}
}
