package cli

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// fetch returns status and body, 0 if nobody answers.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// Metrics and profiles are where --admin-listen says and nowhere else, the last
// spans are sent when the server stops, and nothing secret is in either.
func TestAdminListenAndTraces(t *testing.T) {
	spans := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case spans <- string(body):
		default:
		}
	}))
	t.Cleanup(collector.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := ln.Addr().String()
	_ = ln.Close()
	dir := t.TempDir()
	token := seedSessions(t, dir, 1)[0]
	p := newProgram(t, dir, "--admin-listen", admin)
	p.env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL}
	p.start()
	r := rotator{token: token}
	if refused := r.renew(t.Context(), p.addr); refused != "" || r.renewed != 1 {
		t.Fatalf("renewal: %s\n%s", refused, p.log)
	}
	for _, path := range []string{"/livez", "/readyz", "/debug/pprof/", "/debug/pprof/cmdline"} {
		if status, body := fetch(t, "http://"+admin+path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	status, page := fetch(t, "http://"+admin+"/metrics")
	for _, line := range []string{`tacet_renewals_total{outcome="advanced"} 1`, `tacet_build_info{go_version="go1.`, "process_resident_memory_bytes ", "go_goroutines "} {
		if status != http.StatusOK || !strings.Contains(page, "\n"+line) {
			t.Errorf("metrics: %d, no line %q", status, line)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if status, _ := fetch(t, "http://"+p.addr+path); status != http.StatusNotFound {
			t.Errorf("%s is served to everybody: %d", path, status)
		}
	}
	for _, path := range []string{"/auth/refresh", "/auth/me"} {
		if status, _ := fetch(t, "http://"+admin+path); status != http.StatusNotFound {
			t.Errorf("%s is served to operators: %d", path, status)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.log)
	}
	p.cmd = nil
	close(spans)
	var all strings.Builder
	for s := range spans {
		all.WriteString(s)
	}
	for _, name := range []string{"POST /auth/refresh", "store sessions.move", "service.version"} {
		if !strings.Contains(all.String(), name) {
			t.Errorf("no %s among the spans:\n%s", name, all.String())
		}
	}
	for _, text := range []string{page, all.String()} {
		if strings.Contains(text, token) || strings.Contains(text, r.token) || strings.Contains(text, "alice") {
			t.Error("a token or a name is in the metrics or in a span")
		}
	}
}

// Without the flag there are no metrics anywhere.
func TestNoMetricsWithoutAdminListen(t *testing.T) {
	p := newProgram(t, t.TempDir())
	p.start()
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if status, _ := fetch(t, "http://"+p.addr+path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}
