package gateway_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/wire"
)

func TestOnlyThoseWhoMayGetThrough(t *testing.T) {
	h := newHarness(t)
	alice, bob := h.login("alice"), h.login("bob")
	ended := h.login("bob")
	h.logout(ended)
	for _, c := range []struct {
		path, challenge string
		who             []string
		status          int
	}{
		{"/api/orders", "Bearer", nil, 401},
		{"/api/orders", `Bearer error="invalid_token"`, []string{"Authorization", "Bearer nonsense"}, 401},
		{"/api/orders", `error_description="the session has ended"`, bearer(ended), 401},
		{"/api/orders", "Bearer", []string{"Cookie", "tacet_refresh=" + bob.RefreshToken}, 401},
		{"/api/orders", "Bearer", []string{"Authorization", "Basic YTpi"}, 401},
		{"/api/orders", "", bearer(bob), 200},
		{"/api/admin", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/admin/users", `scope="admin:users"`, bearer(bob), 403},
		{"/api/admin/users", "Bearer", nil, 401},
		{"/api/admin/users", "", bearer(alice), 200},
		{"/api/health", "", nil, 200},
		{"/api/health", "", []string{"Authorization", "Bearer null"}, 200},
		{"/api/health", `error="invalid_token"`, bearer(ended), 401},
		{"/strip/x", "", bearer(bob), 200},
	} {
		resp, body := h.get(c.path, c.who...)
		if resp.StatusCode != c.status || !strings.Contains(resp.Header.Get("WWW-Authenticate"), c.challenge) || (c.challenge == "") != (resp.Header.Get("WWW-Authenticate") == "") {
			t.Errorf("%s: %d %q, want %d %s; %s", c.path, resp.StatusCode, resp.Header.Get("WWW-Authenticate"), c.status, c.challenge, body)
		}
		if c.status == 401 {
			problem(t, resp, body, 401, wire.CodeInvalidToken)
		}
	}
	resp, body := h.get("/elsewhere", bearer(alice)...)
	problem(t, resp, body, 404, wire.CodeNotFound)
	resp, body = h.get("/api//admin", bearer(bob)...)
	problem(t, resp, body, 400, wire.CodeInvalidRequest)
	resp, body = h.do("TRACE", h.url+"/api/orders", bearer(bob)...)
	problem(t, resp, body, 405, wire.CodeMethodNotAllowed)
	// The session calls are still answered here.
	if resp, _ := h.get("/auth/me", bearer(bob)...); resp.StatusCode != 200 || resp.Header.Get("ETag") == "" {
		t.Error("/auth/me is not answered any more:", resp.Status)
	}
}

func TestWhatTheAPIIsTold(t *testing.T) {
	h := newHarness(t)
	strange := h.login("é,李%")
	resp, body := h.get("/api/orders/a%2Fb?x=1;y&z=%zz", append(bearer(strange), "Host", "app.example.com", "X-Custom", "kept", "Cookie", "a=1; tacet_refresh=secret; tacet_csrf=s")...)
	got := h.heardBy(resp, body)
	for name, want := range map[string]string{
		wire.HeaderUser:          "%C3%A9%2C%E6%9D%8E%25",
		wire.HeaderSession:       strange.Session.ID,
		wire.HeaderClient:        "tacet-web",
		wire.HeaderRoles:         "role%20of%20%C3%A9%2C%E6%9D%8E%25",
		wire.HeaderPermissions:   "orders:read",
		wire.HeaderGrantsVersion: "7",
		wire.HeaderIdentity:      "",
		"X-Forwarded-For":        "127.0.0.1",
		"X-Forwarded-Host":       "app.example.com",
		"X-Forwarded-Proto":      "http",
		"X-Custom":               "kept",
		"Cookie":                 "a=1",
		"Authorization":          "Bearer " + strange.AccessToken,
	} {
		if v := strings.Join(got.Header[name], "|"); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if got.Host != "app.example.com" || got.URI != "/api/orders/a%2Fb?x=1;y&z=%zz" {
		t.Errorf("%+v", got)
	}
	if set := resp.Header.Values("Set-Cookie"); len(set) != 1 || set[0] != "own=1" {
		t.Errorf("the API sets %q", set)
	}
	got = h.heardBy(h.get("/strip/a%2Fb/c", bearer(strange)...))
	if got.URI != "/a%2Fb/c" || got.Header.Get("X-Forwarded-Prefix") != "/strip" {
		t.Errorf("without the prefix: %+v", got)
	}
	got = h.heardBy(h.get("/api/health"))
	for name := range got.Header {
		if strings.HasPrefix(name, wire.HeaderIdentityPrefix) {
			t.Errorf("an anonymous caller has %s", name)
		}
	}
}

func TestCallersCannotSayWhoTheyAre(t *testing.T) {
	h := newHarness(t)
	bob := h.login("bob")
	forged := []string{
		"X-Tacet-User", "alice", "x-tacet-user", "alice", "X_Tacet_User", "alice", "X-Tacet_Roles", "admin", "X-Tacet-Permissions", "*", "X-Tacet-Identity", "e30.e30.",
		"X-Tacet-Other", "1", "X-Forwarded-For", "9.9.9.9", "X_Forwarded_For", "9.9.9.9", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https", "X-Forwarded-User", "alice",
		"Forwarded", "for=9.9.9.9", "X-Real-IP", "9.9.9.9", "X-Original-URL", "/api/admin", "X-Rewrite-URL", "/api/admin", "Proxy", "http://evil",
		// What is set behind them must not be taken out as hop-by-hop.
		"Connection", "X-Tacet-User, X-Tacet-Permissions, X-Forwarded-For, Authorization",
	}
	got := h.heardBy(h.get("/api/orders", append(bearer(bob), forged...)...))
	if u := got.Header[wire.HeaderUser]; len(u) != 1 || u[0] != "bob" {
		t.Errorf("user %q", u)
	}
	if p := got.Header[wire.HeaderPermissions]; len(p) != 1 || p[0] != "orders:read" {
		t.Errorf("permissions %q", p)
	}
	if f := got.Header["X-Forwarded-For"]; len(f) != 1 || f[0] != "127.0.0.1" {
		t.Errorf("address %q", f)
	}
	raw, _ := json.Marshal(got)
	for _, s := range []string{"alice", "9.9.9.9", "evil", "e30.e30", "/api/admin", "X-Tacet-Other"} {
		if strings.Contains(string(raw), s) {
			t.Errorf("%s went through: %s", s, raw)
		}
	}
	got = h.heardBy(h.get("/api/health", forged...))
	if raw, _ := json.Marshal(got); strings.Contains(string(raw), "alice") || strings.Contains(strings.ToLower(string(raw)), "tacet") {
		t.Errorf("without signing in: %s", raw)
	}
}

func TestTrustedProxiesAreBelieved(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	got := h.heardBy(h.get("/api/x", append(bearer(h.login("bob")), "X-Forwarded-For", "198.51.100.7, 10.0.0.1", "X-Forwarded-Host", "app.example.com", "X-Forwarded-Proto", "https")...))
	if got.Header.Get("X-Forwarded-For") != "198.51.100.7, 10.0.0.1, 127.0.0.1" || got.Header.Get("X-Forwarded-Host") != "app.example.com" || got.Header.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("%v", got.Header)
	}
}

// What only a hand-made request can carry.
func TestOddRequests(t *testing.T) {
	h := newHarness(t)
	token := "Authorization: Bearer " + h.login("bob").AccessToken + "\r\n"
	resp, body := h.raw("GET http://root:pw@elsewhere/api/health HTTP/1.1\r\nHost: app\r\n\r\n")
	if got := h.heardBy(resp, body); got.Header.Get("Authorization") != "" || got.URI != "/api/health" {
		t.Errorf("a name in the URL became %+v", got)
	}
	h.api.mux.HandleFunc("/api/trailer", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, len(r.Trailer), err)
	})
	resp, body = h.raw("POST /api/trailer HTTP/1.1\r\nHost: app\r\n" + token + "Transfer-Encoding: chunked\r\nTrailer: X-Tacet-User\r\n\r\n1\r\na\r\n0\r\nX-Tacet-User: root\r\n\r\n")
	if resp.StatusCode != 200 || body != "0 <nil>" {
		t.Errorf("trailers: %d %s", resp.StatusCode, body)
	}
	resp, body = h.raw("GET /api/orders HTTP/1.1\r\nHost: app\r\n" + token + token + "\r\n")
	problem(t, resp, body, 400, wire.CodeInvalidRequest)
	resp, body = h.raw("OPTIONS * HTTP/1.1\r\nHost: app\r\n\r\n")
	if resp.StatusCode == 502 || strings.Contains(body, "URI") {
		t.Errorf("OPTIONS * went through: %d %s", resp.StatusCode, body)
	}
	h.app.Gateway.SetStall(20 * time.Millisecond)
	resp, body = h.raw("POST /api/orders HTTP/1.1\r\nHost: app\r\n" + token + "Content-Length: 10\r\n\r\na")
	problem(t, resp, body, 400, wire.CodeInvalidRequest)
	resp, body = h.raw("POST /api/orders HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\n")
	problem(t, resp, body, 401, wire.CodeInvalidToken)
}

