package faults

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres"
)

// world is a deployment with its clients.
type world struct {
	plan
	t         testing.TB
	dir       string // logs, and the embedded store
	rec       recorder
	transport *http.Transport
	nodes     []*node
	database  *database // nil: the nodes, of which there is one, have an embedded store
	honest    []*honest
	thieves   []*thief

	random   *rand.Rand    // for faults
	hour     atomic.Int64  // what all clocks have been set forward by
	base     time.Duration // when the schedule begins
	repaired atomic.Int64  // when it was over; 0: not yet
	backup   time.Duration // when the backup was begun

	mu     sync.Mutex
	losses []loss
	active []window
	haunts int
	work   sync.WaitGroup // haunts
}

// window is when a fault was there.
type window struct {
	from, to time.Duration
	node     int // -1: all
}

func newWorld(t testing.TB, p plan, withDatabase bool) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "tacet-faults-")
	must(t, err)
	w := &world{plan: p, t: t, dir: dir, random: rand.New(rand.NewPCG(p.Seed, 1<<41)),
		transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
	t.Cleanup(func() {
		w.transport.CloseIdleConnections()
		if t.Failed() {
			t.Logf("what the processes have logged is in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if withDatabase {
		w.database = newDatabase(t)
		t.Cleanup(w.keepLogs)
	} else {
		w.Nodes = 1
	}
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(w.random.Uint32())
	}
	for i := range w.Nodes {
		c := nodeConfig{MasterKey: hex.EncodeToString(key), Access: p.Access, Overlap: p.Overlap, Database: p.Database, Mutant: p.Mutant}
		var store []*link
		if withDatabase {
			store = w.database.links(t)
			c.DatabaseURL = w.database.url(store)
		} else {
			c.DataDir = filepath.Join(dir, "data")
		}
		n := newNode(t, i, dir, c)
		n.store = store
		w.nodes = append(w.nodes, n)
	}
	w.migrateAtOnce()
	w.rec.began = time.Now()
	for i := range p.Clients {
		h, err := newHonest(w, i)
		must(t, err)
		w.honest = append(w.honest, h)
	}
	return w
}

// keepLogs puts PostgreSQL's logs beside the nodes' if something went wrong.
func (w *world) keepLogs() {
	if !w.t.Failed() {
		return
	}
	for i, c := range w.database.clusters {
		if err := os.WriteFile(filepath.Join(w.dir, fmt.Sprintf("postgres%d.log", i)), []byte(c.Log()), 0o600); err != nil {
			w.t.Error(err)
		}
	}
}

// migrateAtOnce starts all nodes on an empty store at the same time, beside a
// migration by hand; one node is killed at some moment of that and started again.
func (w *world) migrateAtOnce() {
	var all sync.WaitGroup
	unlucky, after := w.nodes[w.random.IntN(len(w.nodes))], time.Duration(w.random.Int64N(int64(200*time.Millisecond)))
	for _, n := range w.nodes {
		all.Go(func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n == unlucky {
				if err := n.spawn(); err != nil {
					w.t.Error(err)
				}
				time.Sleep(after)
				n.kill()
			}
			if err := n.start(); err != nil {
				w.t.Error(err)
			}
		})
	}
	if w.database != nil {
		all.Go(func() {
			if err := postgres.Migrate(context.Background(), w.database.cluster().URL()); err != nil {
				w.t.Errorf("a migration beside others: %v", err)
			}
		})
	}
	all.Wait()
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// run lets the clients live through the faults, and then everything come to rest.
func (w *world) run(ctx context.Context) {
	ctx, giveUp := context.WithTimeout(ctx, w.For+3*patience)
	defer giveUp()
	living, stop := context.WithCancel(ctx)
	defer stop()
	stealing, noMore := context.WithCancel(living)
	defer noMore()
	var honest, thieves sync.WaitGroup
	w.signIn(ctx)
	w.base = w.rec.now()
	w.t.Logf("the faults begin at %.2fs", w.base.Seconds())
	for _, h := range w.honest {
		honest.Go(func() {
			wait(living, time.Duration(h.line.random.Int64N(int64(w.Pace))))
			h.live(living)
		})
	}
	going, end := context.WithCancel(ctx)
	defer end()
	for i := range w.Thieves {
		t := &thief{w: w, number: w.Clients + i, random: rand.New(rand.NewPCG(w.Seed, uint64(i)+1<<33))}
		w.thieves = append(w.thieves, t)
		thieves.Go(func() { t.live(going, stealing) })
	}
	var faults sync.WaitGroup
	for _, f := range w.Faults {
		faults.Go(func() {
			wait(ctx, w.base+f.At-w.rec.now())
			w.strike(f)
		})
	}
	wait(ctx, w.base+w.For-w.rec.now())
	faults.Wait()
	w.progress(max(w.Least-int(w.rec.renewals.Load()), enough))
	w.t.Logf("the faults are over at %.2fs", w.rec.now().Seconds())
	stop()
	honest.Wait()
	w.setClocks(0)
	if w.Mutant == "" {
		w.restart()
		w.repaired.Store(int64(w.rec.now()))
		w.rest(going)
	} else {
		w.repaired.Store(-int64(time.Hour)) // nobody waits for anything
	}
	end()
	thieves.Wait()
	w.work.Wait()
	for _, h := range w.honest {
		if s, ok := h.holder.(*sourceHolder); ok {
			s.source.Close()
		}
	}
}

// signIn signs all honest clients in, a few at a time.
func (w *world) signIn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all sync.WaitGroup
	few := make(chan bool, fewAtATime)
	for _, h := range w.honest {
		few <- true
		all.Go(func() {
			h.round(ctx, false)
			<-few
		})
	}
	all.Wait()
}

// enough renewals for a loss to concern somebody.
const enough = 20

// progress waits until clients have renewed so many times more. On a machine that
// is busy with other things a schedule by the clock alone would strike nobody.
func (w *world) progress(renewals int) {
	from := w.rec.renewals.Load()
	for range 3000 {
		if w.rec.renewals.Load()-from >= int64(renewals) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// restart ends all nodes at once, and with them every request that is still on
// its way, and starts them again.
func (w *world) restart() {
	var all sync.WaitGroup
	for _, n := range w.nodes {
		n.mu.Lock()
		n.kill()
		all.Go(func() {
			defer n.mu.Unlock()
			if err := n.start(); err != nil {
				w.t.Error(err)
			}
		})
	}
	all.Wait()
}
