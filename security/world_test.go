package security_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

const (
	origin   = "https://app.example" // of the server, as browsers see it
	callback = "https://shop.example/cb"
	patience = 20 * time.Second // no measure of anything
)

// world is a server on a loopback port and an API behind its gateway.
type world struct {
	*apptest.Server
	addr    string
	api     *upstream
	http    *http.Transport
	secret  string // of the client web
	token   string // of the client shop (openClients), and its refresh token
	refresh string
	more    func() string // state beside the sessions that no attack may change
	before  string
	other   string            // a session that a row must spare
	ids     map[string]string // of the users of openOffice, by name
}

// openShop is a server with the users alice (an administrator), bob and carol, each
// with the name as password, and four OAuth clients.
func openShop(t *testing.T) *world {
	var users []session.User
	for name, permissions := range map[string][]string{"alice": {"admin:*", "orders:*"}, "bob": {"orders:read"}, "carol": {"orders:read"}} {
		users = append(users, session.User{User: wire.User{ID: name, Username: name}, Roles: []string{"role of " + name},
			Permissions: permissions, Scope: strings.Join(permissions, " "), GrantsVersion: 1})
	}
	w := open(t, apptest.NewPeople(users...))
	w.client(oauth.Client{ID: "spa", RedirectURIs: []string{callback}, LogoutURIs: []string{"https://shop.example/bye"}}, false)
	w.client(oauth.Client{ID: "native", RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.app:/cb"}}, false)
	w.client(oauth.Client{ID: "tv", Device: true}, false)
	w.secret = w.client(oauth.Client{ID: "web", RedirectURIs: []string{callback}}, true)
	return w
}

func (w *world) client(c oauth.Client, confidential bool) string {
	c.Scopes, c.Audiences = []string{"openid"}, []string{origin} // so that its tokens are good here
	secret, err := w.App.OAuth.AddClient(w.Context(), c, confidential)
	if err != nil {
		w.Fatal(err)
	}
	return secret
}

func open(t *testing.T, people *apptest.People, change ...func(*app.Config)) *world {
	t.Helper()
	w := &world{api: newUpstream(t), more: func() string { return "" }}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = ln.Addr().String()
	w.http = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", w.addr)
	}}
	w.Server = apptest.New(t, origin, people, append([]func(*app.Config){func(c *app.Config) {
		c.Gateway.Upstreams = []string{"/api=" + w.api.url}
		c.Gateway.Require = []string{"/api/admin=admin:users", "/api/admin/reports=reports:read"}
		c.Gateway.Public = []string{"/api/health"}
	}}, change...)...)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.App.Serve(ctx, ln, w.Handler) }()
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error("the server did not stop as it should:", err)
		}
	})
	return w
}

// forTest is the same world for a row.
func (w *world) forTest(t *testing.T) *world {
	sub := *w
	sub.Server = w.For(t)
	return &sub
}

// state is what no attack may change: the sessions with their heads, and what was
// told as an event.
func (w *world) state() string {
	w.Helper()
	_, last, err := w.App.DB.Events().Bounds(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	list, err := w.App.Sessions.List(context.Background(), "")
	if err != nil {
		w.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d events, %s\n", last, w.more())
	for _, s := range list {
		fmt.Fprintf(&b, "%s %s %+v\n", s.ID, s.UserID, s.State)
	}
	return b.String()
}

// prepared says that all until here was honest.
func (w *world) prepared() { w.before = w.state() }

// lives reports whether a session has not ended.
func (w *world) lives(id string) bool { return strings.Contains(w.state(), id) }

// reply is a response.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// String is the status and the code of the problem or error.
func (r reply) String() string {
	var e struct{ Code, Error string }
	_ = json.Unmarshal(r.body, &e) // pages have none
	code := e.Code + e.Error
	if to, err := url.Parse(r.header.Get("Location")); code == "" && err == nil {
		code = to.Query().Get("error")
	}
	if r.status == 0 {
		return code
	}
	return fmt.Sprintf("%d %s", r.status, code)
}

// secret is what of a response no attacker may have, or "".
func (r reply) secret() string {
	for _, s := range []string{rotation.Prefix, `"access_token"`, `"id_token"`, `"device_code"`} {
		if bytes.Contains(r.body, []byte(s)) {
			return s
		}
	}
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		if strings.HasSuffix(c.Name, wire.CookieRefresh) || strings.HasSuffix(c.Name, wire.CookieCSRF) {
			if c.MaxAge >= 0 {
				return "the cookie " + c.Name
			}
		}
	}
	if to, err := url.Parse(r.header.Get("Location")); err == nil && to.Query().Has("code") {
		return "a code"
	}
	return ""
}

// json decodes the body.
func (w *world) json(r reply, v any) {
	w.Helper()
	if err := json.Unmarshal(r.body, v); err != nil || r.status/100 != 2 {
		w.Fatalf("%s: %v in %s", r, err, r.body)
	}
}

// send sends a request. Headers are name, value pairs, spelt as they are; a name may
// come twice.
func (w *world) send(method, path, body string, headers ...string) reply {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, "http://app.example"+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		switch headers[i] {
		case "Host":
			r.Host = headers[i+1]
		default:
			r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
		}
	}
	if body != "" && r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.http.RoundTrip(r)
	if err != nil {
		w.Fatal(err)
	}
	return read(w.T, resp)
}

