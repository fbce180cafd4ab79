package httpapi

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// heartbeat is how often a quiet stream shows that it is alive.
const heartbeat = 20 * time.Second

// Browsers come back after retryMin to retryMin+retrySpread ms, so that a
// restarted server is not met by all at once.
const (
	retryMin    = 1000
	retrySpread = 2000
)

// listener is who listens to events, and until when.
type listener struct {
	user    string
	session rotation.SessionID
	expires time.Time
}

// eventsRoute is GET /auth/events, for callers with an access token in the
// Authorization header. The platform's EventSource cannot set one: without it,
// the refresh cookie is good enough to read with. It is looked at, never
// renewed and never consumed, so that a GET stays without effect.
func (a *API) eventsRoute() http.Handler {
	byToken, byCookie := a.Protect(a.Handle(a.eventsByToken)), a.Handle(a.eventsByCookie)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := verify.Bearer(r.Header); errors.Is(err, verify.ErrNoCredential) {
			if len(a.refreshCookies(r)) > 0 {
				byCookie.ServeHTTP(w, r)
				return
			}
		}
		byToken.ServeHTTP(w, r)
	})
}

func (a *API) eventsByToken(w http.ResponseWriter, r *http.Request) error {
	sess, _, err := a.Caller(r)
	if err != nil {
		return err
	}
	token, _ := verify.FromContext(r.Context()) // caller has seen it
	return a.events(w, r, listener{sess.UserID, sess.ID, token.ExpiresAt()})
}

// eventsByCookie lets a stream live as long as with an access token made now.
func (a *API) eventsByCookie(w http.ResponseWriter, r *http.Request) error {
	// The check is for state-changing methods; here it keeps pages of other
	// origins from holding streams of ours.
	post := *r
	post.Method = http.MethodPost
	if err := a.SameOrigin(&post); err != nil {
		return err
	}
	tokens, err := a.Sessions.OpenAll(r.Context(), a.refreshCookies(r))
	if errors.Is(err, session.ErrNotAuthentic) {
		return problem.InvalidToken
	}
	if err != nil {
		return err
	}
	if len(tokens) > 1 {
		return problem.InvalidToken // which one is the page's, only an access token can say
	}
	sess, err := a.Sessions.Peek(r.Context(), tokens[0])
	if err != nil {
		return invalidIfRefused(err)
	}
	if _, err := a.Directory.User(r.Context(), sess.UserID); errors.Is(err, session.ErrNoUser) {
		return problem.InvalidToken
	} else if err != nil {
		return errors.Join(session.ErrUnavailable, err)
	}
	return a.events(w, r, listener{sess.UserID, sess.ID, a.Sessions.Now().Add(a.Sessions.AccessLifetime())})
}

func invalidIfRefused(err error) error {
	if errors.As(err, new(*session.Refusal)) {
		return problem.InvalidToken
	}
	return err
}

// events sends a user's events until the session ends, after it has said so, or
// the credential expires.
func (a *API) events(w http.ResponseWriter, r *http.Request, who listener) error {
	release, err := a.place(who)
	if err != nil {
		return err
	}
	defer release()
	after, given := lastEventID(r)
	sub, reset, err := a.Events.Subscribe(who.user, after)
	if err != nil {
		return hubError(err)
	}
	defer sub.Close()
	// Only now: an end before this is seen here, one after it is in the queue.
	if _, err := a.Sessions.Living(r.Context(), who.session); err != nil {
		return invalidIfRefused(err)
	}
	s := a.openStream(w, r)
	defer s.close()
	if r.Method == http.MethodHead {
		return nil
	}
	start := decimal(sub.Start())
	s.lines(": events of "+who.session.String(), "retry: "+strconv.Itoa(retryMin+rand.IntN(retrySpread)), "id: "+start)
	if reset || given && after < 0 {
		if s.event(wire.EventReset, start, []byte(`{"seq":`+start+`}`)) != nil {
			return nil
		}
	}
	a.relay(r, s, sub, who)
	return nil
}

// relay sends what comes until there is a reason to stop.
func (a *API) relay(r *http.Request, s *stream, sub *events.Subscription, who listener) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	expired := time.NewTimer(who.expires.Sub(a.Sessions.Now()))
	defer expired.Stop()
	told, own := sub.Start(), who.session.String()
	for beats := 0; ; {
		list, at, err := sub.Take()
		if err != nil {
			return
		}
		for _, e := range list {
			if s.event(e.Kind, decimal(e.Seq), e.Data) != nil {
				return
			}
			if e.Kind == wire.EventSessionEnded && e.SessionID == own {
				_ = s.flush()
				return
			}
			told = e.Seq
		}
		if beats > 0 && at.Seq > told {
			// Nothing for this reader up to there. An id without data is kept
			// by readers and is no event to them.
			s.lines(":", "id: "+decimal(at.Seq))
			told = at.Seq
		} else if beats > 0 {
			s.lines(":")
		}
		beats = 0
		if s.flush() != nil || !a.Sessions.Now().Before(who.expires) {
			return
		}
		select {
		case <-sub.Ready():
		case <-beat.C:
			beats++
		case <-expired.C:
			return
		case <-s.stopped:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// lastEventID is the number of the last event that the reader has seen. Readers
// that cannot set headers give it in the query. given but negative: it is no
// number of ours.
func lastEventID(r *http.Request) (seq int64, given bool) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("last_event_id")
	}
	if text == "" {
		return -1, false
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 0 {
		return -1, true
	}
	return seq, true
}
