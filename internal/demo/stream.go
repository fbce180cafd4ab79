package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// heartbeat keeps proxies from closing a quiet stream.
const heartbeat = 15 * time.Second

// serveStream sends a browser's log and then whatever is added to it. Readers
// share the log, so a slow one costs no memory; it misses entries that have
// left the log, which Seq shows.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, b *browser) {
	after, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64) // 0, from the start, if there is none
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{}) // the server's limits are meant for responses that end
	_ = rc.SetReadDeadline(time.Time{})
	// The reader's clock may be another one: this is how it tells the difference.
	if _, err := fmt.Fprintf(w, "event: clock\ndata: {\"at\":%d}\n\n", s.cfg.Clock().UnixMilli()); err != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		entries, changed := s.since(b, after)
		for _, e := range entries {
			data, err := json.Marshal(e)
			if err != nil {
				s.cfg.Logger.Error("demo: an entry could not be encoded", "kind", e.Kind, "error", err)
				return
			}
			if _, err := fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Seq, data); err != nil {
				return
			}
			after = e.Seq
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-beat.C:
			if _, err := fmt.Fprint(w, ":\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.closed:
			return
		}
	}
}

// since returns the entries after a sequence number and the channel that is
// closed at the next one. A number from the future (a reader of an earlier
// process) starts over.
func (s *Server) since(b *browser, after int64) ([]Entry, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.seen = s.cfg.Clock()
	if after > b.seq {
		after = 0
	}
	for i, e := range b.log {
		if e.Seq > after {
			return append([]Entry(nil), b.log[i:]...), b.changed
		}
	}
	return nil, b.changed
}
