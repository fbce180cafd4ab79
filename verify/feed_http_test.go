package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// The same over real connections, which are cut: what happened meanwhile is told
// by the next one.
func TestFeedOverHTTP(t *testing.T) {
	var mu sync.Mutex
	var ended []string
	connected := make(chan string, 16)
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		now := stamp(time.Now())
		fmt.Fprintf(w, "event: hello\ndata: %s\n\n", text(wire.FeedHello{Now: now, AccessTTL: 900, Tick: 5, Reset: true}))
		mu.Lock()
		for _, id := range ended {
			fmt.Fprintf(w, "event: session.ended\ndata: %s\n\n", text(wire.FeedSessionEnded{SessionID: id, At: now}))
		}
		mu.Unlock()
		fmt.Fprintf(w, "event: tick\ndata: %s\n\n", text(wire.FeedTick{Now: now, Seq: 1}))
		_ = http.NewResponseController(w).Flush()
		connected <- r.Header.Get("Last-Event-ID")
		select {
		case <-r.Context().Done():
		case <-stop:
		}
	}))
	defer srv.Close()
	defer close(stop)

	told := make(chan string, 16)
	feed, err := verify.NewFeed(verify.FeedConfig{URL: srv.URL, Secret: secret, OnEnded: func(id string) { told <- id }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- feed.Run(ctx) }()
	if err := feed.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := <-connected; last != "" {
		t.Errorf("the first connection resumes from %q", last)
	}
	tok := tokenAt(t, time.Now(), nil)
	wantLive(t, "at first", feed, tok, nil)
	mu.Lock()
	ended = append(ended, tok.SessionID())
	mu.Unlock()
	srv.CloseClientConnections()
	if last := <-connected; last != "1" {
		t.Errorf("the second connection resumes from %q", last)
	}
	if id := <-told; id != tok.SessionID() {
		t.Errorf("told of %s", id)
	}
	wantLive(t, "after the cut", feed, tok, verify.ErrSessionEnded)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
