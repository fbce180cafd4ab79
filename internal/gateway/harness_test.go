package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/gateway"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/wire"
)

// patience is how long a test waits for something that should come at once. It
// is no measure of anything.
const patience = 20 * time.Second

func newPeople() *apptest.People {
	var users []session.User
	for name, permissions := range map[string][]string{"alice": {"admin:*", "orders:*"}, "bob": {"orders:read"}, "é,李%": {"orders:read"}} {
		users = append(users, session.User{User: wire.User{ID: name, Username: name}, Roles: []string{"role of " + name},
			Permissions: permissions, Scope: strings.Join(permissions, " "), GrantsVersion: 7})
	}
	return apptest.NewPeople(users...)
}

// harness is the program on a loopback port, in front of an API.
type harness struct {
	*testing.T
	app    *app.App
	people *apptest.People
	url    string // of Tacet
	api    *echo
	log    *apptest.Log
}

func newHarness(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	h := &harness{T: t, people: newPeople(), api: newEcho(t), log: &apptest.Log{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = "http://" + ln.Addr().String()
	cfg := app.Config{
		PublicURL: h.url, DataDir: sqlitetest.Dir(t), Directory: h.people, Authenticator: h.people,
		Gateway: gateway.Settings{
			Upstreams: []string{"/api=" + h.api.url, "/strip=" + h.api.url + "/"},
			Require:   []string{"/api/admin=admin:users"},
			Public:    []string{"/api/health"},
		},
		Logger: h.log.Logger(),
	}
	for _, f := range change {
		f(&cfg)
	}
	if h.app, err = app.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	h.app.Start()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.app.Serve(ctx, ln, h.app.Handler) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error("the server did not stop as it should:", err)
		}
		if err := h.app.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *harness) login(name string) wire.TokenResponse {
	h.Helper()
	body, _ := json.Marshal(wire.LoginRequest{Username: name, Password: name, Delivery: wire.DeliveryBody})
	resp, err := http.Post(h.url+"/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	var r wire.TokenResponse
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil || r.AccessToken == "" {
		h.Fatalf("sign-in: %d, %v", resp.StatusCode, err)
	}
	return r
}

func (h *harness) logout(s wire.TokenResponse) {
	h.Helper()
	body, _ := json.Marshal(wire.LogoutRequest{RefreshToken: s.RefreshToken})
	resp, err := http.Post(h.url+"/auth/logout", "application/json", bytes.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		h.Fatalf("sign-out: %d", resp.StatusCode)
	}
}

// get sends a GET with headers given as name, value pairs, spelt as they are.
func (h *harness) get(path string, headers ...string) (*http.Response, string) {
	h.Helper()
	return h.do(http.MethodGet, h.url+path, headers...)
}

func (h *harness) do(method, url string, headers ...string) (*http.Response, string) {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), method, url, nil)
	if err != nil {
		h.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	return resp, string(b)
}

// open begins an answer that may not end.
func (h *harness) open(path, token string) *http.Response {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	h.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", h.url+path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.Fatal(err)
	}
	return resp
}

// until waits for something that comes by itself.
func (h *harness) until(what string, f func() bool) {
	h.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatal("waited in vain until " + what)
		}
	}
}

// raw sends bytes as they are and returns the answer.
func (h *harness) raw(request string) (*http.Response, string) {
	h.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		h.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		h.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		h.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	return resp, string(body)
}

func bearer(s wire.TokenResponse) []string {
	return []string{"Authorization", "Bearer " + s.AccessToken}
}

// echo is an API that says what it was asked.
type echo struct {
	url string
	mux *http.ServeMux
}

// heard is what the API says about a request.
type heard struct {
	Method, URI, Host string
	Header            http.Header
}

func newEcho(t testing.TB) *echo {
	e := &echo{mux: http.NewServeMux()}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := e.mux.Handler(r); pattern != "" {
			e.mux.ServeHTTP(w, r)
			return
		}
		header := maps.Clone(r.Header)
		w.Header().Add("Set-Cookie", "own=1")
		w.Header().Add("Set-Cookie", "tacet_refresh=planted; Path=/auth")
		b, _ := json.Marshal(heard{r.Method, r.RequestURI, r.Host, header})
		_, _ = w.Write(b)
	}))
	t.Cleanup(srv.Close)
	e.url = srv.URL
	return e
}

// heardBy decodes what the API has heard.
func (h *harness) heardBy(resp *http.Response, body string) heard {
	h.Helper()
	var got heard
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK {
		h.Fatalf("status %d, %v in %s", resp.StatusCode, err, body)
	}
	return got
}

func problem(t *testing.T, resp *http.Response, body string, status int, code string) {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("status %d, %v in %s", resp.StatusCode, err, body)
	}
	if resp.StatusCode != status || p.Code != code || p.Status != status || resp.Header.Get("Content-Type") != wire.ContentTypeProblem {
		t.Fatalf("%d %+v, want %d %s", resp.StatusCode, p, status, code)
	}
}

// serve runs a server on a loopback port until the test ends.
func serve(t *testing.T, srv *http.Server) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + ln.Addr().String()
}

// embeddedUser adds a user of the embedded directory with the role reader.
func embeddedUser(h *harness, name, password string, permissions ...string) error {
	if err := h.app.Directory.AddRole(h.Context(), "reader", permissions...); err != nil {
		return err
	}
	_, err := h.app.Directory.Add(h.Context(), directory.NewUser{Name: name, Password: password, Roles: []string{"reader"}})
	return err
}

func (h *harness) post(url string, v any) (*http.Response, string) {
	h.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		h.Fatal(err)
	}
	resp, err := http.Post(url, "application/json", bytes.NewReader(b))
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	return resp, string(said)
}
