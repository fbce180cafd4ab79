package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// feedTick is how often a feed says how far it has come.
const feedTick = 5 * time.Second

// feed is GET /auth/feed, for resource servers (wire.PathFeed says what it
// promises).
func (a *API) feed(w http.ResponseWriter, r *http.Request) error {
	if !a.feedAllowed(r) {
		return errFeedToken
	}
	release, err := count(&a.feeds, maxFeeds)
	if err != nil {
		return err
	}
	defer release()
	sub, at, err := a.Events.SubscribeAll()
	if err != nil {
		return hubError(err)
	}
	defer sub.Close()
	from, resumed, err := a.feedFrom(r)
	if err != nil {
		a.Logger.Error("a feed could not be begun; the resource server will try again", "error", err)
		return problem.Unavailable
	}
	f := feedWriter{stream: a.openStream(w, r)}
	defer f.close()
	if r.Method == http.MethodHead {
		return nil
	}
	hello := wire.FeedHello{Now: feedTime(a.Sessions.Now()), Seq: at.Seq,
		AccessTTL: max(1, int64(a.Sessions.AccessLifetime()/time.Second)), Tick: int64(feedTick / time.Second), Reset: !resumed}
	if f.send(wire.EventFeedHello, decimal(from), hello) != nil {
		return nil
	}
	if resumed {
		err = a.Events.Replay(r.Context(), from, at.Seq, f.event)
	} else {
		// A reader that was here before may have missed a change of the keys.
		if r.Header.Get("Last-Event-ID") != "" {
			_ = f.send(wire.EventKeysRotated, decimal(from), struct{}{})
		}
		err = a.Events.Recent(r.Context(), at.Seq, f.event)
	}
	if err == nil {
		err = f.tick(at)
	}
	if err != nil {
		if r.Context().Err() == nil {
			a.Logger.Warn("a feed ended before it had come to the present; the resource server will try again", "error", err)
		}
		return nil
	}
	f.relay(r, sub)
	return nil
}

func (a *API) feedAllowed(r *http.Request) bool {
	token, err := verify.Bearer(r.Header)
	if err != nil {
		return false
	}
	// Sums, so that the time does not show the length either.
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(a.FeedToken))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// feedFrom reads the Last-Event-ID; resumed says whether the reader can go on
// from there.
func (a *API) feedFrom(r *http.Request) (from int64, resumed bool, err error) {
	number, mark, _ := strings.Cut(r.Header.Get("Last-Event-ID"), "-")
	from, err = strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, false, nil
	}
	if resumed, err = a.Events.Resume(r.Context(), from, mark); !resumed {
		from = 0
	}
	return from, resumed, err
}

// feedWriter writes events in the form that resource servers get.
type feedWriter struct {
	*stream
	ticked time.Time // AsOf of the last tick
}

func (f *feedWriter) send(kind, id string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return f.stream.event(kind, id, b)
}

// event sends one committed event; those that do not concern resource servers
// are left out.
func (f *feedWriter) event(e *events.Event) error {
	id := decimal(e.Seq)
	switch e.Kind {
	case wire.EventSessionEnded:
		var d wire.SessionEnded
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		return f.send(e.Kind, id, wire.FeedSessionEnded{SessionID: e.SessionID, UserID: e.UserID, Reason: d.Reason, At: feedTime(e.At)})
	case wire.EventGrantsChanged:
		var d wire.GrantsChange
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		return f.send(e.Kind, id, wire.FeedGrantsChanged{UserID: e.UserID, GrantsVersion: d.GrantsVersion, At: feedTime(e.At)})
	case wire.EventKeysRotated:
		return f.send(e.Kind, id, struct{}{})
	}
	return nil
}

// tick says that everything up to the position has been sent, if there is
// anything new to say: while the log can't be read there is not.
func (f *feedWriter) tick(at events.Position) error {
	if !at.AsOf.After(f.ticked) {
		return nil
	}
	f.ticked = at.AsOf
	err := f.send(wire.EventFeedTick, wire.FeedID(at.Seq, at.Mark), wire.FeedTick{Now: feedTime(at.AsOf), Seq: at.Seq, Mark: at.Mark})
	if err != nil {
		return err
	}
	return f.flush()
}

// relay sends what comes until the reader or the server is gone.
func (f *feedWriter) relay(r *http.Request, sub *events.Subscription) {
	beat := time.NewTicker(feedTick)
	defer beat.Stop()
	for tick := false; ; {
		list, at, err := sub.Take()
		if err != nil {
			return
		}
		for _, e := range list {
			if f.event(e) != nil {
				return
			}
		}
		if tick && f.tick(at) != nil || f.flush() != nil {
			return
		}
		tick = false
		select {
		case <-sub.Ready():
		case <-beat.C:
			tick = true
		case <-f.stopped:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func feedTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
