package webhooks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-dev/tacet/internal/events"
)

const (
	callTimeout = 15 * time.Second
	batchSize   = 256             // events that are read at once
	parallel    = 8               // users who are told about at once
	firstPause  = time.Second     // after a call that was not accepted; it doubles
	maxPause    = 5 * time.Minute // but a receiver that is back is told within it
	poll        = time.Second     // how often the log is looked at
)

// Position is how far the log was told, kept durably.
type Position interface {
	// Load returns the number up to which all events were told; known is false if
	// there is none yet.
	Load(ctx context.Context) (seq int64, known bool, err error)
	Save(ctx context.Context, seq int64) error
}

// Config is what a Sender needs. All fields but Transport are required.
type Config struct {
	URL       string
	Secret    []byte // ParseSecret
	Log       events.Log
	Position  Position
	Clock     func() time.Time
	Logger    *slog.Logger
	Transport http.RoundTripper // [a transport of its own]
}

// Sender tells a receiver what is in the log.
type Sender struct {
	Config
	http *http.Client
}

// New returns a Sender. It works while Run runs.
func New(cfg Config) *Sender {
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: parallel, IdleConnTimeout: 4 * time.Second}
	}
	return &Sender{cfg, &http.Client{Transport: cfg.Transport, Timeout: callTimeout,
		// A message goes where the setting says and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Run tells what is committed until ctx is done. Whatever goes wrong is tried
// again: nothing is skipped.
func (s *Sender) Run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		more, err := s.step(ctx)
		wait := poll
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.Logger.Error("the webhook's messages wait", "error", err, "tried_again_in", pause.String())
			wait = pause/2 + rand.N(pause/2+1)
			pause = min(2*pause, maxPause)
		default:
			pause = firstPause
			if more {
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// step tells one batch, and reports whether more is there.
func (s *Sender) step(ctx context.Context) (more bool, err error) {
	from, err := s.start(ctx)
	if err != nil {
		return false, err
	}
	list, err := s.Log.Since(ctx, from, batchSize)
	if err != nil || len(list) == 0 {
		return false, err
	}
	done, err := s.tell(ctx, list)
	if done > from {
		// Also when a message was not accepted: what was need not come again.
		if serr := s.Position.Save(context.WithoutCancel(ctx), done); serr != nil {
			return false, serr
		}
	}
	return len(list) == batchSize, err
}

// start is where the log is gone on with.
func (s *Sender) start(ctx context.Context) (int64, error) {
	seq, known, err := s.Position.Load(ctx)
	if err != nil {
		return 0, err
	}
	first, last, err := s.Log.Bounds(ctx)
	if err != nil {
		return 0, err
	}
	switch {
	case !known: // what was before the webhook is none of its matter
		return last, s.Position.Save(ctx, last)
	case seq > last:
		s.Logger.Error("the log of events is shorter than what the webhook was told, as after a restored backup; it goes on from the end", "told", seq, "end", last)
		return last, s.Position.Save(ctx, last)
	case first > seq+1:
		s.Logger.Error("events were deleted before the webhook was told of them", "from", seq+1, "to", first-1)
	}
	return seq, nil
}

// Undelivered is when the oldest event was committed that is still to be told; it
// and what came after it must not be deleted. Now, if there is none.
func (s *Sender) Undelivered(ctx context.Context) (time.Time, error) {
	seq, known, err := s.Position.Load(ctx)
	if err != nil || !known {
		return s.Clock(), err
	}
	list, err := s.Log.Since(ctx, seq, 1)
	if err != nil || len(list) == 0 {
		return s.Clock(), err
	}
	return list[0].At, nil
}

// tell sends the messages of a batch, those of one user one after the other, and
// returns the number up to which all were accepted.
func (s *Sender) tell(ctx context.Context, list []events.Event) (done int64, err error) {
	lanes := map[string][]int{}
	accepted := make([]bool, len(list))
	for i, e := range list {
		if accepted[i] = !told[e.Kind]; !accepted[i] {
			lanes[e.UserID] = append(lanes[e.UserID], i)
		}
	}
	// The first failure ends the batch: most likely the receiver is away.
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, lane := range lanes {
		g.Go(func() error {
			for _, i := range lane {
				if err := s.send(gctx, list[i]); err != nil {
					return err
				}
				accepted[i] = true
			}
			return nil
		})
	}
	err = g.Wait()
	for i, e := range list {
		if !accepted[i] {
			break
		}
		done = e.Seq
	}
	return done, err
}

// send sends one message; any status but 2xx is an error.
func (s *Sender) send(ctx context.Context, e events.Event) error {
	text, err := body(e)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tacet")
	sign(req.Header, s.Secret, strconv.FormatInt(e.Seq, 10), s.Clock(), text)
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection is used again
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("event %d: the receiver responded with %s", e.Seq, res.Status)
	}
	return nil
}
