package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tacet-dev/tacet/bench/proc"
)

// RenewSpec is one measured run. Every client holds one session and sends its
// next renewal when the last was answered (closed loop).
type RenewSpec struct {
	Clients  int           `json:"clients"`
	Warmup   time.Duration `json:"warmup_ns"`
	Duration time.Duration `json:"duration_ns"`
	// Rate, if not 0, is how many renewals start per second over all clients.
	// Latency then counts from the moment at which a renewal was due, so that
	// a stall of the server is felt by everything that was due during it.
	Rate float64 `json:"rate,omitempty"`
}

// RenewResult is what happened between the warm-up and the end of a run.
type RenewResult struct {
	Renewals   int64         `json:"renewals"`
	All        int64         `json:"all"` // with those before and after the measured time
	Errors     int64         `json:"errors,omitempty"`
	FirstError string        `json:"first_error,omitempty"`
	Elapsed    time.Duration `json:"elapsed_ns"`
	P50        time.Duration `json:"p50_ns"`
	P99        time.Duration `json:"p99_ns"`
	Max        time.Duration `json:"max_ns"`
	Usage      proc.Usage    `json:"usage"`          // of the server's processes
	Each       []proc.Usage  `json:"each,omitempty"` // one by one, if there are several
}

// giveUpAfter is how many errors in a row end a client.
const giveUpAfter = 10

// run is the state that the clients of one run share.
type run struct {
	spec     RenewSpec
	start    time.Time
	slot     atomic.Int64 // next slot of the schedule, for Rate
	open     atomic.Bool  // the measured time
	stop     atomic.Bool
	renewals atomic.Int64
	errors   atomic.Int64
	first    atomic.Pointer[string]
	shards   [16]shard
}

type shard struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram // microseconds
	_  [64]byte                // its own cache line
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 120_000_000, 3) }

// Renew runs spec with the sessions that were signed in.
func (g *Generator) Renew(spec RenewSpec) (RenewResult, error) {
	if err := g.ready(spec.Clients); err != nil {
		return RenewResult{}, err
	}
	r := &run{spec: spec, start: time.Now()}
	for i := range r.shards {
		r.shards[i].h = newHistogram()
	}
	var wg sync.WaitGroup
	for i, c := range g.clients[:spec.Clients] {
		c.conn.close() // what was idle for long may be dead
		wg.Go(func() { r.client(g, i, &r.shards[i%len(r.shards)]) })
	}
	time.Sleep(spec.Warmup)
	res, err := r.measure(g.cfg.Pids)
	r.stop.Store(true)
	wg.Wait()
	res.All = r.renewals.Load()
	if first := r.first.Load(); first != nil {
		res.FirstError = *first
	}
	all := newHistogram()
	for i := range r.shards {
		all.Merge(r.shards[i].h)
	}
	res.P50 = time.Duration(all.ValueAtPercentile(50)) * time.Microsecond
	res.P99 = time.Duration(all.ValueAtPercentile(99)) * time.Microsecond
	res.Max = time.Duration(all.Max()) * time.Microsecond
	return res, err
}

// measure opens the measured time and reads everything at its two ends.
func (r *run) measure(pids []int) (res RenewResult, err error) {
	before, err := usages(pids)
	if err != nil {
		return res, err
	}
	from, renewals, errs := time.Now(), r.renewals.Load(), r.errors.Load()
	r.open.Store(true)
	time.Sleep(r.spec.Duration)
	// A short run on a busy machine goes on until there is something to divide by.
	for n := 0; r.renewals.Load() == renewals && r.errors.Load() == errs && n < 1000; n++ {
		time.Sleep(10 * time.Millisecond)
	}
	r.open.Store(false)
	res.Elapsed = time.Since(from)
	res.Renewals = r.renewals.Load() - renewals
	res.Errors = r.errors.Load() - errs
	after, err := usages(pids)
	if err != nil {
		return res, err
	}
	for i := range after {
		after[i] = after[i].Since(before[i])
		res.Usage = res.Usage.Plus(after[i])
	}
	if len(after) > 1 {
		res.Each = after
	}
	return res, nil
}

func usages(pids []int) (list []proc.Usage, err error) {
	list = make([]proc.Usage, len(pids))
	for i, pid := range pids {
		if list[i], err = proc.ReadUsage(pid); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// client renews until the run stops. A renewal that failed is tried again with
// the same token, as a browser would.
func (r *run) client(g *Generator, i int, s *shard) {
	c := g.clients[i]
	owner := g.next(i, r.spec.Clients)
	for failed := 0; !r.stop.Load() && failed < giveUpAfter; {
		due := r.due()
		if r.stop.Load() {
			return
		}
		err := c.renew(&g.cfg.Dialect, owner)
		took := time.Since(due)
		if err != nil {
			failed++
			r.errors.Add(1)
			text := err.Error()
			r.first.CompareAndSwap(nil, &text)
			continue
		}
		failed, owner = 0, g.next(i, r.spec.Clients)
		r.renewals.Add(1)
		if r.open.Load() {
			s.mu.Lock()
			s.h.RecordValue(max(1, took.Microseconds()))
			s.mu.Unlock()
		}
	}
}

// due waits for the client's turn and returns when it began: now in a closed
// loop, the next free slot of the schedule at a fixed rate.
func (r *run) due() time.Time {
	if r.spec.Rate <= 0 {
		return time.Now()
	}
	n := r.slot.Add(1) - 1
	at := r.start.Add(time.Duration(float64(n) / r.spec.Rate * float64(time.Second)))
	time.Sleep(time.Until(at))
	return at
}
