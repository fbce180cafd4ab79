package demo

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/tacet-dev/tacet/wire"
)

// The thief's requests come from elsewhere (an address of RFC 5737) and do not
// hide it; nothing in the protocol depends on that.
const (
	thiefAddress   = "203.0.113.66:4444"
	thiefUserAgent = "Thief/1.0"
)

// steal copies the refresh cookie of the caller into the thief's hands: what
// malware on the device, a backup or a shared disk does. No script of the page
// could: the cookie is HttpOnly.
func (s *Server) steal(w http.ResponseWriter, r *http.Request, b *browser) {
	stolen := refreshCookie(r.Cookies())
	token, ok := peek(stolen)
	if !ok {
		problem(w, http.StatusConflict, wire.CodeInvalidRequest, "There is no refresh token to copy: sign in first.")
		return
	}
	s.mu.Lock()
	b.thief = thief{refresh: stolen}
	s.append(b, Entry{Kind: KindSteal, Who: WhoThief, Token: shown(token)})
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// thiefRenew has the thief present their copy as any client without a browser
// does: in the body, so that no CSRF token is needed.
func (s *Server) thiefRenew(w http.ResponseWriter, r *http.Request, b *browser) {
	s.mu.Lock()
	refresh := b.thief.refresh
	s.mu.Unlock()
	token, ok := peek(refresh)
	if !ok {
		problem(w, http.StatusConflict, wire.CodeInvalidRequest, "The thief holds no token yet: hand them a copy first.")
		return
	}
	op := wire.PathRefresh[1:]
	call, _, ok := s.begin(b, WhoThief, op, token)
	if !ok {
		problem(w, http.StatusServiceUnavailable, wire.CodeUnavailable, "Too many calls of this browser are in flight in the demo.")
		return
	}
	defer s.end(b, call)
	body, err := json.Marshal(wire.RefreshRequest{RefreshToken: refresh})
	if err != nil {
		problem(w, http.StatusInternalServerError, wire.CodeServerError, "The thief's request could not be encoded.")
		return
	}
	rec := s.asThief(r, s.cfg.Auth, http.MethodPost, s.cfg.BasePath+wire.PathRefresh, body, "")
	s.answered(b, WhoThief, call, op, rec, FateDelivered)
	w.WriteHeader(http.StatusNoContent)
}

// thiefRead has the thief call the demo API with the access token that they got.
func (s *Server) thiefRead(w http.ResponseWriter, r *http.Request, b *browser) {
	s.mu.Lock()
	access := b.thief.access
	s.mu.Unlock()
	if access == "" {
		problem(w, http.StatusConflict, wire.CodeInvalidRequest, "The thief has no access token yet: renew as the thief first.")
		return
	}
	rec := s.asThief(r, s.api, http.MethodGet, "/api/demo/orders", nil, access)
	s.record(b, Entry{Kind: KindRead, Who: WhoThief, Status: rec.status})
	w.WriteHeader(http.StatusNoContent)
}

// asThief sends a request of the thief's through a handler of this process.
func (s *Server) asThief(r *http.Request, h http.Handler, method, path string, body []byte, access string) *recorder {
	req := r.Clone(r.Context())
	req.Method, req.RequestURI, req.URL.Path, req.URL.RawPath, req.URL.RawQuery = method, path, path, "", ""
	req.RemoteAddr = thiefAddress
	req.Header = http.Header{"User-Agent": {thiefUserAgent}}
	req.Body, req.ContentLength, req.TransferEncoding = http.NoBody, 0, nil
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Body, req.ContentLength = readCloser{bytes.NewReader(body)}, int64(len(body))
	}
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	rec := newRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
