package verify_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// sealedWorld is a resource server that decrypts, and one client of it.
type sealedWorld struct {
	testing.TB
	server  *seal.ServerKey
	client  *seal.Client
	channel *seal.Channel
	token   string // bound to client
	url     string
	now     time.Time
	calls   atomic.Int64 // that reached the handler
	handler http.HandlerFunc
}

func newServerKey(t testing.TB) *seal.ServerKey {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := seal.NewServerKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSealedWorld(t testing.TB, change func(*verify.EncryptionConfig)) *sealedWorld {
	t.Helper()
	w := &sealedWorld{TB: t, server: newServerKey(t), now: t0.Add(time.Minute), handler: echo}
	var err error
	if w.client, err = seal.NewClient(); err != nil {
		t.Fatal(err)
	}
	if w.channel, err = w.client.Channel(w.server.Public(), "ses_1"); err != nil {
		t.Fatal(err)
	}
	w.token = signEd(header(nil), claims(object{"enc_jkt": w.client.ID()}))
	began := false
	v := newVerifier(t, verify.Config{Leeway: -1, Clock: func() time.Time {
		if !began {
			return t0
		}
		return w.now
	}})
	c := verify.EncryptionConfig{Verifier: v, Keys: verify.EncryptionKeys(w.server)}
	if change != nil {
		change(&c)
	}
	e, err := verify.NewEncryption(c)
	if err != nil {
		t.Fatal(err)
	}
	began = true
	guard := v.Middleware
	if c.Unbound {
		guard = v.Optional
	}
	srv := httptest.NewServer(e.Middleware(guard(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.calls.Add(1)
		w.handler(rw, r)
	}))))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// echo sends back what came, and says in headers what it was.