// Other upgrades than WebSocket would let a caller speak past the rules.
func TestNoTunnelButWebSocket(t *testing.T) {
	h := newHarness(t)
	got := h.heardBy(h.get("/api/x", append(bearer(h.login("bob")), "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")...))
	if got.Header.Get("Upgrade") != "" || got.Header.Get("Http2-Settings") != "" || strings.Contains(got.Header.Get("Connection"), "Upgrade") {
		t.Errorf("%v", got.Header)
	}
}

func TestSignedIdentity(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.Gateway.IdentitySignature = true })
	bob := h.login("bob")
	got := h.heardBy(h.get("/api/x", bearer(bob)...))
	jwt := got.Header.Get(wire.HeaderIdentity)
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%q", jwt)
	}
	var header struct{ Typ, Alg, Kid string }
	var claims wire.AccessClaims
	for i, v := range []any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(b, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if header.Typ != wire.IdentityTokenType || claims.Subject != "bob" || claims.Audience != h.api.url || claims.SessionID != bob.Session.ID || claims.ExpiresAt-claims.IssuedAt != 60 || claims.Scope != "orders:read" {
		t.Errorf("%+v %+v", header, claims)
	}
	// The signature is one of the published keys', but it is no access token.
	if _, err := h.app.Verifier.Verify(t.Context(), jwt); err == nil || !strings.Contains(err.Error(), "not an access token") {
		t.Errorf("as access token: %v", err)
	}
	if err := checkSignature(h, jwt, header.Kid); err != nil {
		t.Error(err)
	}
	if _, ok := h.heardBy(h.get("/api/health")).Header[http.CanonicalHeaderKey(wire.HeaderIdentity)]; ok {
		t.Error("an anonymous caller has a signed identity")
	}
}

