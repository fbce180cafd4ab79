package telemetry

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the metrics of one server. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	renewals, signIns, ended *prometheus.CounterVec
	outcomes                 map[string]prometheus.Counter // of renewals: to look one up in the vector costs more
	started, swept           prometheus.Counter
	requests                 *prometheus.CounterVec
	requestTime              *prometheus.HistogramVec
	inFlight                 prometheus.Gauge
	storeTime                *prometheus.HistogramVec
	storeErrors              *prometheus.CounterVec
	batches                  prometheus.Histogram
}

// Known are the values of labels that are there from the start, so that an
// alert can tell "never happened" from "not measured".
type Known struct {
	Version  string
	Outcomes []string // of renewals
	Results  []string // of sign-ins
	Reasons  []string // why sessions end
	Failures []string // of the store
}

// NewMetrics returns metrics that say zero.
func NewMetrics(k Known) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	build := m.gauges("tacet_build_info", "Always 1; the labels say what is running.", "version", "go_version")
	build.WithLabelValues(k.Version, runtime.Version()).Set(1)

	m.renewals = m.counters("tacet_renewals_total", "Refresh tokens that were presented, by what came of it (PROTOCOL.md); not_authentic: not one of ours, unavailable: could not be decided.", "outcome")
	m.signIns = m.counters("tacet_sign_ins_total", "Sign-ins with a password, by result.", "result")
	m.started = m.counter("tacet_sessions_started_total", "Sessions that were started, by any kind of sign-in.")
	m.ended = m.counters("tacet_sessions_ended_total", "Sessions that this node has ended, by reason; those that only expire are not counted.", "reason")
	m.swept = m.counter("tacet_sessions_swept_total", "Rows of sessions long over that this node has deleted.")

	m.requests = m.counters("tacet_http_requests_total", "Responses, by route and class of status.", "method", "route", "status")
	m.requestTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tacet_http_request_duration_seconds",
		Help: "Time from a request's header to the end of its response, by route; without streams.", Buckets: requestBuckets}, []string{"route"})
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "tacet_http_requests_in_flight", Help: "Requests in progress, open streams included."})
	m.storeTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tacet_store_operation_duration_seconds",
		Help: "Time of a call to the store, by operation; without waiting for a turn.", Buckets: storeBuckets}, []string{"operation"})
	m.storeErrors = m.counters("tacet_store_errors_total", "Calls to the store that failed, by what was wrong with it.", "failure")
	m.batches = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tacet_store_batch_size",
		Help: "Writes that were committed together: all of the embedded store, renewals of PostgreSQL.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}})
	m.registry.MustRegister(m.requestTime, m.inFlight, m.storeTime, m.batches)

	m.outcomes = map[string]prometheus.Counter{}
	for _, o := range k.Outcomes {
		m.outcomes[o] = m.renewals.WithLabelValues(o)
	}
	for vec, values := range map[*prometheus.CounterVec][]string{m.renewals: k.Outcomes, m.signIns: k.Results, m.ended: k.Reasons, m.storeErrors: k.Failures} {
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}
	return m
}

var (
	requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	storeBuckets   = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}
)

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

// Handler is the page that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Gatherer is for tests.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Renewed counts the decision on a refresh token.
func (m *Metrics) Renewed(outcome string) {
	if c, ok := m.outcomes[outcome]; ok {
		c.Inc()
		return
	}
	m.renewals.WithLabelValues(outcome).Inc()
}

// SignedIn counts a sign-in with a password.
func (m *Metrics) SignedIn(result string) { m.signIns.WithLabelValues(result).Inc() }

// Started counts a session.
func (m *Metrics) Started() { m.started.Inc() }

// Ended counts a session that was ended.
func (m *Metrics) Ended(reason string) { m.ended.WithLabelValues(reason).Inc() }

// Swept counts deleted rows.
func (m *Metrics) Swept(sessions int) { m.swept.Add(float64(sessions)) }

// Batch counts writes that were committed together.
func (m *Metrics) Batch(writes int) { m.batches.Observe(float64(writes)) }

// StoreCall is guard.Config.Observe.
func (m *Metrics) StoreCall(operation string) func(took time.Duration, failure string) {
	times := m.storeTime.WithLabelValues(operation)
	return func(took time.Duration, failure string) {
		times.Observe(took.Seconds())
		if failure != "" {
			m.storeErrors.WithLabelValues(failure).Inc()
		}
	}
}