func read(t *testing.T, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

// form posts parameters as a client does. Pairs are name, value.
func (w *world) form(path string, pairs []string, headers ...string) reply {
	w.Helper()
	return w.send("POST", path, query(pairs...), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// query encodes name, value pairs; a name may come twice.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// raw sends bytes as they are and returns all responses until the server closes.
func (w *world) raw(text string) (all []reply) {
	w.Helper()
	return w.wire(text, false, 1000)
}

// one is the first response to bytes as they are.
func (w *world) one(text string) reply {
	w.Helper()
	return single(w, w.wire(text, false, 1))
}

// wire sends bytes, says if told so that no more will come, and reads as many
// responses as there are, up to n.
func (w *world) wire(text string, cut bool, n int) (all []reply) {
	w.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, text) // it may be refused before it has ended
	if cut {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	in := bufio.NewReader(conn)
	for len(all) < n {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			break
		}
		all = append(all, reply{resp.StatusCode, resp.Header, b})
	}
	return all
}

// body is a JSON body.
func body(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// login is a session of a client that keeps its own tokens.
func (w *world) login(name string) (t wire.TokenResponse) {
	w.Helper()
	if id := w.ids[name]; id != "" { // no password is hashed
		g, err := w.App.Sessions.Start(w.Context(), session.SignIn{UserID: id, Client: session.Client{ID: app.DefaultClientID}})
		if err != nil {
			w.Fatal(err)
		}
		return wire.TokenResponse{AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, Session: wire.TokenSession{ID: g.Session.ID.String()}}
	}
	w.json(w.send("POST", "/auth/login", body(wire.LoginRequest{Username: name, Password: name, Delivery: wire.DeliveryBody})), &t)
	return t
}

func (w *world) renew(token string, headers ...string) reply {
	w.Helper()
	return w.send("POST", "/auth/refresh", body(wire.RefreshRequest{RefreshToken: token}), headers...)
}

// renewed renews as often as it says, and returns the last tokens.
func (w *world) renewed(t wire.TokenResponse, times int) wire.TokenResponse {
	w.Helper()
	for range times {
		w.json(w.renew(t.RefreshToken), &t)
	}
	return t
}

// tab is a browser's session.
type tab struct{ refresh, csrf, access, id string }

// browse signs in as a page does.
func (w *world) browse(name string) tab {
	w.Helper()
	r := w.send("POST", "/auth/login", body(wire.LoginRequest{Username: name, Password: name}))
	var t wire.TokenResponse
	w.json(r, &t)
	return tab{r.cookie(wire.CookieSecurePrefix + wire.CookieRefresh), r.cookie(wire.CookieSecurePrefix + wire.CookieCSRF), t.AccessToken, t.Session.ID}
}

// cookie is the value that a response sets.
func (r reply) cookie(name string) string {
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// upstream is an API that says what it was asked, and remembers it.
type upstream struct {
	url string
	mu  sync.Mutex
	all []heard
}

// heard is one request at the API.
type heard struct {
	Method, URI, Host string
	Header            http.Header
	Body              string
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body) // what is cut off is heard as far as it came
		h := heard{r.Method, r.RequestURI, r.Host, r.Header.Clone(), string(b)}
		u.mu.Lock()
		u.all = append(u.all, h)
		u.mu.Unlock()
		w.Header().Add("Set-Cookie", "own=1")
		w.Header().Add("Set-Cookie", "__Host-tacet_refresh=planted; Path=/; Secure")
		_ = json.NewEncoder(w).Encode(h)
	}))
	t.Cleanup(srv.Close)
	u.url = srv.URL
	return u
}

// since are the requests that came after the first n.
func (u *upstream) since(n int) []heard {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]heard(nil), u.all[n:]...)
}

func (u *upstream) count() int { return len(u.since(0)) }

// named goes through a table in order of its names.
func named[T any](table map[string]T) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !yield(name, table[name]) {
				return
			}
		}
	}
}
