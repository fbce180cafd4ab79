package keys

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
)

// memory is a Store whose calls can be made to fail.
type memory struct {
	mu      sync.Mutex
	ring    []Key
	version int64
	events  []events.Event
	loads   int
	fail    error
	onLoad  func() // called after a load, without the lock
}

func (m *memory) Load(context.Context) ([]Key, int64, error) {
	m.mu.Lock()
	m.loads++
	ring, version, err, hook := slices.Clone(m.ring), m.version, m.fail, m.onLoad
	m.mu.Unlock()
	if hook != nil {
		hook()
	}
	return ring, version, err
}

func (m *memory) Replace(_ context.Context, version int64, ring []Key, ev ...events.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.fail != nil:
		return m.fail
	case version != m.version:
		return ErrConflict
	}
	m.ring, m.version = slices.Clone(ring), version+1
	m.events = append(m.events, ev...)
	return nil
}

// clock is a clock that tests move.
type clock struct{ at atomic.Int64 }

var epoch = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func newClock() *clock {
	c := &clock{}
	c.at.Store(epoch.UnixNano())
	return c
}

func (c *clock) now() time.Time      { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.at.Add(int64(d)) }
func testPolicy() Policy             { return Policy{Access: 15 * time.Minute, Refresh: 14 * 24 * time.Hour} }
func testMaster(t testing.TB) *Master {
	return mustMaster(t, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
}

func mustMaster(t testing.TB, text string) *Master {
	t.Helper()
	m, err := ParseMaster(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func config(t testing.TB, s Store, c *clock) Config {
	return Config{Store: s, Master: testMaster(t), Policy: testPolicy(), Clock: c.now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, cfg Config) *Ring {
	t.Helper()
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
