package httpapi

import (
	"net/http"
	"sync"
	"time"
)

// outages keeps the log readable while nothing works: hundreds of requests a
// second may fail for one reason, which is worth a line now and then.
type outages struct {
	mu     sync.Mutex
	next   time.Time // no line before
	silent int       // since the last one
}

// outageEvery is the time between two lines.
const outageEvery = time.Second

// note reports whether to log, and how many were not since the last time.
func (o *outages) note(now time.Time) (silent int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	// A clock that was set back must not make it silent for long.
	if now.Before(o.next) && o.next.Sub(now) <= outageEvery {
		o.silent++
		return 0, false
	}
	silent, o.silent, o.next = o.silent, 0, now.Add(outageEvery)
	return silent, true
}

// LogOutage notes down that a request could not be served.
func (a *API) LogOutage(r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there any more
	}
	if silent, ok := a.outages.note(a.Sessions.Now()); ok {
		a.Logger.Error("a request could not be served; the client was told to try again", "method", r.Method, "path", r.URL.Path, "error", err, "others_since_the_last_line", silent)
	}
}
