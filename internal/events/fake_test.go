package events

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// table is the log of a database, in memory.
type table struct {
	mu    sync.Mutex
	list  []Event
	last  int64
	fail  error
	reads int
	clock func() time.Time
	hook  func() // called before each answer, without the lock
}

// commit appends one event for each user, in one transaction.
func (l *table) commit(users ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range users {
		l.last++
		l.list = append(l.list, Event{Seq: l.last, At: l.clock(), Kind: "k", UserID: u, SessionID: "s", Data: []byte(fmt.Sprint(l.last))})
	}
}

// with changes the table.
func (l *table) with(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *table) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}

func (l *table) answer() error {
	l.mu.Lock()
	hook, err := l.hook, l.fail
	l.reads++
	l.mu.Unlock()
	if hook != nil {
		hook()
	}
	return err
}

func (l *table) Since(_ context.Context, seq int64, limit int) ([]Event, error) {
	if err := l.answer(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.list, seq+1, func(e Event, n int64) int { return int(e.Seq - n) })
	return slices.Clone(l.list[i:min(len(l.list), i+limit)]), nil
}

func (l *table) Bounds(context.Context) (first, last int64, err error) {
	if err := l.answer(); err != nil {
		return 0, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.list) > 0:
		first = l.list[0].Seq
	case l.last > 0:
		first = l.last + 1
	}
	return first, l.last, nil
}

func (l *table) Prune(_ context.Context, before time.Time, limit int) (n int, err error) {
	if err := l.answer(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n < limit && len(l.list) > 0 && l.list[0].At.Before(before) {
		l.list = l.list[1:]
		n++
	}
	return n, nil
}

var errDown = errors.New("the table is down")

func newTable() *table { return &table{clock: time.Now} }

func open(t testing.TB, l *table, change ...func(*Config)) *Hub {
	t.Helper()
	cfg := Config{Log: l, Clock: l.clock, Window: time.Hour, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&cfg)
	}
	h, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustRead(t testing.TB, h *Hub) {
	t.Helper()
	if err := h.read(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// numbers are those of what a subscription has to say.
func numbers(t testing.TB, s *Subscription) string {
	t.Helper()
	list, _, err := s.Take()
	if err != nil {
		return err.Error()
	}
	return join(list)
}

func join(list []*Event) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s%d ", e.UserID, e.Seq)
	}
	return strings.TrimSpace(b.String())
}

func subscribe(t testing.TB, h *Hub, user string, after int64) (*Subscription, bool) {
	t.Helper()
	s, reset, err := h.Subscribe(user, after)
	if err != nil {
		t.Fatal(err)
	}
	return s, reset
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func times(n int, user string) []string { return slices.Repeat([]string{user}, n) }