func TestUpstreamsThatFail(t *testing.T) {
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := down.Addr().String()
	_ = down.Close()
	h := newHarness(t, func(c *app.Config) {
		c.Gateway.Upstreams = append(c.Gateway.Upstreams, "/down=http://"+addr)
		c.Gateway.UpstreamTimeout = 50 * time.Millisecond
	})
	release := make(chan struct{})
	defer close(release)
	h.api.mux.HandleFunc("/api/slow", func(http.ResponseWriter, *http.Request) { <-release })
	h.api.mux.HandleFunc("/api/breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	bob := bearer(h.login("bob"))
	resp, body := h.get("/down/x", bob...)
	problem(t, resp, body, 502, wire.CodeBadGateway)
	if strings.Contains(body, addr) {
		t.Errorf("the caller learns where the API is: %s", body)
	}
	resp, body = h.get("/api/breaks", bob...)
	problem(t, resp, body, 502, wire.CodeBadGateway)
	resp, body = h.get("/api/slow", append(bob, "Accept-Language", "zh-CN")...)
	problem(t, resp, body, 504, wire.CodeGatewayTimeout)
	if !strings.Contains(body, "应用") {
		t.Errorf("not in Chinese: %s", body)
	}
	if log := h.log.String(); !strings.Contains(log, "/down=http://"+addr) {
		t.Error("the log does not say which upstream is down")
	}
}

func TestACallerWhoLeavesIsNoticedUpstream(t *testing.T) {
	h := newHarness(t)
	reached, left := make(chan struct{}), make(chan struct{})
	h.api.mux.HandleFunc("/api/wait", func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		<-r.Context().Done()
		close(left)
	})
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", h.url+"/api/wait", nil)
	r.Header.Set("Authorization", "Bearer "+h.login("bob").AccessToken)
	go func() {
		<-reached
		leave()
	}()
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
		t.Fatal(resp.Status)
	}
	wait(t, left, "the upstream to learn that the caller has gone")
}

