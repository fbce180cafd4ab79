package gateway_test

import (
	"bytes"
	"encoding/json"
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
)

// echoWSGI is an API that says what its WSGI environment holds (PEP 3333).
const echoWSGI = `
import json

def api(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({k: v for k, v in environ.items() if isinstance(v, str)}).encode()]
`

// gunicorn runs Debian's package on a socket that it inherits.
func gunicorn(t *testing.T) (url string) {
	t.Helper()
	program, err := exec.LookPath("gunicorn")
	if err != nil {
		t.Fatal("gunicorn is not installed; run: scripts/need gunicorn")
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
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "echo.py"), []byte(echoWSGI), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--bind", "fd://3", "--chdir", dir, "--worker-tmp-dir", dir, "--workers", "1", "echo:api")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
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
			t.Log("gunicorn said:\n" + out.String())
		}
	})
	return "http://" + addr
}

// TestGunicornIsToldNoOtherPath: gunicorn takes SCRIPT_NAME from a header and
// cuts it off the path that was checked.
func TestGunicornIsToldNoOtherPath(t *testing.T) {
	api := gunicorn(t)
	h := newHarness(t, func(c *app.Config) {
		c.Gateway.Upstreams = []string{"/api=" + api}
	})
	environ := func(resp *http.Response, body string) (env map[string]string) {
		t.Helper()
		if err := json.Unmarshal([]byte(body), &env); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %v in %s", resp.StatusCode, err, body)
		}
		return env
	}
	const path = "/api/health/api/admin/users"
	// The attack works where nothing stands in between, or this test shows nothing.
	if env := environ(h.do("GET", api+path, "SCRIPT_NAME", "/api/health")); env["PATH_INFO"] != "/api/admin/users" {
		t.Fatalf("gunicorn does not believe SCRIPT_NAME any more: %q", env["PATH_INFO"])
	}
	for _, spelling := range []string{"SCRIPT_NAME", "Script_Name", "script_name", "Script-Name", "SCRIPT-NAME"} {
		env := environ(h.get(path, spelling, "/api/health"))
		if env["PATH_INFO"] != path || env["SCRIPT_NAME"] != "" {
			t.Errorf("%s: PATH_INFO %q, SCRIPT_NAME %q", spelling, env["PATH_INFO"], env["SCRIPT_NAME"])
		}
	}
	var forged []string
	for _, name := range forgedNames {
		forged = append(forged, name, "forged-value", strings.ReplaceAll(name, "-", "_"), "forged-value")
	}
	for name, value := range environ(h.get("/api/health", forged...)) {
		if strings.Contains(value, "forged-value") {
			t.Errorf("the caller says %s", name)
		}
	}
	cookies := environ(h.get("/api/health", "Cookie", "a=1; __Host-tacet_form=x; __Host-tacet_oidc_sso=x; tacet_refresh=x; b=2"))["HTTP_COOKIE"]
	if cookies != "a=1; b=2" {
		t.Errorf("cookies %q", cookies)
	}
}
