package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// slowness is how long Faults.Slow holds a renewal back: long enough to see,
// short of the SDK's time-out.
const slowness = 2500 * time.Millisecond

// watched passes a call on to the server, notes what goes in and out for the
// page, and injects faults into renewals.
func (s *Server) watched(op string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b := s.lookup(r)
		if b == nil {
			s.cfg.Auth.ServeHTTP(w, r)
			return
		}
		token, _ := peek(refreshCookie(r.Cookies()))
		call, faults, ok := s.begin(b, WhoBrowser, op, token)
		if !ok {
			problem(w, http.StatusServiceUnavailable, wire.CodeUnavailable, "Too many calls of this browser are in flight in the demo.")
			return
		}
		defer s.end(b, call)
		if faults.Slow > 0 {
			select {
			case <-time.After(slowness):
			case <-r.Context().Done():
			}
		}
		if faults.Unavailable > 0 {
			s.record(b, Entry{Kind: KindAnswer, Who: WhoBrowser, Call: call, Op: op,
				Status: http.StatusServiceUnavailable, Fate: FateInjected})
			w.Header().Set("Retry-After", "1")
			problem(w, http.StatusServiceUnavailable, wire.CodeUnavailable, "The demo was told to answer this renewal with 503.")
			return
		}
		rec := newRecorder()
		s.cfg.Auth.ServeHTTP(rec, r)
		fate := FateDelivered
		if faults.Lose > 0 {
			fate = FateLost
		}
		s.answered(b, WhoBrowser, call, op, rec, fate)
		if fate == FateLost {
			panic(http.ErrAbortHandler) // closes the connection (HTTP/2: the stream) without a byte
		}
		rec.copyTo(w)
	}
}

// begin notes that a call has arrived and takes the faults that are meant for it.
func (s *Server) begin(b *browser, who, op string, token rotation.Token) (call int64, f Faults, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b.open) >= maxCalls {
		return 0, f, false
	}
	b.calls++
	b.open[b.calls] = token
	s.append(b, Entry{Kind: KindPresent, Who: who, Call: b.calls, Op: op, Token: shown(token)})
	if who == WhoBrowser && op == wire.PathRefresh[1:] && b.faults != (Faults{}) {
		// One fault per renewal, so that the page shows one thing at a time.
		for _, n := range []struct{ stock, taken *int }{
			{&b.faults.Unavailable, &f.Unavailable}, {&b.faults.Lose, &f.Lose}, {&b.faults.Slow, &f.Slow},
		} {
			if *n.stock > 0 {
				*n.stock--
				*n.taken = 1
				break
			}
		}
		left := b.faults
		s.append(b, Entry{Kind: KindFaults, Faults: &left})
	}
	return b.calls, f, true
}

func (s *Server) end(b *browser, call int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(b.open, call)
}

// answered notes the server's response and remembers the tokens that it gives out.
func (s *Server) answered(b *browser, who string, call int64, op string, rec *recorder, fate string) {
	cookies := (&http.Response{Header: rec.header}).Cookies()
	var body wire.TokenResponse
	_ = json.Unmarshal(rec.body.Bytes(), &body) // a refusal has none of these members
	refresh := refreshCookie(cookies)
	if refresh == "" {
		refresh = body.RefreshToken
	}
	minted, authentic := peek(refresh)

	s.mu.Lock()
	defer s.mu.Unlock()
	if authentic && who == WhoBrowser {
		s.own(b, minted.Session)
	}
	if who == WhoThief && rec.status == http.StatusOK {
		b.thief.access = body.AccessToken
		if refresh != "" {
			b.thief.refresh = refresh
		}
	}
	if c, ok := claims(body.AccessToken); ok && who == WhoBrowser && fate == FateDelivered {
		b.remember(c, s.cfg.Clock().Unix())
	}
	s.append(b, Entry{Kind: KindAnswer, Who: who, Call: call, Op: op, Status: rec.status, Fate: fate,
		Minted: shown(minted), Cleared: clearsCookie(cookies)})
}

// remember keeps an access token's id until the token expires by itself.
func (b *browser) remember(c wire.AccessClaims, now int64) {
	for id, t := range b.access {
		if t.expires <= now {
			delete(b.access, id)
		}
	}
	if c.ID != "" && len(b.access) < maxAccess {
		b.access[c.ID] = accessToken{expires: c.ExpiresAt}
	}
}

// setFaults replaces the stock of faults: {"lose":1,"unavailable":0,"slow":0}.
func (s *Server) setFaults(w http.ResponseWriter, r *http.Request, b *browser) {
	var f Faults
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	if err != nil || min(f.Lose, f.Unavailable, f.Slow) < 0 || max(f.Lose, f.Unavailable, f.Slow) > maxFaults {
		problem(w, http.StatusBadRequest, wire.CodeInvalidRequest, `Send {"lose","unavailable","slow"}, each from 0 to 9.`)
		return
	}
	s.mu.Lock()
	b.faults = f
	s.append(b, Entry{Kind: KindFaults, Faults: &f})
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// expire has the demo API refuse every access token that this browser was given
// so far. The tokens are still good by their dates: this is how a resource
// server answers whose clock is ahead.
func (s *Server) expire(w http.ResponseWriter, _ *http.Request, b *browser) {
	s.mu.Lock()
	for id, t := range b.access {
		t.refused = true
		b.access[id] = t
	}
	s.append(b, Entry{Kind: KindExpire})
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// recorder holds a response back until it is known whether it may leave.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: make(http.Header)} }

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) copyTo(w http.ResponseWriter) {
	for k, v := range r.header {
		w.Header()[k] = v
	}
	r.WriteHeader(http.StatusOK)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // the caller has gone: nothing to tell
}

// problem answers with an error (RFC 9457).
func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", wire.ContentTypeProblem)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(wire.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail,
	})
}
