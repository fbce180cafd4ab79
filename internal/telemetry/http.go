package telemetry

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Routes returns what measures the requests of a route. tracer, if not nil, also
// makes a span of each, below the caller's (W3C Trace Context). Names of routes
// are patterns, never paths of requests.
func (m *Metrics) Routes(tracer trace.Tracer) func(method, route string, next http.Handler) http.Handler {
	return func(method, route string, next http.Handler) http.Handler {
		r := &measured{metrics: m, next: next, times: m.requestTime.WithLabelValues(route), tracer: tracer, name: method + " " + route}
		for i := range r.responses {
			r.responses[i] = m.requests.WithLabelValues(method, route, classes[i])
		}
		if tracer != nil {
			r.attributes = trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route))
		}
		return r
	}
}

// classes are those of the status; the first is for responses without one.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

type measured struct {
	metrics    *Metrics
	next       http.Handler
	responses  [len(classes)]prometheus.Counter
	times      prometheus.Observer
	tracer     trace.Tracer
	name       string
	attributes trace.SpanStartEventOption
}

// ServeHTTP is http.Handler.
func (m *measured) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	rec := &recorder{ResponseWriter: w}
	m.metrics.inFlight.Inc()
	var span trace.Span
	if m.tracer != nil {
		r, span = m.traced(r)
	}
	panicked := true
	defer func() {
		if panicked {
			rec.status = http.StatusInternalServerError // what package httpapi sends
		} else if rec.status == 0 {
			rec.status = http.StatusOK // what net/http sends
		}
		m.metrics.inFlight.Dec()
		m.responses[min(rec.status/100, len(classes)-1)].Inc()
		if !rec.streams() {
			m.times.Observe(time.Since(began).Seconds())
		}
		if span != nil {
			span.SetAttributes(attribute.Int("http.response.status_code", rec.status))
			if rec.status >= 500 {
				span.SetStatus(codes.Error, "")
			}
			span.End()
		}
	}()
	m.next.ServeHTTP(rec, r)
	panicked = false
}

var propagator propagation.TraceContext

// traced begins a span, and lets what is behind a gateway continue it.
func (m *measured) traced(r *http.Request) (*http.Request, trace.Span) {
	ctx := propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := m.tracer.Start(ctx, m.name, trace.WithSpanKind(trace.SpanKindServer), m.attributes)
	r = r.WithContext(ctx)
	r.Header = r.Header.Clone()
	propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	return r, span
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader is http.ResponseWriter. Informational responses come before the
// one that counts.
func (r *recorder) WriteHeader(status int) {
	if r.status < 200 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write is http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status < 200 && r.status != http.StatusSwitchingProtocols {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// streams is whether the response had no end of its own.
func (r *recorder) streams() bool {
	return r.status == http.StatusSwitchingProtocols || strings.HasPrefix(r.Header().Get("Content-Type"), "text/event-stream")
}
