package demo

import (
	"encoding/base64"
	"io"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Bounds of what the demo remembers.
const (
	maxBrowsers = 256       // the least recently seen one makes room
	maxIdle     = time.Hour // without a request
	maxEntries  = 512       // of one browser's log
	maxAccess   = 64        // access tokens of one browser that can be told to expire
	maxFaults   = 9         // of each kind in stock
	maxCalls    = 64        // calls of one browser in flight
)

const cookieName = "tacet_demo"

// browser is everything the demo remembers of one browser (all its tabs). It is
// guarded by Server.mu.
type browser struct {
	id      string
	seen    time.Time
	log     []Entry
	seq     int64
	changed chan struct{} // closed at the next entry
	faults  Faults
	calls   int64
	open    map[int64]rotation.Token // presented by calls in flight
	access  map[string]accessToken   // by jti
	thief   thief
	session rotation.SessionID
}

// accessToken is one that this browser was given.
type accessToken struct {
	expires int64 // seconds since the epoch
	refused bool  // by the demo API
}

// thief is the second party: what was copied, and what came of it.
type thief struct {
	refresh string
	access  string
}

// withBrowser finds the state that belongs to the request's demo cookie.
func (s *Server) withBrowser(h func(http.ResponseWriter, *http.Request, *browser)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := s.lookup(r)
		if b == nil {
			problem(w, http.StatusBadRequest, wire.CodeInvalidRequest,
				"The demo does not know this browser (its server may have been restarted). Load the page again.")
			return
		}
		h(w, r, b)
	})
}

// lookup returns the browser of a request, or nil.
func (s *Server) lookup(r *http.Request) *browser {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.browsers[c.Value]
	if b != nil {
		b.seen = s.cfg.Clock()
	}
	return b
}

// admit returns the browser of a request or remembers a new one and sets its
// cookie.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) {
	if s.lookup(r) != nil {
		return
	}
	var raw [16]byte
	if _, err := io.ReadFull(s.cfg.Rand, raw[:]); err != nil {
		// The page still works; only the demo's buttons will say that they do not know the browser.
		s.cfg.Logger.Error("demo: no random bytes for the demo cookie", "error", err)
		return
	}
	now := s.cfg.Clock()
	b := &browser{
		id:      base64.RawURLEncoding.EncodeToString(raw[:]),
		seen:    now,
		changed: make(chan struct{}),
		open:    make(map[int64]rotation.Token),
		access:  make(map[string]accessToken),
	}
	s.mu.Lock()
	s.makeRoom(now)
	s.browsers[b.id] = b
	s.append(b, Entry{Kind: KindHello, Faults: &Faults{}, Policy: &Policy{
		AccessTTL: s.cfg.AccessTTL.Seconds(), Overlap: s.cfg.Overlap.Seconds(), Version: s.cfg.Version,
	}})
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: b.id, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// makeRoom forgets browsers that were not seen for maxIdle, and the least
// recently seen one if there is still no room. s.mu is held.
func (s *Server) makeRoom(now time.Time) {
	var oldest *browser
	for _, b := range s.browsers {
		if now.Sub(b.seen) >= maxIdle {
			s.forget(b)
		} else if oldest == nil || b.seen.Before(oldest.seen) {
			oldest = b
		}
	}
	if len(s.browsers) >= maxBrowsers {
		s.forget(oldest)
	}
}

func (s *Server) forget(b *browser) {
	delete(s.browsers, b.id)
	if s.owners[b.session] == b {
		delete(s.owners, b.session)
	}
}

// own makes b the browser that is shown what happens to a session. A browser
// shows one session, the last it signed in to. s.mu is held.
func (s *Server) own(b *browser, id rotation.SessionID) {
	if b.session == id || s.browsers[b.id] != b {
		return
	}
	if s.owners[b.session] == b {
		delete(s.owners, b.session)
	}
	b.session = id
	s.owners[id] = b
}

// append adds an entry to a browser's log and wakes its streams. s.mu is held.
func (s *Server) append(b *browser, e Entry) {
	b.seq++
	e.Seq = b.seq
	e.At = float64(s.cfg.Clock().UnixMicro()) / 1000
	if len(b.log) == maxEntries {
		b.log = append(b.log[:0], b.log[maxEntries/4:]...)
	}
	b.log = append(b.log, e)
	close(b.changed)
	b.changed = make(chan struct{})
}

func (s *Server) record(b *browser, e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(b, e)
}

// decided is told every decision of the server. It is shown to the browser that
// owns the session. One that is not known yet (the demo was restarted, the
// cookies were not) belongs to the browser with a call in flight that carries
// the very token: the decision proves that the token is authentic.
func (s *Server) decided(d session.Decided) {
	if d.Started {
		return // the sign-in's response tells it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.owners[d.Session]
	if b == nil {
		if b = s.presenting(d.Presented); b == nil {
			return
		}
		s.own(b, d.Session)
	}
	head := rotation.Token{Session: d.Session, Generation: d.Head.Generation, Tag: d.Head.Tag, Parent: d.Head.Parent}
	s.append(b, Entry{
		Kind: KindDecide, Token: shown(d.Presented), Outcome: d.Outcome.String(),
		Head: shown(head), By: contact(d.Contact), HeldBy: contact(d.HeadFrom),
	})
}

func contact(c session.Contact) *wire.Contact {
	w := wire.Contact{UserAgent: c.UserAgent}
	if c.Address.IsValid() {
		w.Address = c.Address.String()
	}
	return &w
}

func (s *Server) presenting(t rotation.Token) *browser {
	for _, b := range s.browsers {
		for _, open := range b.open {
			if open == t {
				return b
			}
		}
	}
	return nil
}
