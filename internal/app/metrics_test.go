package app

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.yaml.in/yaml/v3"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/sqlite"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/internal/telemetry"
	"github.com/tacet-dev/tacet/wire"
)

// scrape reads the page that Prometheus reads.
func scrape(t *testing.T, a *App) string {
	t.Helper()
	w := httptest.NewRecorder()
	a.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantLines(t *testing.T, page string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(page, "\n"+l+"\n") {
			name, _, _ := strings.Cut(l, "{")
			var have []string
			for have1 := range strings.Lines(page) {
				if strings.HasPrefix(have1, name) {
					have = append(have, have1)
				}
			}
			t.Errorf("no line %q among\n%s", l, strings.Join(have, ""))
		}
	}
}

// What happens is counted under the right names, and nothing of anybody is a
// label.
func TestMetricsTellWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOverloaded(t)
		page := scrape(t, o.app)
		wantLines(t, page, `tacet_renewals_total{outcome="reuse_detected"} 0`, `tacet_sign_ins_total{result="throttled"} 0`,
			`tacet_sessions_ended_total{reason="signed_out"} 0`, `tacet_store_errors_total{failure="full"} 0`)

		var tokens wire.TokenResponse
		a := o.call("POST", "/auth/login", `{"username":"carol","password":"carol","delivery":"body"}`)
		must(t, json.Unmarshal(a.Body.Bytes(), &tokens))
		o.call("POST", "/auth/login", `{"username":"carol","password":"wrong"}`)
		first := tokens.RefreshToken
		must(t, json.Unmarshal(o.renew(first).Body.Bytes(), &tokens))
		o.renew(first)
		second := tokens.RefreshToken
		must(t, json.Unmarshal(o.renew(second).Body.Bytes(), &tokens))
		o.renew(tokens.RefreshToken)
		o.renew(first) // is a copy by now
		o.renew(second)
		o.renew("tacet_rt_made_up")
		o.call("GET", "/no/such/path?token=secret", "")
		o.call("PUT", "/auth/refresh", "")
		o.store.stuck.Store(true)
		g := o.sessions(1)[0]
		o.renew(g.RefreshToken)

		page = scrape(t, o.app)
		wantLines(t, page,
			`tacet_sign_ins_total{result="accepted"} 1`, `tacet_sign_ins_total{result="refused"} 1`, `tacet_sessions_started_total 2`,
			`tacet_renewals_total{outcome="advanced"} 3`, `tacet_renewals_total{outcome="retried"} 1`,
			`tacet_renewals_total{outcome="reuse_detected"} 1`, `tacet_renewals_total{outcome="ended"} 1`,
			`tacet_renewals_total{outcome="not_authentic"} 1`, `tacet_renewals_total{outcome="unavailable"} 1`,
			`tacet_sessions_ended_total{reason="reuse_detected"} 1`,
			`tacet_http_requests_total{method="POST",route="/auth/login",status="2xx"} 1`,
			`tacet_http_requests_total{method="POST",route="/auth/login",status="4xx"} 1`,
			`tacet_http_requests_total{method="POST",route="/auth/refresh",status="5xx"} 1`,
			`tacet_http_requests_total{method="*",route="/auth/refresh",status="4xx"} 1`,
			`tacet_http_requests_total{method="*",route="(none)",status="4xx"} 1`,
			`tacet_http_request_duration_seconds_count{route="/auth/login"} 2`,
			`tacet_http_requests_in_flight 0`, `tacet_event_subscribers{kind="page"} 0`,
			`tacet_gate_capacity{gate="renewals"} 1024`)
		if strings.Contains(page, "canceled") {
			t.Error("a caller who has gone counts as a failure")
		}
		for _, secret := range []string{"carol", "192.0.2.1", "secret", "no/such", "user 0", tokens.Session.ID, tokens.RefreshToken} {
			if strings.Contains(page, secret) {
				t.Errorf("the page contains %q", secret)
			}
		}
	})
}

// Every reason for which a session ends is on the page before the first one does.
func TestMetricsKnowAllReasons(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../wire/wire.go", nil, 0)
	must(t, err)
	a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DataDir: sqlitetest.Dir(t)})
	must(t, err)
	defer a.Close()
	var want []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Reason") {
			want = append(want, fmt.Sprintf("tacet_sessions_ended_total{reason=%s} 0", v.Values[0].(*ast.BasicLit).Value))
		}
		return true
	})
	if len(want) < 7 {
		t.Fatalf("the reasons were not found in package wire: %q", want)
	}
	wantLines(t, scrape(t, a), want...)
}

// Failures of both stores have names of their own; answers are no failures.
func TestFailuresHaveNames(t *testing.T) {
	for name, errs := range map[string][]error{
		"full":        {&store.Error{Kind: sqlite.ErrFull}, &store.Error{Kind: postgres.ErrFull}},
		"read_only":   {&store.Error{Kind: sqlite.ErrReadOnly}, &store.Error{Kind: postgres.ErrReadOnly}},
		"busy":        {&store.Error{Kind: sqlite.ErrBusy}, &store.Error{Kind: postgres.ErrBusy}},
		"unreachable": {&store.Error{Kind: postgres.ErrUnreachable}},
		"timeout":     {&store.Error{Kind: postgres.ErrTimeout}},
		"other":       {&store.Error{}, &store.Error{}},
		"":            {session.ErrNotFound, session.ErrConflict},
	} {
		for _, err := range errs {
			if got := failure(err); got != name {
				t.Errorf("%v is %q, want %q", err, got, name)
			}
		}
	}
}

var metricName = regexp.MustCompile(`\btacet_[a-z0-9_]+`)

// The dashboard and the alerts name metrics that there are, and every metric of
// ours is in one of them.
func TestDashboardAndAlertsNameTheMetrics(t *testing.T) {
	a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DataDir: sqlitetest.Dir(t)})
	must(t, err)
	defer a.Close()
	have := map[string]bool{}
	families, err := a.Metrics.Gatherer().Gather()
	must(t, err)
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "tacet_") {
			have[f.GetName()] = false
		}
	}
	for _, name := range telemetry.PoolMetrics() { // there only with PostgreSQL
		have[name] = false
	}
	for _, path := range []string{"../../docs/grafana/tacet.json", "../../docs/prometheus/tacet.rules.yml"} {
		for _, expr := range expressions(t, path) {
			for _, name := range metricName.FindAllString(expr, -1) {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base, ok := strings.CutSuffix(name, suffix); ok {
						if _, is := have[base]; is {
							name = base
						}
					}
				}
				if _, ok := have[name]; !ok {
					t.Errorf("%s: there is no metric %s (%s)", path, name, expr)
				}
				have[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !have[name] {
			t.Errorf("the metric %s is in no panel and no alert", name)
		}
	}
}

// expressions are the queries of a dashboard or of alerts.
func expressions(t *testing.T, path string) (list []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	var tree any
	must(t, yaml.Unmarshal(data, &tree)) // JSON is YAML
	var walk func(v any, key string)
	walk = func(v any, key string) {
		switch v := v.(type) {
		case map[string]any:
			for k, w := range v {
				walk(w, k)
			}
		case []any:
			for _, w := range v {
				walk(w, key)
			}
		case string:
			if key == "expr" || key == "query" {
				list = append(list, v)
			}
		}
	}
	walk(tree, "")
	if len(list) < 5 {
		t.Fatalf("%s has only %d queries", path, len(list))
	}
	return list
}
