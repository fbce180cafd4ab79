package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/wire"
)

const nginxProgram = "/usr/sbin/nginx"

// nginx runs Debian's package with the configuration of the documentation, in
// which only the addresses are others. It inherits its socket, so that the port
// is the system's choice and nobody else's.
func nginx(t *testing.T, tacet, api string) (url string) {
	t.Helper()
	if _, err := os.Stat(nginxProgram); err != nil {
		t.Fatalf("%s is not installed; run: scripts/need nginx", nginxProgram)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close() // the socket lives on

	documented, err := os.ReadFile("../../docs/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	server := string(documented)
	for from, to := range map[string]string{"127.0.0.1:8080": tacet, "127.0.0.1:9000": api, "listen 127.0.0.1:8000": "listen " + addr} {
		to = strings.TrimPrefix(to, "http://")
		if strings.Count(server, from) != 1 {
			t.Fatalf("%s is not once in docs/nginx.conf", from)
		}
		server = strings.Replace(server, from, to, 1)
	}
	dir := t.TempDir()
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := "daemon off;\npid " + filepath.Join(dir, "pid") + ";\nerror_log stderr notice;\nevents {}\nhttp {\naccess_log off;\n" + temp.String() + server + "}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(nginxProgram, "-e", "stderr", "-p", dir, "-c", conf)
	cmd.Env = append(os.Environ(), "NGINX=3;")
	cmd.ExtraFiles = []*os.File{socket}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stuck.Stop()
		if t.Failed() {
			t.Log("nginx said:\n" + out.String())
		}
	})
	return "http://" + addr
}

func TestNginxAsksAboutEachRequest(t *testing.T) {
	h := newHarness(t, func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	front := nginx(t, h.url, h.api.url)
	alice, bob, ended := h.login("alice"), h.login("bob"), h.login("bob")
	h.logout(ended)

	for _, c := range []struct {
		path, challenge string
		who             []string
		status          int
	}{
		{"/api/orders", "Bearer", nil, 401},
		{"/api/orders", `error="invalid_token"`, bearer(ended), 401},
		{"/api/orders", "Bearer", []string{"Cookie", "tacet_refresh=" + bob.RefreshToken}, 401},
		{"/api/orders", "", bearer(bob), 200},
		{"/api/admin/x", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api//admin/x", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/x/../admin/x", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/%61dmin/x", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/admin", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/admin.json", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/Admin.json", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/admin%3fx", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/admin%23", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/admin;x", `error="insufficient_scope"`, bearer(bob), 403},
		{"/api/administrators", "", bearer(bob), 200},
		{"/api/health.json", "Bearer", nil, 401},
		{"/api/admin/x", "Bearer", nil, 401},
		{"/api/admin/x", "", bearer(alice), 200},
		{"/api/health", "", nil, 200},
		{"/_tacet/signed-in", "", bearer(alice), 404},
		{"/_tacet/require/a", "", bearer(alice), 404},
	} {
		resp, body := h.do("GET", front+c.path, c.who...)
		got := resp.Header.Get("WWW-Authenticate")
		if resp.StatusCode != c.status || !strings.Contains(got, c.challenge) || (c.challenge == "") != (got == "") {
			t.Errorf("%s: %d %q, want %d %s; %s", c.path, resp.StatusCode, got, c.status, c.challenge, body)
		}
		switch c.status {
		case 401:
			problem(t, resp, body, 401, wire.CodeInvalidToken)
		case 403:
			problem(t, resp, body, 403, wire.CodeInsufficientScope)
		}
	}

	forged := []string{"X-Tacet-User", "alice", "x-tacet-roles", "admin", "X_Tacet_User", "alice", "X-Tacet-Identity", "alice", "X-Forwarded-For", "9.9.9.9"}
	got := h.heardBy(h.do("POST", front+"/api/orders?q=1", append(bearer(bob), forged...)...))
	raw, _ := json.Marshal(got)
	if got.Method != "POST" || got.URI != "/api/orders?q=1" || got.Header.Get(wire.HeaderUser) != "bob" || got.Header.Get(wire.HeaderPermissions) != "orders:read" ||
		got.Header.Get(wire.HeaderSession) != bob.Session.ID || strings.Contains(string(raw), "alice") || strings.Contains(string(raw), "9.9.9.9") {
		t.Errorf("the API is told %s", raw)
	}
	got = h.heardBy(h.do("GET", front+"/api/health", forged...))
	if raw, _ := json.Marshal(got); strings.Contains(strings.ToLower(string(raw)), "tacet") {
		t.Errorf("without signing in, the API is told %s", raw)
	}

	forged = nil
	for _, name := range forgedNames {
		if name != "X-Tacet-Anything" { // nginx has no wildcards
			forged = append(forged, name, "forged-value", strings.ReplaceAll(name, "-", "_"), "forged-value")
		}
	}
	for name, values := range h.heardBy(h.do("GET", front+"/api/health", forged...)).Header {
		if strings.Contains(strings.Join(values, ""), "forged-value") {
			t.Errorf("the caller says %s", name)
		}
	}
	for cookies, want := range map[string]string{
		"a=1; tacet_refresh=r; b=2": "a=1; b=2",
		"__Host-tacet_form=x; a=1; __Host-tacet_oidc_sso=x; XSRF-TOKEN=1; b=2": "a=1; XSRF-TOKEN=1; b=2",
		"my_tacet_x=1; kept=tacet_rt_abc; a=xsrf-token=2":                      "my_tacet_x=1; a=xsrf-token=2",
		"tacet_a=1; tacet_b=2; tacet_c=3; TACET_d=4; tacet_e=5; a=1":           "",
	} {
		if got := h.heardBy(h.do("GET", front+"/api/health", "Cookie", cookies)).Header.Get("Cookie"); got != want {
			t.Errorf("cookies %q became %q, want %q", cookies, got, want)
		}
	}

	// Sign-in and renewal go through nginx, too.
	resp, body := h.post(front+"/auth/refresh", wire.RefreshRequest{RefreshToken: bob.RefreshToken})
	if resp.StatusCode != http.StatusOK {
		t.Errorf("renewal through nginx: %d %s", resp.StatusCode, body)
	}
}

func TestNginxLeavesTacetItsCookies(t *testing.T) {
	h := newHarness(t)
	front := nginx(t, h.api.url, h.api.url)
	const cookies = "tacet_refresh=r; tacet_csrf=x; a=1"
	if got := h.heardBy(h.do("POST", front+"/auth/refresh", "Cookie", cookies)).Header.Get("Cookie"); got != cookies {
		t.Errorf("/auth/ gets %q", got)
	}
}

func TestNginxSignsNobodyOutWhenTacetIsDown(t *testing.T) {
	h := newHarness(t)
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Close()
	front := nginx(t, "http://"+down.Addr().String(), h.api.url)
	resp, body := h.do("GET", front+"/api/orders", bearer(h.login("bob"))...)
	problem(t, resp, body, 503, wire.CodeUnavailable)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
