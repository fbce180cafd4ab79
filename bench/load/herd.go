package load

import (
	"fmt"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/bench/proc"
)

// HerdSpec asks for Size equal presentations of one token at once, for each of
// Times sessions in turn.
type HerdSpec struct {
	Size  int `json:"size"`
	Times int `json:"times"`
}

// HerdResult sums up all herds. Answers holds the new tokens of the last herd:
// how far they are apart shows how often the head moved.
type HerdResult struct {
	Granted    int           `json:"granted"` // answered 200 with a token
	Errors     int           `json:"errors,omitempty"`
	FirstError string        `json:"first_error,omitempty"`
	Elapsed    time.Duration `json:"elapsed_ns"` // from the first byte sent to the last answer, over all herds
	Usage      proc.Usage    `json:"usage"`      // of the server's processes
	Answers    []string      `json:"answers"`
}

// Herd sends the herds. Connections are open and have been used before the
// clock starts.
func (g *Generator) Herd(spec HerdSpec) (HerdResult, error) {
	if spec.Times > len(g.clients) {
		return HerdResult{}, fmt.Errorf("%d herds need as many sessions; %d are signed in", spec.Times, len(g.clients))
	}
	conns := make([]*conn, spec.Size)
	for i := range conns {
		conns[i] = &conn{addr: g.cfg.Addr}
		defer conns[i].close()
		// A token that is none costs the server nothing but the connection.
		if _, err := conns[i].roundTrip(&g.cfg.Dialect.Refresh, &session{token: "none"}); err != nil {
			return HerdResult{}, fmt.Errorf("open connection %d of the herd: %w", i+1, err)
		}
	}
	before, err := proc.ReadUsage(g.cfg.Pids...)
	if err != nil {
		return HerdResult{}, err
	}
	var res HerdResult
	for _, c := range g.clients[:spec.Times] {
		g.stampede(conns, c, &res)
	}
	after, err := proc.ReadUsage(g.cfg.Pids...)
	res.Usage = after.Since(before)
	return res, err
}

// stampede presents c's token on all connections and moves c to one of the
// answers.
func (g *Generator) stampede(conns []*conn, c *client, res *HerdResult) {
	held := c.session
	got := make([]session, len(conns))
	errs := make([]error, len(conns))
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i, cn := range conns {
		wg.Go(func() {
			got[i] = held
			<-gate
			a, err := cn.roundTrip(&g.cfg.Dialect.Refresh, &held)
			if err == nil {
				err = g.cfg.Dialect.take(&got[i], a)
			}
			errs[i] = err
		})
	}
	start := time.Now()
	close(gate)
	wg.Wait()
	res.Elapsed += time.Since(start)
	res.Answers = res.Answers[:0]
	for i, err := range errs {
		if err != nil {
			res.Errors++
			if res.FirstError == "" {
				res.FirstError = err.Error()
			}
			continue
		}
		res.Granted++
		res.Answers = append(res.Answers, got[i].token)
		c.session = got[i]
	}
}
