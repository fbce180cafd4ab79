package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// TracerName is the instrumentation scope of our spans.
const TracerName = "github.com/tacet-dev/tacet"

// Traces returns what makes spans, if OpenTelemetry's variables ask for it, else
// nil. OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) says where spans go;
// …_HEADERS, …_TIMEOUT, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER and OTEL_BSP_… are as everywhere. stop sends what is left;
// it must be called.
func Traces(lookup func(string) (string, bool), version string, log *slog.Logger) (tracer api.Tracer, stop func(context.Context), err error) {
	e, err := newExporter(lookup)
	if e == nil || err != nil {
		return nil, func(context.Context) {}, err
	}
	attributes := []attribute.KeyValue{attribute.String("service.version", version)}
	if name, _ := lookup("OTEL_SERVICE_NAME"); name == "" {
		attributes = append(attributes, attribute.String("service.name", "tacet"))
	}
	res, err := resource.Merge(resource.Default(), resource.NewSchemaless(attributes...))
	if err != nil {
		return nil, func(context.Context) {}, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(&sparingly{log: log})
	p := trace.NewTracerProvider(trace.WithBatcher(e), trace.WithResource(res))
	log.Info("traces are sent", "to", e.url)
	return p.Tracer(TracerName), func(ctx context.Context) { _ = p.Shutdown(ctx) }, nil // its error is for the handler
}

const exportTimeout = 10 * time.Second

// newExporter is nil if no endpoint is named.
func newExporter(lookup func(string) (string, bool)) (*exporter, error) {
	get := func(names ...string) (value, name string) {
		for _, name := range names {
			if v, _ := lookup(name); v != "" {
				return v, name
			}
		}
		return "", ""
	}
	endpoint, name := get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if disabled, _ := get("OTEL_SDK_DISABLED"); endpoint == "" || strings.EqualFold(disabled, "true") {
		return nil, nil
	}
	if kind, _ := get("OTEL_TRACES_EXPORTER"); kind == "none" {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s is not an http or https URL of a collector, like http://localhost:4318", name)
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u = u.JoinPath("v1", "traces")
	}
	if protocol, name := get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol == "grpc" {
		return nil, fmt.Errorf("%s is grpc: spans are sent over http; name the collector's http port, usually 4318, and set it to http/json", name)
	}
	e := &exporter{url: u.String(), header: http.Header{}, client: &http.Client{Timeout: exportTimeout}}
	if ms, name := get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"); ms != "" {
		n, err := strconv.Atoi(ms)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("%s must be a number of milliseconds", name)
		}
		e.client.Timeout = time.Duration(n) * time.Millisecond
	}
	list, name := get("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		k, v, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(v))
		if !ok || err != nil {
			return nil, fmt.Errorf("%s must be a list like name=value,name=value", name) // the values may be secret
		}
		e.header.Set(strings.TrimSpace(k), value)
	}
	return e, nil
}

// sparingly logs that spans are lost, once a minute at most.
type sparingly struct {
	log  *slog.Logger
	mu   sync.Mutex
	next time.Time
}

// Handle is otel.ErrorHandler.
func (s *sparingly) Handle(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.After(s.next) {
		s.next = now.Add(time.Minute)
		s.log.Warn("traces are lost; nothing else is affected", "error", err)
	}
}