func TestCrossOriginPagesMayCallThrough(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.CORSOrigins = []string{"http://localhost:5173"} })
	h.api.mux.HandleFunc("/api/cors", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "X-Total")
	})
	resp, _ := h.do("OPTIONS", h.url+"/api/cors", "Origin", "http://localhost:5173", "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization,x-own")
	if resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Origin") != "http://localhost:5173" || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "x-own") {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
	resp, _ = h.get("/api/cors", append(bearer(h.login("bob")), "Origin", "http://localhost:5173")...)
	if o := resp.Header.Values("Access-Control-Allow-Origin"); len(o) != 1 || o[0] != "http://localhost:5173" {
		t.Errorf("origins %q", o)
	}
	if e := strings.Join(resp.Header.Values("Access-Control-Expose-Headers"), ","); !strings.Contains(e, "X-Total") {
		t.Errorf("exposed %q", e)
	}
	resp, _ = h.get("/api/cors", "Origin", "http://localhost:5173")
	if resp.StatusCode != 401 || resp.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a refusal can't be read by the page: %d %v", resp.StatusCode, resp.Header)
	}
	// Forward-auth answers no preflight: to a proxy that asks with the caller's
	// method, its 204 would mean yes.
	resp, _ = h.do("OPTIONS", h.url+"/auth/verify/api/x", "Origin", "http://localhost:5173", "Access-Control-Request-Method", "GET")
	if resp.StatusCode != 401 {
		t.Errorf("forward-auth let a preflight through: %d", resp.StatusCode)
	}
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain for " + what)
	}
}

// checkSignature is EdDSA by hand, over the key set as published.
func checkSignature(h *harness, jwt, kid string) error {
	_, body := h.get("/.well-known/jwks.json")
	var set struct {
		Keys []struct{ Kid, X string }
	}
	if err := json.Unmarshal([]byte(body), &set); err != nil {
		return err
	}
	for _, k := range set.Keys {
		if k.Kid == kid {
			return verifyEd25519(k.X, jwt)
		}
	}
	return fmt.Errorf("no key %s in %s", kid, body)
}

func verifyEd25519(x, jwt string) error {
	public, err := base64.RawURLEncoding.DecodeString(x)
	if err != nil {
		return err
	}
	dot := strings.LastIndexByte(jwt, '.')
	sum, err := base64.RawURLEncoding.DecodeString(jwt[dot+1:])
	if err != nil {
		return err
	}
	if !ed25519.Verify(public, []byte(jwt[:dot]), sum) {
		return errors.New("the signature of the identity is wrong")
	}
	return nil
}
