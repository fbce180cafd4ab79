package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is what is asked for when the metrics are read.
type State struct {
	Gates []Gate
	Keys  []Key
	Pools []Pool
	// Queue is how many writes wait for the store.
	Queue int
	// EventLag is how long ago this node was last known to have heard of
	// everything that was committed.
	EventLag time.Duration
	// Pages and Feeds are the open streams of events.
	Pages, Feeds int
}

// Gate is a bound on work.
type Gate struct {
	Name                       string
	Capacity, InUse, Waiting   int
	TurnedAway, TurnedAwaySlow uint64 // at once; after having waited
}

// Key is a use of keys.
type Key struct {
	Use  string
	Age  time.Duration // of the key in use
	Next time.Duration // until the next one is in use; may be negative
}

// Pool is a pool of connections to a database.
type Pool struct {
	Name             string
	InUse, Idle, Max int
	Waits            int64 // for a connection, since the start
	Waited           time.Duration
}

// Watch makes read part of the metrics. It is called at every scrape and must
// not ask the store.
func (m *Metrics) Watch(read func() State) { m.registry.MustRegister(collector(read)) }

type collector func() State

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	gateCapacity = desc("tacet_gate_capacity", "How much work may be under way at once, by kind.", "gate")
	gateInUse    = desc("tacet_gate_in_use", "How much work is under way.", "gate")
	gateWaiting  = desc("tacet_gate_waiting", "How much work waits for a turn.", "gate")
	gateShed     = desc("tacet_shed_total", "Work that was turned away with 503, because the queue was full or because no turn came in time (slow).", "gate", "cause")
	keyAge       = desc("tacet_key_age_seconds", "How long the key that is in use has been so.", "use")
	keyNext      = desc("tacet_key_next_seconds", "Until the next key is in use.", "use")
	poolInUse    = desc("tacet_pool_connections_in_use", "Connections to the database that are in use.", "pool")
	poolIdle     = desc("tacet_pool_connections_idle", "Connections to the database that are open and free.", "pool")
	poolMax      = desc("tacet_pool_connections_max", "Connections to the database that may be open.", "pool")
	poolWaits    = desc("tacet_pool_waits_total", "How often a call had to wait for a connection.", "pool")
	poolWaited   = desc("tacet_pool_wait_seconds_total", "How long calls have waited for a connection.", "pool")
	queueLength  = desc("tacet_store_queue_length", "Writes that wait to be sent to the store together.")
	eventLag     = desc("tacet_events_lag_seconds", "How far this node may be behind what was committed.")
	subscribers  = desc("tacet_event_subscribers", "Open streams of events: of pages, and feeds of resource servers.", "kind")
)

// Describe is prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gateCapacity, gateInUse, gateWaiting, gateShed, keyAge, keyNext,
		poolInUse, poolIdle, poolMax, poolWaits, poolWaited, queueLength, eventLag, subscribers} {
		ch <- d
	}
}

// Collect is prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	s := c()
	for _, g := range s.Gates {
		gauge(gateCapacity, float64(g.Capacity), g.Name)
		gauge(gateInUse, float64(g.InUse), g.Name)
		gauge(gateWaiting, float64(g.Waiting), g.Name)
		count(gateShed, float64(g.TurnedAway), g.Name, "full")
		count(gateShed, float64(g.TurnedAwaySlow), g.Name, "slow")
	}
	for _, k := range s.Keys {
		gauge(keyAge, k.Age.Seconds(), k.Use)
		gauge(keyNext, k.Next.Seconds(), k.Use)
	}
	for _, p := range s.Pools {
		gauge(poolInUse, float64(p.InUse), p.Name)
		gauge(poolIdle, float64(p.Idle), p.Name)
		gauge(poolMax, float64(p.Max), p.Name)
		count(poolWaits, float64(p.Waits), p.Name)
		count(poolWaited, p.Waited.Seconds(), p.Name)
	}
	gauge(queueLength, float64(s.Queue))
	gauge(eventLag, s.EventLag.Seconds())
	gauge(subscribers, float64(s.Pages), "page")
	gauge(subscribers, float64(s.Feeds), "feed")
}

// PoolMetrics are the names of the metrics that are there with PostgreSQL only.
func PoolMetrics() []string {
	return []string{"tacet_pool_connections_in_use", "tacet_pool_connections_idle", "tacet_pool_connections_max", "tacet_pool_waits_total", "tacet_pool_wait_seconds_total"}
}
