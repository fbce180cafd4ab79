package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

const (
	// firstSilence is how long a connection may be silent before the hello says
	// how often it ticks.
	firstSilence = 15 * time.Second
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 10 * time.Second

	maxAccessTTL = 24 * 60 * 60 // seconds
	maxTick      = 60           // seconds
)

var errSilent = errors.New("verify: the feed fell silent")

// streamClient follows no redirects (the secret goes to one place only), does not
// ask for compression (which buffers), and gives up on a server that accepts a
// connection and does not respond.
func streamClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.ResponseHeaderTimeout = firstSilence
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run reads the feed until ctx is done, and then returns its error. Connections
// that are lost are made again, with increasing pauses (jittered, at most 10 s).
// Call it once, in its own goroutine.
func (f *Feed) Run(ctx context.Context) error {
	if !f.running.CompareAndSwap(false, true) {
		return errors.New("verify: Feed.Run is running already")
	}
	defer f.running.Store(false)
	for failures := 0; ; failures++ {
		came := f.clock.Load().tickAt
		err := f.connection(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.c.OnError != nil {
			f.c.OnError(err)
		}
		if f.clock.Load().tickAt.After(came) {
			failures = 0 // it did get somewhere
		}
		pause := min(firstBackoff<<min(failures, 10), maxBackoff)
		select {
		case <-time.After(time.Duration(float64(pause) * (.5 + f.jitter()/2))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connection makes one connection and reads it to its end, which is always an
// error.
func (f *Feed) connection(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(firstSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	body, sent, err := f.connect(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	events := newEventReader(body)
	for greeted := false; ; greeted = true {
		e, err := events.next()
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if errors.Is(err, io.EOF) {
			return errors.New("verify: the issuer ended the feed's connection")
		}
		if err != nil {
			return fmt.Errorf("verify: reading the feed: %w", err)
		}
		if !greeted && e.kind != wire.EventFeedHello {
			return fmt.Errorf("verify: the feed began with %.40q instead of %s", e.kind, wire.EventFeedHello)
		}
		if err := f.apply(e, sent); err != nil {
			return err
		}
		// Comments do not count: a server that only keeps the line warm has
		// stopped telling anything.
		silence.Reset(time.Duration(f.tolerance.Load()))
	}
}

// connect asks for the feed, from where it was left, and returns its body and
// when it asked.
func (f *Feed) connect(ctx context.Context) (io.ReadCloser, time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.c.URL, nil)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("verify: connecting to the feed: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+f.c.Secret)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Cache-Control", "no-cache")
	if f.resume != "" {
		req.Header.Set("Last-Event-ID", f.resume)
	}
	sent := f.c.Clock()
	resp, err := f.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, sent, fmt.Errorf("verify: connecting to the feed: %w", err)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		err = fmt.Errorf("verify: the issuer refused the feed with %d: compare FeedConfig.Secret with the issuer's", resp.StatusCode)
	case resp.StatusCode != http.StatusOK || kind != "text/event-stream":
		err = fmt.Errorf("verify: %s responded with %d %.60q instead of an event stream", f.c.URL, resp.StatusCode, kind)
	default:
		f.connections.Add(1)
		return resp.Body, sent, nil
	}
	resp.Body.Close()
	return nil, sent, err
}

// hello begins a connection: it sets the clock and says what to keep.
func (f *Feed) hello(data []byte, sent time.Time) error {
	var d wire.FeedHello
	e := event{wire.EventFeedHello, data}
	now, err := decode(e, &d, &d.Now)
	switch {
	case err != nil:
		return malformed(e, err)
	case d.AccessTTL < 1 || d.AccessTTL > maxAccessTTL || d.Tick < 1 || d.Tick > maxTick:
		return malformed(e, fmt.Errorf("access_ttl is %d and tick %d seconds, out of range", d.AccessTTL, d.Tick))
	}
	if d.Reset {
		f.resets.Add(1)
		f.resume = ""
		// The issuer may have lost versions that it told; those it has come now.
		f.revoked.forgetGrants()
	}
	f.keep = time.Duration(d.AccessTTL+wire.FeedMargin) * time.Second
	f.tolerance.Store(3 * d.Tick * int64(time.Second))
	c := f.clock.Load().hello(now, sent, f.c.Clock())
	f.clock.Store(&c)
	return nil
}

// tick says that everything up to it is known here.
func (f *Feed) tick(data []byte) error {
	var d wire.FeedTick
	e := event{wire.EventFeedTick, data}
	now, err := decode(e, &d, &d.Now)
	if err != nil {
		return malformed(e, err)
	}
	local := f.c.Clock()
	c := f.clock.Load().ticked(now, local)
	f.clock.Store(&c)
	f.resume = wire.FeedID(d.Seq, d.Mark)
	f.syncOnce.Do(func() { close(f.synced) })
	f.revoked.sweepIfDue(f.Now())
	if lag := c.lag(local); lag > time.Duration(f.tolerance.Load()) {
		// It crawls, or the issuer's clock was set back: a new connection is
		// quicker, or finds the new time.
		return fmt.Errorf("verify: the feed is %v behind", lag.Round(time.Second))
	}
	return nil
}

// decode reads the data of an event and the time in it.
func decode(e event, into any, at *string) (time.Time, error) {
	if err := json.Unmarshal(e.data, into); err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, *at)
}

// malformed ends a connection: an event that is not understood must not be
// skipped, since it may be about an ended session. It will come again.
func malformed(e event, err error) error {
	if err == nil {
		err = errors.New("a name is missing")
	}
	return fmt.Errorf("verify: the feed sent a malformed %s: %w", e.kind, err)
}
