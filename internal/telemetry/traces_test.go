package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	api "go.opentelemetry.io/otel/trace"
)

func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// What a collector gets is OTLP in JSON: ids in hexadecimal, times as text.
func TestSpansArriveAtTheCollector(t *testing.T) {
	type got struct {
		path, auth, kind string
		body             []byte
	}
	requests := make(chan got, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- got{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), body}
		_, _ = io.WriteString(w, "{}")
	}))
	defer collector.Close()
	tracer, stop, err := Traces(env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL+"/", "OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s%3D"), "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, parent := tracer.Start(context.Background(), "POST /x", api.WithSpanKind(api.SpanKindServer), api.WithAttributes(attribute.String("http.route", "/x")))
	_, child := tracer.Start(ctx, "store y", api.WithAttributes(attribute.Int("n", 7), attribute.Bool("b", true)))
	child.SetStatus(codes.Error, "full")
	child.End()
	parent.End()
	stop(t.Context())

	r := <-requests
	if r.path != "/v1/traces" || r.auth != "Bearer s=" || r.kind != "application/json" {
		t.Errorf("path %s, authorization %q, content type %s", r.path, r.auth, r.kind)
	}
	var doc otlpRequest
	if err := json.Unmarshal(r.body, &doc); err != nil {
		t.Fatal(err)
	}
	resource := doc.ResourceSpans[0]
	names := map[string]any{}
	for _, a := range resource.Resource.Attributes {
		names[a.Key] = a.Value["stringValue"]
	}
	if names["service.name"] != "tacet" || names["service.version"] != "v1" {
		t.Errorf("resource %v", names)
	}
	spans := resource.ScopeSpans[0].Spans
	if resource.ScopeSpans[0].Scope.Name != TracerName || len(spans) != 2 {
		t.Fatalf("%s", r.body)
	}
	c, p := spans[0], spans[1]
	hex16, hex32, number := regexp.MustCompile(`^[0-9a-f]{16}$`), regexp.MustCompile(`^[0-9a-f]{32}$`), regexp.MustCompile(`^\d{19}$`)
	for _, s := range spans {
		if !hex32.MatchString(s.TraceID) || !hex16.MatchString(s.SpanID) || !number.MatchString(s.Start) || !number.MatchString(s.End) || s.Start > s.End {
			t.Errorf("span %+v", s)
		}
	}
	if c.ParentID != p.SpanID || p.ParentID != "" || c.TraceID != p.TraceID || p.Kind != 2 || c.Kind != 1 || c.Status != (otlpStatus{2, "full"}) {
		t.Errorf("spans %+v", spans)
	}
	if !bytes.Contains(r.body, []byte(`{"key":"n","value":{"intValue":"7"}}`)) || !bytes.Contains(r.body, []byte(`{"key":"b","value":{"boolValue":true}}`)) {
		t.Errorf("attributes: %s", r.body)
	}
}

// A collector that is away is said once; nothing fails.
func TestACollectorThatIsAway(t *testing.T) {
	var log bytes.Buffer
	srv := httptest.NewServer(nil)
	srv.Close()
	tracer, stop, err := Traces(env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", srv.URL), "v1", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, s := tracer.Start(context.Background(), "x")
		s.End()
	}
	stop(t.Context())
	if n := strings.Count(log.String(), "traces are lost"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}

// Without an endpoint there are no spans; with a wrong one there is no start, and
// the reason names the variable and no secret.
func TestTracesAreAskedFor(t *testing.T) {
	const on, url = "OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"
	for _, off := range []func(string) (string, bool){env(), env(on, url, "OTEL_SDK_DISABLED", "true"), env(on, url, "OTEL_TRACES_EXPORTER", "none")} {
		if tracer, stop, err := Traces(off, "v1", slog.New(slog.DiscardHandler)); tracer != nil || err != nil || stop == nil {
			t.Errorf("tracer %v, error %v", tracer, err)
		}
	}
	for name, lookup := range map[string]func(string) (string, bool){
		on:                                   env(on, "localhost:4318"),
		"OTEL_EXPORTER_OTLP_PROTOCOL":        env(on, url, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
		"OTEL_EXPORTER_OTLP_TIMEOUT":         env(on, url, "OTEL_EXPORTER_OTLP_TIMEOUT", "5s"),
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS":  env(on, url, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "secret"),
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://x"),
	} {
		_, stop, err := Traces(lookup, "v1", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		stop(t.Context())
	}
}
