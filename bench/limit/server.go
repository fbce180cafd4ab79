// Package limit is the reference server that renewals are measured against:
// the least that a session server with rotating, durable refresh tokens and
// signed access tokens has to do, done as well as we know how.
//
// For each request it verifies an HMAC token, appends 28 bytes to a flat file
// and waits until they are durable (group commit, fdatasync), signs a JWT with
// Ed25519 while it waits, and answers JSON and a cookie. It keeps no sessions,
// looks nothing up and decides nothing: a real server cannot be cheaper.
package limit

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Paths and the cookie of the server. PathLogin starts a session and checks
// nothing; PathRefresh takes {"refresh_token":…}.
const (
	PathLogin   = "/login"
	PathRefresh = "/refresh"
	Cookie      = "limit_refresh"
)

const maxBody = 4 << 10

// Server is the handler. Close its log when no request runs any more.
type Server struct {
	log    *Log
	signer *signer
}

// New makes a server with fresh keys that appends to log.
func New(log *Log) *Server { return &Server{log: log, signer: newSigner()} }

// ServeHTTP serves the two paths.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case PathLogin:
		var rec record
		rand.Read(rec[:16])
		s.answer(w, &rec)
	case PathRefresh:
		s.refresh(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	var body struct {
		RefreshToken string `json:"refresh_token"`
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		http.Error(w, `{"code":"invalid_request"}`, http.StatusBadRequest)
		return
	}
	rec, err := s.signer.open(body.RefreshToken)
	if err != nil {
		http.Error(w, `{"code":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	s.answer(w, &rec)
}

// answer makes rec durable and, meanwhile, mints what follows it.
func (s *Server) answer(w http.ResponseWriter, rec *record) {
	commit, err := s.log.Append(rec[:])
	if err != nil {
		http.Error(w, `{"code":"temporarily_unavailable"}`, http.StatusServiceUnavailable)
		return
	}
	body := make([]byte, 0, 768)
	body = append(body, `{"access_token":"`...)
	body = s.signer.access(body, rec, time.Now())
	body = append(body, `","token_type":"Bearer","expires_in":900}`...)

	cookie := make([]byte, 0, 192)
	cookie = append(cookie, Cookie+"="...)
	child := rec.child()
	cookie = s.signer.seal(cookie, &child)
	cookie = append(cookie, "; Path=/; HttpOnly; SameSite=Lax"...)

	if err := commit.Wait(); err != nil {
		http.Error(w, `{"code":"temporarily_unavailable"}`, http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Set-Cookie"] = []string{string(cookie)}
	w.Write(body)
}

var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
)
