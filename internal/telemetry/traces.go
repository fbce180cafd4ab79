package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// TracerName is the instrumentation scope of our spans.
const TracerName = "github.com/tacet-dev/tacet"

// Traces returns what makes spans, if OpenTelemetry's variables ask for it, else
// nil. OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) says where spans go, by
// OTLP over HTTP; all other variables of the SDK and the exporter are as
// everywhere. stop sends what is left; it must be called.
func Traces(ctx context.Context, version string, log *slog.Logger) (tracer api.Tracer, stop func(context.Context), err error) {
	none := func(context.Context) {}
	endpoint, err := endpoint()
	if endpoint == "" || err != nil {
		return nil, none, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, none, fmt.Errorf("traces to %s: %w", endpoint, err)
	}
	attributes := []attribute.KeyValue{attribute.String("service.version", version)}
	if os.Getenv("OTEL_SERVICE_NAME") == "" {
		attributes = append(attributes, attribute.String("service.name", "tacet"))
	}
	res, err := resource.Merge(resource.Default(), resource.NewSchemaless(attributes...))
	if err != nil {
		return nil, none, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(&sparingly{log: log})
	p := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(res))
	log.Info("traces are sent", "to", endpoint)
	return p.Tracer(TracerName), func(ctx context.Context) { _ = p.Shutdown(ctx) }, nil // its error is for the handler
}

// endpoint is where spans go; empty: nowhere.
func endpoint() (string, error) {
	first := func(names ...string) (value, name string) {
		for _, name := range names {
			if v := os.Getenv(name); v != "" {
				return v, name
			}
		}
		return "", ""
	}
	at, name := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if at == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return "", nil
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s is not an http or https URL of a collector, like http://localhost:4318", name)
	}
	if protocol, name := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return "", fmt.Errorf("%s is %s: spans are sent as http/protobuf; name the collector's http port, usually 4318", name, protocol)
	}
	return u.Redacted(), nil
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
