package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// attempts is how often one call is made, with a pause between, before its
// failure is told. It covers a server that restarts or a response that got lost;
// what lasts longer is for the caller to wait for.
const (
	attempts     = 3
	firstPause   = 200 * time.Millisecond
	longestPause = 2 * time.Second
)

// apiCall is one call of the native surface and its good response.
type apiCall struct {
	op, path string
	want     int
}

var (
	callSignIn  = apiCall{"sign in", wire.PathLogin, http.StatusOK}
	callRenew   = apiCall{"renew", wire.PathRefresh, http.StatusOK}
	callConfirm = apiCall{"confirm", wire.PathConfirm, http.StatusNoContent}
	callSignOut = apiCall{"sign out", wire.PathLogout, http.StatusNoContent}
)

// call makes a call to the auth server, repeated while that may help, and says
// how often it was tried. The error is a *TemporaryError; a clear refusal is an
// respond with a problem.
//
// Repeating a renewal is safe: the server accepts the same token again.
func (s *Source) call(ctx context.Context, c apiCall, body any) (a response, tries int, err error) {
	for try := 1; ; try++ {
		a, err := s.once(ctx, c, body)
		if err == nil {
			return a, try, nil
		}
		pause := max(err.RetryAfter, s.jittered(firstPause<<(try-1)))
		if try == attempts || pause > longestPause || !worthRepeating(err.Status) {
			return a, try, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return a, try, err
		}
	}
}

// once makes one attempt, which may take its share of the renewal's time-out: a
// connection that went dead must not use up all of it.
func (s *Source) once(ctx context.Context, c apiCall, body any) (response, *TemporaryError) {
	ctx, cancel := context.WithTimeout(ctx, s.renewTimeout/attempts)
	defer cancel()
	a, err := s.server.post(ctx, c.path, body)
	switch {
	case err != nil:
	case a.status == c.want:
		return a, nil
	case a.problem == nil:
		err = fmt.Errorf("the response (%d) is not the auth server's", a.status)
	case a.status == http.StatusBadRequest && a.problem.Code != "":
		return a, nil // a clear no; the caller knows what it means
	default:
		err = a.problem
	}
	return a, &TemporaryError{Op: c.op, Status: a.status, RetryAfter: a.retryAfter, Err: err}
}

// worthRepeating reports whether the same call may soon have another result:
// no response, overload, or a server error, but not a proxy's sign-in page.
func worthRepeating(status int) bool {
	return status == 0 || status == http.StatusTooManyRequests || status >= 500
}

// jittered is d less up to a half, so that a fleet does not come back in step.
func (s *Source) jittered(d time.Duration) time.Duration {
	return d - time.Duration(s.random()*float64(d)/2)
}

// backoff remembers a failure until it makes sense to try again.
type backoff struct {
	failures int
	until    time.Time
	err      error
}

const (
	firstBackoff   = time.Second
	longestBackoff = time.Minute
	// longestRetryAfter bounds what a server can ask for: a mistaken header
	// must not lock a client out for days.
	longestRetryAfter = 10 * time.Minute
)

// failed notes a failure and returns it. The pause doubles from one to the next
// and is never shorter than what the server asked for.
func (s *Source) failed(err error, now time.Time) error {
	b := &s.backoff
	pause := s.jittered(min(longestBackoff, firstBackoff<<min(b.failures, 10)))
	if t, ok := errors.AsType[*TemporaryError](err); ok {
		pause = max(pause, min(t.RetryAfter, longestRetryAfter))
		err = t.after(pause)
	}
	b.failures, b.until, b.err = b.failures+1, now.Add(pause), err
	return err
}

// pending is the last failure while it is too early to try again, else nil.
func (b *backoff) pending(now time.Time) error {
	wait := b.until.Sub(now)
	if b.err == nil || wait <= 0 {
		return nil
	}
	if t, ok := errors.AsType[*TemporaryError](b.err); ok {
		return t.after(wait)
	}
	return b.err
}

func (e *TemporaryError) after(d time.Duration) *TemporaryError {
	c := *e
	c.RetryAfter = d
	return &c
}
