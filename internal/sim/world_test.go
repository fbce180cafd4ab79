package sim

import (
	"container/heap"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
)

// quantum is the grid that events of the world lie on. Nodes start beside it, each
// at a place of its own, so that none of their timers ever fires together with an
// event or with another node's: there would be no telling which comes first.
const quantum = time.Microsecond

// world is the scheduler and everything it schedules. All of it but arrivals
// belongs to the goroutine that runs it.
type world struct {
	scenario
	rng   *rand.Rand
	begin time.Time
	queue agenda
	seq   uint64

	nodes    []*node
	store    *store
	oracle   *oracle
	browsers []*browser
	api      *verify.Verifier // a resource server that is no node

	// What goroutines of nodes have left for the scheduler since it last looked.
	mu       sync.Mutex
	asked    []*op
	finished []*call
	news     []func() // of background work
	calls    uint64

	meter *meter // nil: nothing is measured
	hash  hash.Hash64
	lines []line // the last ones
	count counts
	over  bool      // the oracle has seen enough
	end   time.Time // of the world
}

// line is one line of the trace. who tells whose story it belongs to; empty is the
// story of all.
type line struct {
	at   time.Duration
	who  string
	text string
}

const keptLines = 1 << 14

func newWorld(s scenario) *world {
	w := &world{scenario: s, rng: rand.New(rand.NewPCG(s.seed, 0x7ac37)), begin: time.Now(), hash: fnv.New64a()}
	w.oracle = newOracle(w)
	w.store = newStore(w)
	if s.measured {
		w.meter = &meter{tokens: map[rotation.Tag]struct{}{}}
	}
	return w
}

// event is something that happens at its time; equal times in order of seq.
type event struct {
	at  time.Time
	seq uint64
	do  func()
}

type agenda []*event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(*event)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return e
}

// since is the age of the world.
func (w *world) since() time.Duration { return time.Since(w.begin) }

// after does f in d, on the grid.
func (w *world) after(d time.Duration, f func()) *event {
	d = max(d, 0) + w.since()
	if rest := d % quantum; rest != 0 {
		d += quantum - rest
	}
	w.seq++
	e := &event{w.begin.Add(d), w.seq, f}
	heap.Push(&w.queue, e)
	return e
}

// cancel takes an event back that may have happened already.
func (e *event) cancel() {
	if e != nil {
		e.do = nil
	}
}

// run lets the world live for d.
func (w *world) run(d time.Duration) {
	end := w.begin.Add(d)
	for len(w.queue) > 0 && !w.over && !w.queue[0].at.After(end) {
		e := heap.Pop(&w.queue).(*event)
		if e.do == nil {
			continue
		}
		if wait := time.Until(e.at); wait > 0 {
			time.Sleep(wait)
			synctest.Wait() // timers of nodes that fire at this moment come first
		}
		e.do()
		w.settle()
	}
	if !w.over {
		time.Sleep(time.Until(end))
	}
}

// settle waits until nobody can move without the scheduler, and takes what they
// left for it. What several left at once is put in an order that does not depend
// on how their goroutines were scheduled.
func (w *world) settle() {
	synctest.Wait()
	w.mu.Lock()
	asked, finished, news := w.asked, w.finished, w.news
	w.asked, w.finished, w.news = nil, nil, nil
	w.mu.Unlock()
	if len(asked) > 1 {
		slices.SortStableFunc(asked, func(a, b *op) int { return strings.Compare(a.key, b.key) })
	}
	if len(finished) > 1 {
		slices.SortFunc(finished, func(a, b *call) int { return int(int64(a.id) - int64(b.id)) })
	}
	for _, f := range news {
		f()
	}
	for _, o := range asked {
		w.store.queue(o)
	}
	for _, c := range finished {
		c.end()
	}
}

// later lets the scheduler do f, which comes from background work.
func (w *world) later(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news = append(w.news, f)
}

// note writes a line of the trace.
func (w *world) note(who, format string, args ...any) {
	l := line{w.since(), who, fmt.Sprintf(format, args...)}
	fmt.Fprintf(w.hash, "%d %s %s\n", l.at, l.who, l.text)
	if len(w.lines) == 2*keptLines {
		w.lines = append(w.lines[:0], w.lines[keptLines:]...)
	}
	w.lines = append(w.lines, l)
}

// story is the end of what happened to who, and to all.
func (w *world) story(who string, limit int) string {
	var out []string
	for i := len(w.lines) - 1; i >= 0 && len(out) < limit; i-- {
		if l := w.lines[i]; l.who == "" || l.who == who {
			out = append(out, fmt.Sprintf("%14v  %-6s %s", l.at, l.who, l.text))
		}
	}
	slices.Reverse(out)
	return strings.Join(out, "\n")
}

// chance is true with the probability p.
func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// between is a time from a up to b.
func (w *world) between(a, b time.Duration) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(w.rng.Int64N(int64(b-a)))
}

// about is a time with the mean d, as between things that happen by chance.
func (w *world) about(d time.Duration) time.Duration {
	return min(time.Duration(w.rng.ExpFloat64()*float64(d)), 20*d)
}

// call is a request at a node.
type call struct {
	id     uint64
	node   *incarnation
	status int
	header http.Header
	body   []byte
	then   func(*call) // not called if the node died
}

func (c *call) end() {
	if !c.node.isDead() && c.then != nil {
		c.then(c)
	}
}
