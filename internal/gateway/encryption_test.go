package gateway_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// sealing is a client that encrypts, as docs/encryption.md says.
type sealing struct {
	*harness
	client  *seal.Client
	server  *seal.PublicKey
	channel *seal.Channel
	token   string
}

func (h *harness) sealing() *sealing {
	h.Helper()
	resp, jwks := h.get(wire.PathJWKS)
	server, err := seal.ParseJWKS([]byte(jwks))
	if err != nil {
		h.Fatal(resp.StatusCode, err)
	}
	// Those who only verify are not disturbed by it.
	if keys, err := verify.ParseJWKS([]byte(jwks)); err != nil || len(keys) != 1 {
		h.Fatalf("%d keys for signatures, %v", len(keys), err)
	}
	client, err := seal.NewClient()
	if err != nil {
		h.Fatal(err)
	}
	s := &sealing{harness: h, client: client, server: server}
	s.agree("")
	return s
}

func (s *sealing) agree(session string) {
	s.Helper()
	var err error
	if s.channel, err = s.client.Channel(s.server, session); err != nil {
		s.Fatal(err)
	}
}

// call sends a request encrypted, and returns what was in the answer; of one in
// plain text, its body.
func (s *sealing) call(method, path, content string) (status int, body string, encrypted bool) {
	s.Helper()
	r := seal.Request{Method: method, Path: path, Sequence: s.channel.Next()}
	contentType := ""
	if content != "" {
		contentType = "application/json"
	}
	m, err := s.channel.Seal(r, contentType, []byte(content), time.Now().UnixMilli())
	if err != nil {
		s.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.Context(), method, s.url+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	if content != "" {
		req, _ = http.NewRequestWithContext(s.Context(), method, s.url+path, bytes.NewReader(m))
		req.Header.Set("Content-Type", wire.ContentTypeJOSE)
	} else {
		req.Header.Set(wire.HeaderSeal, string(m))
	}
	req.Header.Set("Accept", wire.ContentTypeJOSE)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	if v := resp.Header.Get(wire.HeaderSeal); v != "" {
		b = []byte(v)
	} else if resp.Header.Get("Content-Type") != wire.ContentTypeJOSE {
		return resp.StatusCode, string(b), false
	}
	got, _, err := s.channel.Open(r, resp.StatusCode, b, 1<<20)
	if err != nil {
		s.Fatalf("%s %s: the answer %d: %v", method, path, resp.StatusCode, err)
	}
	return resp.StatusCode, string(got), true
}

func (s *sealing) want(method, path, content string, status int, part string) string {
	s.Helper()
	got, body, encrypted := s.call(method, path, content)
	if got != status || !encrypted || !strings.Contains(body, part) {
		s.Fatalf("%s %s: %d (encrypted: %v) %s, want %d with %q", method, path, got, encrypted, body, status, part)
	}
	return body
}

func newEncryptedHarness(t *testing.T, change ...func(*app.Config)) *harness {
	return newHarness(t, append([]func(*app.Config){func(c *app.Config) { c.Encryption.Encrypt = []string{"/api/secret"} }}, change...)...)
}

// A client signs in, agrees on encryption, and calls APIs through the gateway.
func TestEncryption(t *testing.T) {
	h := newEncryptedHarness(t)
	h.api.mux.HandleFunc("POST /api/secret", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "bad", http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(append([]byte("got "), b...))
	})
	s := h.sealing()
	plain := h.login("alice")
	s.agree(plain.Session.ID)
	s.token = plain.AccessToken
	var bound wire.EncryptionResponse
	if err := json.Unmarshal([]byte(s.want("POST", "/auth/encryption", "", 200, "")), &bound); err != nil || bound.TokenType != "Bearer" ||
		bound.ExpiresIn < plain.ExpiresIn-60 || bound.ExpiresIn > plain.ExpiresIn {
		t.Fatalf("%+v, %v", bound, err)
	}
	s.token = bound.AccessToken

	s.want("POST", "/api/secret", `"the-content"`, 200, `got "the-content"`)
	s.want("GET", "/api/x?n=1", "", 200, `"URI":"/api/x?n=1"`)
	s.want("GET", "/strip/x", "", 200, `"URI":"/x"`) // bound to what the client sent
	s.want("GET", "/api/admin/x", "", 200, "")
	s.want("GET", "/auth/me", "", 200, `"username":"alice"`)
	s.want("GET", "/auth/none", "", 404, wire.CodeNotFound)
	s.want("DELETE", "/auth/me", "", 405, wire.CodeMethodNotAllowed)
	s.want("GET", "/nowhere", "", 404, wire.CodeNotFound)
	s.want("GET", "/api/..%2fsecret", "", 400, wire.CodeInvalidRequest)

	// What cannot be encrypted is said to be so, and does not hang.
	h.api.mux.HandleFunc("/api/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("data: x\n\n"))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	})
	h.api.mux.HandleFunc("/api/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	})
	h.api.mux.HandleFunc("/api/gzip", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Encoding", "gzip") })
	for _, path := range []string{"/api/stream", "/api/endless", "/api/gzip", "/auth/events"} {
		s.want("GET", path, "", 500, wire.CodeEncryptionUnsupported)
	}

	// Plain text, once encryption was agreed, is refused at every door.
	for _, path := range []string{"/api/x", "/api/secret", "/api/admin/x", "/api/health", "/auth/me", "/auth/sessions", "/auth/events", "/auth/verify"} {
		resp, body := h.get(path, "Authorization", "Bearer "+bound.AccessToken)
		problem(t, resp, body, 415, wire.CodeEncryptionRequired)
	}
	resp, body := h.do("POST", h.url+"/auth/encryption", "Authorization", "Bearer "+plain.AccessToken)
	problem(t, resp, body, 415, wire.CodeEncryptionRequired)
	// So is any token where the configuration demands encryption, however the path is written.
	for path, want := range map[string]int{"/api/secret": 415, "/api/secret/x": 415, "/api/secret?x": 415, "/api/Secret": 400, "/api//secret": 400, "/api/%73ecret": 400, "/api/secrets": 200} {
		if resp, body := h.get(path, "Authorization", "Bearer "+plain.AccessToken); resp.StatusCode != want {
			t.Errorf("plain text at %s: %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
	// And anonymous callers there.
	resp, body = h.get("/api/secret")
	problem(t, resp, body, 415, wire.CodeEncryptionRequired)
	// Those who agreed on nothing go on as before.
	if got, _ := h.get("/api/x", "Authorization", "Bearer "+plain.AccessToken); got.StatusCode != 200 {
		t.Errorf("plain text with a plain token: %d", got.StatusCode)
	}

	// The key dies with the session.
	h.logout(plain)
	if status, body, encrypted := s.call("GET", "/api/x", ""); status != 401 || encrypted {
		t.Errorf("after the sign-out: %d (encrypted: %v) %s", status, encrypted, body)
	}
	if strings.Contains(h.log.String(), "the-content") {
		t.Error("contents are in the log")
	}
}

// A client that encrypts its sign-in never shows password or refresh token, and
// its access tokens are bound from the first.
func TestEncryptedSignIn(t *testing.T) {
	h := newEncryptedHarness(t)
	s := h.sealing()
	var in wire.TokenResponse
	read := func(body string) {
		t.Helper()
		in = wire.TokenResponse{}
		if err := json.Unmarshal([]byte(body), &in); err != nil || in.AccessToken == "" || in.RefreshToken == "" {
			t.Fatalf("%+v, %v", in, err)
		}
		resp, body := h.get("/api/x", "Authorization", "Bearer "+in.AccessToken)
		problem(t, resp, body, 415, wire.CodeEncryptionRequired)
	}
	s.want("POST", "/auth/login", `{"username":"alice","password":"wrong","delivery":"body"}`, 400, wire.CodeInvalidCredentials)
	read(s.want("POST", "/auth/login", `{"username":"alice","password":"alice","delivery":"body"}`, 200, ""))
	read(s.want("POST", "/auth/refresh", `{"refresh_token":"`+in.RefreshToken+`"}`, 200, ""))
	s.token = in.AccessToken // with which a renewal may come, dead or alive
	read(s.want("POST", "/auth/refresh", `{"refresh_token":"`+in.RefreshToken+`"}`, 200, ""))
	s.agree(in.Session.ID)
	s.token = in.AccessToken
	s.want("POST", "/api/x", `{}`, 200, "")
	status, body, _ := s.call("POST", "/auth/login", `{"username":"alice","password":"`+strings.Repeat("x", 64<<10)+`"}`)
	if status != 413 {
		t.Errorf("a sign-in without bounds: %d %s", status, body)
	}
}

// Every node understands what was agreed with any of them, and what was agreed
// before a rotation is good after it.
func TestEncryptionKeysRotate(t *testing.T) {
	h := newEncryptedHarness(t)
	s := h.sealing()
	plain := h.login("alice")
	s.agree(plain.Session.ID)
	s.token = plain.AccessToken
	before := s.server.ID()
	made, err := h.app.Keys.Rotate(t.Context(), true)
	if err != nil || len(made) != 3 {
		t.Fatalf("%+v, %v", made, err)
	}
	s.want("GET", "/api/x", "", 200, "")
	listed := false
	for _, k := range h.app.Keys.List() {
		listed = listed || k.KeyID == before && k.Use == "enc"
	}
	if !listed || h.app.Keys.EncryptionKey(before) == nil || h.app.Keys.EncryptionKey("x") != nil {
		t.Error("the key should be listed and found by its kid, and no other")
	}
	_, jwks := h.get(wire.PathJWKS)
	if n := strings.Count(jwks, `"use":"enc"`); n != 2 {
		t.Errorf("%d keys for encryption are published, want the old and the new one: %s", n, jwks)
	}
}

// Without the setting there is no such key and no such call.
func TestEncryptionIsOptIn(t *testing.T) {
	h := newHarness(t)
	if _, jwks := h.get(wire.PathJWKS); strings.Contains(jwks, `"enc"`) {
		t.Error("a key for encryption is published")
	}
	resp, body := h.do("POST", h.url+"/auth/encryption", "Authorization", "Bearer "+h.login("alice").AccessToken)
	problem(t, resp, body, 404, wire.CodeNotFound)
}
