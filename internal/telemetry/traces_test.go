package telemetry

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// setenv sets OpenTelemetry's variables and clears the others of them.
func setenv(t *testing.T, pairs ...string) {
	t.Helper()
	for _, name := range []string{"ENDPOINT", "TRACES_ENDPOINT", "PROTOCOL", "TRACES_PROTOCOL", "HEADERS"} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, "")
	}
	t.Setenv("OTEL_SDK_DISABLED", "")
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	for i := 0; i < len(pairs); i += 2 {
		t.Setenv(pairs[i], pairs[i+1])
	}
}

// Spans arrive at the collector, with who sends them, when the server stops.
func TestSpansArriveAtTheCollector(t *testing.T) {
	requests := make(chan *otlp.ExportTraceServiceRequest, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m := &otlp.ExportTraceServiceRequest{}
		if err := proto.Unmarshal(body, m); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Authorization") != "Bearer s=" {
			t.Errorf("%s, authorization %q: %v", r.URL.Path, r.Header.Get("Authorization"), err)
		}
		requests <- m
	}))
	defer srv.Close()
	setenv(t, "OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL, "OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s%3D")
	tracer, stop, err := Traces(t.Context(), "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, s := tracer.Start(context.Background(), "POST /x")
	s.End()
	stop(t.Context())
	m := <-requests
	text := m.String()
	for _, want := range []string{"POST /x", TracerName, "service.name", "tacet", "service.version", "v1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

// A collector that is away is said once; nothing fails, and stopping does not
// take longer than it may.
func TestACollectorThatIsAway(t *testing.T) {
	var log bytes.Buffer
	srv := httptest.NewServer(nil)
	srv.Close()
	setenv(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", srv.URL)
	tracer, stop, err := Traces(t.Context(), "v1", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, s := tracer.Start(context.Background(), "x")
	s.End()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	stop(ctx)
	h := &sparingly{log: slog.New(slog.NewTextHandler(&log, nil))}
	log.Reset()
	for range 3 {
		h.Handle(io.ErrUnexpectedEOF)
	}
	if n := strings.Count(log.String(), "traces are lost"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}

// Without an endpoint there are no spans; with a wrong one there is no start, and
// the reason names the variable.
func TestTracesAreAskedFor(t *testing.T) {
	const on, url = "OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"
	for _, off := range [][]string{nil, {on, url, "OTEL_SDK_DISABLED", "true"}, {on, url, "OTEL_TRACES_EXPORTER", "none"}} {
		setenv(t, off...)
		if tracer, stop, err := Traces(t.Context(), "v1", slog.New(slog.DiscardHandler)); tracer != nil || err != nil || stop == nil {
			t.Errorf("%v: tracer %v, error %v", off, tracer, err)
		}
	}
	for name, pairs := range map[string][]string{
		on:                                   {on, "localhost:4318"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":        {on, url, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://x"},
	} {
		setenv(t, pairs...)
		_, stop, err := Traces(t.Context(), "v1", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		stop(t.Context())
	}
}