func echo(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"Content-Type", "Accept", "Accept-Encoding", "Tacet-Seal", "Content-Length"} {
		w.Header().Set("X-"+name, r.Header.Get(name))
	}
	w.Header().Set("Content-Type", "x-echo/"+r.Method)
	b, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(b)) {
		http.Error(w, fmt.Sprint(err, r.ContentLength), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(b)
}

// envelope is a message on its way, which tests may spoil.
type envelope struct {
	seal.Request
	header  http.Header
	message string // in the body
	at      string // where it is sent to, if elsewhere
}

func (w *sealedWorld) envelope(method, path, contentType string, content []byte) *envelope {
	w.Helper()
	return w.envelopeAt(seal.Request{Method: method, Path: path, Sequence: w.channel.Next()}, contentType, content, w.now)
}

func (w *sealedWorld) envelopeAt(r seal.Request, contentType string, content []byte, now time.Time) *envelope {
	w.Helper()
	m, err := w.channel.Seal(r, contentType, content, now.UnixMilli())
	if err != nil {
		w.Fatal(err)
	}
	e := &envelope{Request: r, header: http.Header{"Accept": {"application/jose, text/x-mine"}, "Authorization": {"Bearer " + w.token}}}
	if len(content) > 0 {
		e.header.Set("Content-Type", wire.ContentTypeJOSE)
		e.message = string(m)
	} else {
		e.header.Set(wire.HeaderSeal, string(m))
	}
	return e
}

func (w *sealedWorld) send(e *envelope) (*http.Response, []byte) {
	w.Helper()
	path := e.Path
	if e.at != "" {
		path = e.at
	}
	var body io.Reader
	if e.message != "" {
		body = strings.NewReader(e.message)
	}
	r, err := http.NewRequestWithContext(w.Context(), e.Method, w.url+path, body)
	if err != nil {
		w.Fatal(err)
	}
	r.Header = e.header
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp, b
}

// open is what the client makes of an answer.
func (w *sealedWorld) open(e *envelope, resp *http.Response, body []byte) ([]byte, string, error) {
	w.Helper()
	if s := resp.Header.Get(wire.HeaderSeal); s != "" {
		if len(body) > 0 {
			w.Fatalf("%d bytes beside the seal", len(body))
		}
		return w.channel.Open(e.Request, resp.StatusCode, []byte(s), 0)
	}
	if ct := resp.Header.Get("Content-Type"); ct != wire.ContentTypeJOSE {
		w.Fatalf("%d with Content-Type %q: %.300s", resp.StatusCode, ct, body)
	}
	return w.channel.Open(e.Request, resp.StatusCode, body, 20<<20)
}

// refused sends what must not get through, and checks that it did not.
func (w *sealedWorld) refused(name string, e *envelope, status int, code string) {
	w.Helper()
	before := w.calls.Load()
	resp, body := w.send(e)
	var p wire.Problem
	err := json.Unmarshal(body, &p)
	if err != nil || resp.StatusCode != status || p.Code != code || p.Status != status || p.Title == "" || p.Detail == "" {
		w.Errorf("%s: %d %s, want %d %s", name, resp.StatusCode, body, status, code)
	}
	if challenge := resp.Header.Get("WWW-Authenticate"); (challenge != "") != (status == 401) {
		w.Errorf("%s: %d with the challenge %q", name, status, challenge)
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); code == wire.CodeEncryptionStale && (err != nil || w.now.Sub(date).Abs() >= time.Second) {
		w.Errorf("%s: the server's time is %s, it says %s", name, w.now, resp.Header.Get("Date"))
	}
	if w.calls.Load() != before {
		w.Errorf("%s: it reached the handler", name)
	}
}

func TestEncryptedRequests(t *testing.T) {
	w := newSealedWorld(t, nil)
	large := make([]byte, 10<<20)
	_, _ = rand.Read(large)
	for _, c := range []struct {
		method, path, contentType string
		content                   []byte
	}{
		{"POST", "/api/x?a=1&b=%E8%8C%B6", "application/json", []byte(`{"n":1}`)},
		{"PUT", "/", "", []byte("x")},
		{"PATCH", "/api/x", `multipart/form-data; boundary="a b"`, []byte("--a b--")},
		{"GET", "/api/x?q", "", nil},
		{"DELETE", "/api/x", "", nil},
		{"POST", "/api/empty", "", nil},
		{"HEAD", "/api/x", "", nil},
		{"POST", "/api/large", "application/octet-stream", large},
	} {
		e := w.envelope(c.method, c.path, c.contentType, c.content)
		resp, body := w.send(e)
		content, contentType, err := w.open(e, resp, body)
		if err != nil || resp.StatusCode != 200 || contentType != "x-echo/"+c.method || !bytes.Equal(content, c.content) {
			t.Errorf("%s %s: %d, %q, %d bytes, %v", c.method, c.path, resp.StatusCode, contentType, len(content), err)
		}
		length := ""
		if len(c.content) > 0 {
			length = strconv.Itoa(len(c.content))
		}
		for name, want := range map[string]string{"Content-Type": c.contentType, "Accept": "text/x-mine", "Accept-Encoding": "", "Tacet-Seal": "", "Content-Length": length} {
			if got := resp.Header.Get("X-" + name); got != want {
				t.Errorf("%s %s: the handler saw %s %q, want %q", c.method, c.path, name, got, want)
			}
		}
		if resp.Header.Get("Cache-Control") != "no-store" {
			t.Error("an answer that is good for one request may be stored")
		}
	}
}

// Whatever is done to a request on its way, it does not reach the handler, and
// the client learns why.
func TestEncryptedRequestsRefused(t *testing.T) {
	w := newSealedWorld(t, func(c *verify.EncryptionConfig) { c.MaxContent = 1 << 20 })
	body := []byte(`{"n":1}`)
	post := func() *envelope { return w.envelope("POST", "/api/x", "application/json", body) }
	get := func() *envelope { return w.envelope("GET", "/api/x", "", nil) }
	at := func(d time.Duration) *envelope {
		return w.envelopeAt(seal.Request{Method: "POST", Path: "/api/x", Sequence: w.channel.Next()}, "", body, w.now.Add(d))
	}
	flip := func(s string, i int) string {
		b := []byte(s)
		if b[i]++; b[i] == '.' {
			b[i]++
		}
		return string(b)
	}
	part := func(message string, n int) int { // where a part begins
		return len(strings.Join(strings.SplitN(message, ".", n+1)[:n], ".")) + 1
	}
	const invalid = wire.CodeEncryptionInvalid
	for _, c := range []struct {
		name   string
		e      *envelope
		spoil  func(*envelope)
		status int
		code   string
	}{
		{"tampered content", post(), func(e *envelope) { e.message = flip(e.message, part(e.message, 3)+2) }, 400, invalid},
		{"tampered nonce", post(), func(e *envelope) { e.message = flip(e.message, part(e.message, 2)+2) }, 400, invalid},
		{"tampered tag", post(), func(e *envelope) { e.message = flip(e.message, part(e.message, 4)+2) }, 400, invalid},
		{"truncated", post(), func(e *envelope) { e.message = e.message[:len(e.message)-5] }, 400, invalid},
		{"truncated in the header", post(), func(e *envelope) { e.message = e.message[:50] }, 400, invalid},
		{"an empty body", post(), func(e *envelope) { e.message = "" }, 400, invalid},
		{"plain JSON that says it is JOSE", post(), func(e *envelope) { e.message = string(body) }, 400, invalid},
		{"another method", post(), func(e *envelope) { e.Method = "PUT" }, 400, invalid},
		{"another path", post(), func(e *envelope) { e.at = "/api/y" }, 400, invalid},
		{"another query", post(), func(e *envelope) { e.at = "/api/x?admin=1" }, 400, invalid},
		{"GET for another path", get(), func(e *envelope) { e.at = "/api/y" }, 400, invalid},
		{"a tampered seal", get(), func(e *envelope) { e.header.Set(wire.HeaderSeal, flip(e.header.Get(wire.HeaderSeal), 5)) }, 400, invalid},
		{"a body beside the seal", w.envelope("POST", "/api/x", "", nil), func(e *envelope) { e.message = "plain" }, 400, invalid},
		{"two seals", get(), func(e *envelope) { e.header.Add(wire.HeaderSeal, e.header.Get(wire.HeaderSeal)) }, 400, invalid},
		{"a seal and a body", post(), func(e *envelope) { e.header.Set(wire.HeaderSeal, e.message) }, 400, invalid},
		{"an answer", post(), func(e *envelope) { e.message = w.responseTo(e) }, 400, invalid},
		{"too large", w.envelope("POST", "/api/x", "", make([]byte, 1<<20+1)), nil, 413, wire.CodeTooLarge},
		{"far too large", w.envelope("POST", "/api/x", "", make([]byte, 2<<20)), nil, 413, wire.CodeTooLarge},
		{"too old", at(-verify.DefaultMaxAge - time.Millisecond), nil, 400, wire.CodeEncryptionStale},
		{"from the future", at(verify.DefaultMaxAge + time.Millisecond), nil, 400, wire.CodeEncryptionStale},
		{"from before the start", at(-time.Minute), nil, 400, wire.CodeEncryptionStale},
		{"plain text with the bound token", post(), func(e *envelope) {
			e.message = string(body)
			e.header = http.Header{"Authorization": e.header["Authorization"], "Content-Type": {"application/json"}}
		}, 415, wire.CodeEncryptionRequired},
		{"a plain GET with the bound token", get(), func(e *envelope) { e.header.Del(wire.HeaderSeal); e.header.Del("Accept") }, 415, wire.CodeEncryptionRequired},
		{"a plain GET that asks for an encrypted answer", get(), func(e *envelope) {
			e.header.Del(wire.HeaderSeal)
			e.header.Set("Authorization", "Bearer "+signEd(header(nil), claims(nil)))
		}, 415, wire.CodeEncryptionRequired},
		{"with a token that is bound to nothing", post(), func(e *envelope) { e.header.Set("Authorization", "Bearer "+signEd(header(nil), claims(nil))) }, 400, wire.CodeEncryptionKey},
		{"with a token that is bound to another key", post(), func(e *envelope) {
			e.header.Set("Authorization", "Bearer "+signEd(header(nil), claims(object{"enc_jkt": w.server.ID()})))
		}, 400, wire.CodeEncryptionKey},
		{"with the token of another session", post(), func(e *envelope) {
			e.header.Set("Authorization", "Bearer "+signEd(header(nil), claims(object{"enc_jkt": w.client.ID(), "sid": "ses_2"})))
		}, 400, wire.CodeEncryptionKey},
		{"with an expired token", post(), func(e *envelope) {
			e.header.Set("Authorization", "Bearer "+signEd(header(nil), claims(object{"enc_jkt": w.client.ID(), "exp": t0.Unix()})))
		}, 401, wire.CodeInvalidToken},
		{"with no token", post(), func(e *envelope) { e.header.Del("Authorization") }, 401, wire.CodeInvalidToken},
	} {
		if c.spoil != nil {
			c.spoil(c.e)
		}
		w.refused(c.name, c.e, c.status, c.code)
	}
	other, err := w.client.Channel(newServerKey(t).Public(), "ses_1")
	if err != nil {
		t.Fatal(err)
	}
	w.channel, other = other, w.channel
	w.refused("under a key of another server", post(), 400, wire.CodeEncryptionKey)
	w.channel = other
	if e := post(); true { // and after all that, a good one
		resp, b := w.send(e)
		if got, _, err := w.open(e, resp, b); err != nil || string(got) != string(body) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// refusalOf is the server's own message to the client.
func (w *sealedWorld) responseTo(e *envelope) string {
	w.Helper()
	m, err := seal.Read(strings.NewReader(e.message))
	if err != nil {
		w.Fatal(err)
	}
	keys, err := w.server.Agree(m.Header.Client, m.Header.Session)
	if err != nil {
		w.Fatal(err)
	}
	out, err := keys.SealResponse(m.Header, []byte("x"))
	if err != nil {
		w.Fatal(err)
	}
	return string(out)
}

// Each request is taken once, in whatever order they come in, as long as they
// are near each other.
func TestReplayedAndReordered(t *testing.T) {
	w := newSealedWorld(t, nil)
	var list []*envelope
	for range 5 {
		list = append(list, w.envelope("POST", "/api/x", "", []byte("x")), w.envelope("GET", "/api/x", "", nil))
	}
	for _, i := range []int{9, 0, 5, 3, 1, 2, 8, 7, 4, 6} {
		if resp, b := w.send(list[i]); resp.StatusCode != 200 {
			t.Errorf("request %d: %d %s", i, resp.StatusCode, b)
		}
	}
	for i, e := range list {
		w.refused("again "+strconv.Itoa(i), e, 409, wire.CodeEncryptionReplayed)
	}
	w.refused("sealed again under the same number", w.envelopeAt(list[0].Request, "", []byte("y"), w.now), 409, wire.CodeEncryptionReplayed)
	first := w.envelope("POST", "/api/x", "", []byte("x"))
	jump := w.envelopeAt(seal.Request{Method: "POST", Path: "/api/x", Sequence: first.Sequence + seal.Window}, "", []byte("x"), w.now)
	if resp, b := w.send(jump); resp.StatusCode != 200 {
		t.Errorf("a jump ahead: %d %s", resp.StatusCode, b)
	}
	w.refused("too far behind to tell", first, 409, wire.CodeEncryptionReplayed)
	// One that was refused takes no number: with a good token it goes through.
	e := w.envelope("POST", "/api/x", "", []byte("x"))
	token := e.header.Get("Authorization")
	e.header.Del("Authorization")
	w.refused("without token", e, 401, wire.CodeInvalidToken)
	e.header.Set("Authorization", token)
	if resp, b := w.send(e); resp.StatusCode != 200 {
		t.Errorf("after a renewal: %d %s", resp.StatusCode, b)
	}
}

// Answers are good for their own request: swapped by somebody on the way, they
// are refused by the client.
func TestSwappedAnswers(t *testing.T) {
	w := newSealedWorld(t, nil)
	a, b := w.envelope("GET", "/api/x", "", nil), w.envelope("GET", "/api/x", "", nil)
	respA, bodyA := w.send(a)
	respB, bodyB := w.send(b)
	if _, _, err := w.open(a, respB, bodyB); err == nil {
		t.Error("the answer to b was taken for that to a")
	}
	if _, _, err := w.open(b, respA, bodyA); err == nil {
		t.Error("the answer to a was taken for that to b")
	}
	if _, _, err := w.open(a, respA, bodyA); err != nil {
		t.Error(err)
	}
}

func TestEncryptedAnswers(t *testing.T) {
	w := newSealedWorld(t, func(c *verify.EncryptionConfig) { c.MaxContent = 1 << 20 })
	for _, c := range []struct {
		name        string
		handler     http.HandlerFunc
		status      int
		contentType string
		content     string // a part of it
	}{
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 204, "", ""},
		{"not modified", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"x"`); w.WriteHeader(304) }, 304, "", ""},
		{"nothing at all", func(http.ResponseWriter, *http.Request) {}, 200, "", ""},
		{"an error", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret reason", http.StatusUnprocessableEntity)
		}, 422, "text/plain; charset=utf-8", "secret reason"},
		{"no type", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, 200, "text/html; charset=utf-8", "<html>"},
		{"flushed", func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = w.Write([]byte("part "))
				_ = http.NewResponseController(w).Flush()
			}
		}, 200, "text/plain; charset=utf-8", "part part part "},
		{"interim", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(201) }, 201, "", ""},
		{"a length that is not that of the message", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			w.Header().Set("Trailer", "X")
			_, _ = w.Write([]byte("ok"))
			w.Header().Set(http.TrailerPrefix+"Y", "y")
		}, 200, "text/plain; charset=utf-8", "ok"},
		{"a stream of events", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			for { // until it is told to stop
				if _, err := w.Write([]byte("data: secret\n\n")); err != nil {
					return
				}
			}
		}, 500, wire.ContentTypeProblem, wire.CodeEncryptionUnsupported},
		{"compressed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write([]byte("secret"))
			_ = z.Close()
		}, 500, wire.ContentTypeProblem, wire.CodeEncryptionUnsupported},
		{"without end", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, 500, wire.ContentTypeProblem, wire.CodeEncryptionUnsupported},
	} {
		w.handler = c.handler
		e := w.envelope("GET", "/api/x", "", nil)
		resp, body := w.send(e)
		content, contentType, err := w.open(e, resp, body)
		if err != nil || resp.StatusCode != c.status || contentType != c.contentType || !strings.Contains(string(content), c.content) || c.content == "" && len(content) > 0 {
			t.Errorf("%s: %d, %q, %q, %v", c.name, resp.StatusCode, contentType, content, err)
		}
		if bytes.Contains(body, []byte("secret")) || len(resp.Trailer) > 0 || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: something got past the encryption: %v", c.name, resp.Header)
		}
	}
	w.handler = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("secret"))
		panic(http.ErrAbortHandler)
	}
	e := w.envelope("POST", "/api/x", "", []byte("x")) // a GET would be repeated by net/http
	r, _ := http.NewRequestWithContext(t.Context(), "POST", w.url+e.Path, strings.NewReader(e.message))
	r.Header = e.header
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
		resp.Body.Close()
		t.Errorf("an answer that broke off: %d", resp.StatusCode)
	}
}

// Without encryption installed, a bound token is good for nothing: a server that
// knows nothing of it must not undo what was agreed.
func TestBoundTokenElsewhere(t *testing.T) {
	token := signEd(header(nil), claims(object{"enc_jkt": "x"}))
	v := newVerifier(t, verify.Config{})
	if _, err := v.Verify(t.Context(), token); err != verify.ErrEncryptionRequired {
		t.Errorf("Verify: %v", err)
	}
	reached := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	for name, h := range map[string]http.Handler{"Middleware": v.Middleware(reached), "Optional": v.Optional(reached), "Require": v.Require("orders:read")(reached)} {
		for range 2 { // the second time, the token is remembered
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			got := httptest.NewRecorder()
			h.ServeHTTP(got, r)
			if got.Code != 415 || got.Header().Get("Accept") != "application/jose" || got.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s: %d %v", name, got.Code, got.Header())
			}
		}
	}
	for _, bad := range []any{"", 5, nil} {
		payload := claims(nil)
		payload["enc_jkt"] = bad
		if _, err := v.Verify(t.Context(), signEd(header(nil), payload)); err != verify.ErrMalformed {
			t.Errorf("enc_jkt %v: %v", bad, err)
		}
	}
}

// Where binding begins, there may be no session yet.
func TestEncryptedBeforeThereIsASession(t *testing.T) {
	w := newSealedWorld(t, func(c *verify.EncryptionConfig) { c.Unbound = true })
	var err error
	if w.channel, err = w.client.Channel(w.server.Public(), ""); err != nil {
		t.Fatal(err)
	}
	w.handler = func(w http.ResponseWriter, r *http.Request) {
		key, ok := verify.EncryptedWith(r.Context())
		_, _ = fmt.Fprint(w, key, ok)
	}
	e := w.envelope("POST", "/auth/login", "application/json", []byte(`{"username":"alice"}`))
	e.header.Del("Authorization")
	resp, body := w.send(e)
	if got, _, err := w.open(e, resp, body); err != nil || string(got) != w.client.ID()+"true" {
		t.Errorf("%d, %q, %v", resp.StatusCode, got, err)
	}
	w.refused("again", e, 409, wire.CodeEncryptionReplayed)
	e = w.envelope("POST", "/auth/login", "application/json", make([]byte, 64<<10+1))
	e.header.Del("Authorization")
	w.refused("more than a sign-in", e, 413, wire.CodeTooLarge)
}

func TestEncryptionRequire(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	e, err := verify.NewEncryption(verify.EncryptionConfig{Verifier: v, Keys: verify.EncryptionKeys()})
	if err != nil {
		t.Fatal(err)
	}
	got := httptest.NewRecorder()
	e.Middleware(e.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))).ServeHTTP(got, httptest.NewRequest("GET", "/", nil))
	if got.Code != 415 {
		t.Errorf("plain text: %d", got.Code)
	}
	for _, c := range []verify.EncryptionConfig{{}, {Verifier: v}, {Verifier: v, Keys: verify.EncryptionKeys(), MaxContent: -1}, {Verifier: v, Keys: verify.EncryptionKeys(), MaxAge: -1}} {
		if _, err := verify.NewEncryption(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// BenchmarkEncryption is one POST whose body comes back, over loopback.
func BenchmarkEncryption(b *testing.B) {
	for _, n := range []int{0, 1 << 10, 100 << 10, 10 << 20} {
		content := bytes.Repeat([]byte("x"), n)
		b.Run(fmt.Sprintf("plain/%d", n), func(b *testing.B) {
			w := newSealedWorld(b, nil)
			w.token = signEd(header(nil), claims(nil))
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				e := &envelope{Request: seal.Request{Method: "POST", Path: "/api/x"}, message: string(content), header: http.Header{"Authorization": {"Bearer " + w.token}}}
				if resp, got := w.send(e); resp.StatusCode != 200 || len(got) != n {
					b.Fatal(resp.StatusCode)
				}
			}
		})
		b.Run(fmt.Sprintf("encrypted/%d", n), func(b *testing.B) {
			w := newSealedWorld(b, nil)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				e := w.envelope("POST", "/api/x", "text/plain", content)
				resp, got := w.send(e)
				if plain, _, err := w.open(e, resp, got); err != nil || len(plain) != n {
					b.Fatal(resp.StatusCode, err)
				}
			}
		})
	}
}
