package suite

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/bench/report"
)

// contender is one way of doing the same.
type contender struct {
	name string
	run  func(*testing.B)
}

// speed is one round of one contender.
type speed struct {
	NsPerOp     float64 `json:"ns_per_op"`
	AllocsPerOp int64   `json:"allocs_per_op"`
	BytesPerOp  int64   `json:"bytes_per_op"`
}

// speeds are the rounds of each contender.
type speeds map[string][]speed

// race runs contenders in turns on one goroutine. What one of them puts into
// failed ends it: b.Fatal would print to nowhere.
func (e *Env) race(ctx context.Context, sec *report.Section, failed *error, contenders ...contender) (speeds, error) {
	benchtime := min(e.Duration, time.Second)
	testing.Init()
	if err := flag.CommandLine.Set("test.benchtime", benchtime.String()); err != nil {
		return nil, err
	}
	sec.Settings = fmt.Sprintf("%d interleaved rounds of %v each on one goroutine, medians.", e.Rounds, benchtime)
	all := speeds{}
	for round := range e.Rounds {
		for _, c := range contenders {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r := testing.Benchmark(c.run)
			if *failed != nil || r.N == 0 {
				return nil, fmt.Errorf("%s: %w", c.name, errors.Join(*failed, errors.New("the benchmark did not run")))
			}
			s := speed{float64(r.T.Nanoseconds()) / float64(r.N), r.AllocsPerOp(), r.AllocedBytesPerOp()}
			e.Progress("%s round %d  %-28s %10.1f ns  %3d allocations", sec.Name, round+1, c.name, s.NsPerOp, s.AllocsPerOp)
			all[c.name] = append(all[c.name], s)
		}
	}
	return all, nil
}

func (s speeds) ns(name string) []float64 {
	var out []float64
	for _, x := range s[name] {
		out = append(out, x.NsPerOp)
	}
	return out
}

// last is for what is the same in every round.
func (s speeds) last(name string) speed { return s[name][len(s[name])-1] }

// versus is the median over the rounds of a's time over that of ref.
func (s speeds) versus(a, ref string) float64 {
	return report.Median(report.Ratios(s.ns(a), s.ns(ref)))
}

// rows are name, ns, its ratio to ref, allocations, bytes allocated.
func (s speeds) rows(ref string, names ...string) (rows [][]string) {
	for _, n := range names {
		rows = append(rows, []string{n, report.Count(report.Median(s.ns(n))), report.Ratio(s.versus(n, ref)),
			fmt.Sprint(s.last(n).AllocsPerOp), report.Count(float64(s.last(n).BytesPerOp))})
	}
	return rows
}
