package suite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/bench/report"
)

// cell is what was measured on one server with one number of clients, a value
// per round.
type cell struct {
	Server  string             `json:"server"`
	Clients int                `json:"clients"`
	Half    bool               `json:"half,omitempty"` // at half of the server's own maximum
	Rate    float64            `json:"rate,omitempty"`
	Rounds  []load.RenewResult `json:"rounds"`
	WAL     []float64          `json:"wal,omitempty"` // bytes for one renewal, where there is a database
}

// each is one figure of every round.
func (c *cell) each(f func(load.RenewResult) float64) []float64 {
	out := make([]float64, len(c.Rounds))
	for i, r := range c.Rounds {
		out[i] = f(r)
	}
	return out
}

func perSecond(r load.RenewResult) float64 { return float64(r.Renewals) / r.Elapsed.Seconds() }
func p50(r load.RenewResult) float64       { return float64(r.P50) }
func p99(r load.RenewResult) float64       { return float64(r.P99) }
func longest(r load.RenewResult) float64   { return float64(r.Max) }
func resident(r load.RenewResult) float64  { return float64(r.Usage.RSS) }
func cpuEach(r load.RenewResult) float64 {
	return float64(r.Usage.CPU().Nanoseconds()) / 1e3 / float64(r.Renewals)
}

// cpuServer is without the database beside the server.
func cpuServer(r load.RenewResult) float64 {
	if len(r.Each) == 0 {
		return cpuEach(r)
	}
	return float64(r.Each[0].CPU().Nanoseconds()) / 1e3 / float64(r.Renewals)
}

func writtenEach(r load.RenewResult) float64 { return float64(r.Usage.Written) / float64(r.Renewals) }

// atTargets is the number of clients for which targets are stated.
const atTargets = 128

func runRenewals(ctx context.Context, e *Env, sec *report.Section) error {
	servers, stop, err := e.startServers(ctx, e.Peers, slices.Max(e.Clients))
	if err != nil {
		return err
	}
	defer stop()

	var cells []*cell
	for _, k := range e.Clients {
		spec := load.RenewSpec{Clients: k, Warmup: e.Warmup, Duration: e.Duration}
		row, err := e.measureAll(ctx, servers, func(*server) load.RenewSpec { return spec })
		if err != nil {
			return err
		}
		cells = append(cells, row...)
	}
	half, err := e.measureHalf(ctx, servers, cells)
	if err != nil {
		return err
	}
	hot, err := inPlace(ctx, servers)
	if err != nil {
		return err
	}
	if err := stop(); err != nil {
		return err
	}
	sec.Settings = fmt.Sprintf("%d interleaved rounds of %v each after %v of warm-up, medians.", e.Rounds, e.Duration, e.Warmup)
	sec.Notes = slices.Clone(renewalNotes)
	for _, p := range e.Peers {
		if p.Note != "" {
			sec.Notes = append(sec.Notes, "`"+p.Name+"`: "+p.Note)
		}
	}
	sec.Notes = append(sec.Notes, hot...)
	sec.Samples = append(slices.Clone(cells), half...)
	sec.Tables = []report.Table{
		renewalTable("As fast as they go", cells),
		renewalTable(fmt.Sprintf("At half of their own maximum (%d clients on a schedule)", half[0].Clients), half),
	}
	if t := databaseTable(cells); len(t.Rows) > 0 {
		sec.Tables = append(sec.Tables, t)
	}
	sec.Charts = renewalCharts(cells, e.Clients)
	sec.Targets = renewalTargets(cells, half)
	return nil
}

// measureAll measures the servers in turn, round by round.
func (e *Env) measureAll(ctx context.Context, servers []*server, spec func(*server) load.RenewSpec) ([]*cell, error) {
	cells := make([]*cell, len(servers))
	for i, s := range servers {
		sp := spec(s)
		cells[i] = &cell{Server: s.Name, Clients: sp.Clients, Rate: sp.Rate, Half: sp.Rate > 0}
	}
	for round := range e.Rounds {
		for i, s := range servers {
			res, wal, err := s.renew(ctx, spec(s))
			if err != nil {
				return nil, err
			}
			if wal > 0 {
				cells[i].WAL = append(cells[i].WAL, wal)
			}
			e.Progress("K=%-4d round %d  %-22s %8s/s  p99 %7s ms  %6.1f µs CPU  %d errors %s", cells[i].Clients, round+1, s.Name,
				report.Count(perSecond(res)), report.Millis(p99(res)), cpuEach(res), res.Errors, res.FirstError)
			cells[i].Rounds = append(cells[i].Rounds, res)
		}
	}
	return cells, nil
}

// renew is one measurement, and how many bytes of the database's log a renewal
// took in it.
func (s *server) renew(ctx context.Context, spec load.RenewSpec) (res load.RenewResult, wal float64, err error) {
	var before, after dbStats
	if s.Database != nil {
		if before, err = s.Database.stats(ctx); err != nil {
			return res, 0, err
		}
	}
	if res, err = s.gen.Renew(spec); err != nil {
		return res, 0, fmt.Errorf("%w; the server said:\n%s", err, s.Said())
	}
	if res.Renewals == 0 {
		return res, 0, fmt.Errorf("%s answered nothing: %s", s.Name, res.FirstError)
	}
	if s.Database != nil {
		after, err = s.Database.stats(ctx)
		wal = float64(after.WAL-before.WAL) / float64(res.All)
	}
	return res, wal, err
}

// measureHalf loads each server with half of the most that it did.
func (e *Env) measureHalf(ctx context.Context, servers []*server, cells []*cell) ([]*cell, error) {
	k := atTargets
	if !slices.Contains(e.Clients, k) {
		k = slices.Max(e.Clients)
	}
	return e.measureAll(ctx, servers, func(s *server) load.RenewSpec {
		most := report.Median(find(cells, s.Name, k).each(perSecond))
		return load.RenewSpec{Clients: k, Warmup: e.Warmup, Duration: e.Duration, Rate: most / 2}
	})
}

func find(cells []*cell, server string, clients int) *cell {
	for _, c := range cells {
		if c.Server == server && c.Clients == clients {
			return c
		}
	}
	return nil
}

// versus is the median of the ratios to limit, round by round; 0 without one.
func versus(cells []*cell, c *cell, f func(load.RenewResult) float64) float64 {
	ref := find(cells, limitName, c.Clients)
	if ref == nil {
		return 0
	}
	return report.Median(report.Ratios(c.each(f), ref.each(f)))
}

func renewalTable(title string, cells []*cell) report.Table {
	t := report.Table{Title: title, Header: []string{"K, server", "renewals/s", "× limit", "p50 ms", "p99 ms", "× limit", "max ms",
		"CPU µs each", "× limit", "RSS MiB", "written B each", "errors"}}
	for _, c := range cells {
		med := func(f func(load.RenewResult) float64) float64 { return report.Median(c.each(f)) }
		errs := int64(0)
		for _, r := range c.Rounds {
			errs += r.Errors
		}
		t.Rows = append(t.Rows, []string{fmt.Sprintf("%d, %s", c.Clients, c.Server),
			report.Count(med(perSecond)), report.Ratio(versus(cells, c, perSecond)),
			report.Millis(med(p50)), report.Millis(med(p99)), report.Ratio(versus(cells, c, p99)), report.Millis(med(longest)),
			report.Micros(med(cpuEach)), report.Ratio(versus(cells, c, cpuEach)),
			report.MB(med(resident)), report.Count(med(writtenEach)), report.Count(float64(errs))})
	}
	return t
}

func renewalCharts(cells []*cell, clients []int) []report.Chart {
	rates := report.Chart{Name: "renewals-throughput", Title: "Renewals per second", Unit: "1/s, higher is better", Log: true}
	tails := report.Chart{Name: "renewals-p99", Title: "p99 of a renewal", Unit: "ms, lower is better", Log: true}
	cpus := report.Chart{Name: "renewals-cpu", Title: "CPU of the server per renewal", Unit: "µs, lower is better", Log: true}
	for _, k := range clients {
		rates.Groups = append(rates.Groups, fmt.Sprintf("K = %d", k))
	}
	tails.Groups, cpus.Groups = rates.Groups, rates.Groups
	for _, first := range cells[:len(cells)/len(clients)] {
		var rate, tail, cpu report.Series
		rate.Name, tail.Name, cpu.Name = first.Server, first.Server, first.Server
		for _, k := range clients {
			c := find(cells, first.Server, k)
			rate.Values = append(rate.Values, report.Median(c.each(perSecond)))
			tail.Values = append(tail.Values, report.Median(c.each(p99))/1e6)
			cpu.Values = append(cpu.Values, report.Median(c.each(cpuEach)))
		}
		rates.Series, tails.Series, cpus.Series = append(rates.Series, rate), append(tails.Series, tail), append(cpus.Series, cpu)
	}
	return []report.Chart{rates, tails, cpus}
}

func renewalTargets(cells, half []*cell) (targets []report.Target) {
	if find(cells, limitName, atTargets) == nil {
		return nil
	}
	if c, h := find(cells, tacetName, atTargets), find(half, tacetName, atTargets); c != nil && h != nil {
		targets = append(targets,
			report.AtLeast("renewals/s, SQLite durable, K = 128", "`limit`", 0.8, versus(cells, c, perSecond)),
			report.AtMost("CPU per renewal in the server process, SQLite, K = 128", "`limit`", 1.3, versus(cells, c, cpuEach)),
			report.AtMost("p99 of a renewal at half of the maximum load, SQLite", "`limit`", 1.5, versus(half, h, p99)))
	}
	if c, h := find(cells, postgresName, atTargets), find(half, postgresName, atTargets); c != nil && h != nil {
		targets = append(targets,
			report.AtLeast("renewals/s, PostgreSQL synchronous_commit=on on the same machine, K = 128", "`limit`", 0.8, versus(cells, c, perSecond)),
			report.AtMost("CPU per renewal in the server process, PostgreSQL, K = 128", "`limit`", 1.3, versus(cells, c, cpuServer)),
			report.AtMost("p99 of a renewal at half of the maximum load, PostgreSQL", "`limit`", 1.5, versus(half, h, p99)))
	}
	return targets
}

// databaseTable splits what servers with a database cost.
func databaseTable(cells []*cell) report.Table {
	t := report.Table{Title: "With a database", Header: []string{"K, server", "CPU µs each, server", "CPU µs each, database", "WAL B each"}}
	for _, c := range cells {
		if len(c.WAL) == 0 {
			continue
		}
		all, own := report.Median(c.each(cpuEach)), report.Median(c.each(cpuServer))
		t.Rows = append(t.Rows, []string{fmt.Sprintf("%d, %s", c.Clients, c.Server),
			report.Micros(own), report.Micros(all - own), report.Count(report.Median(c.WAL))})
	}
	return t
}

// inPlace says how many renewals touched no index of their database.
func inPlace(ctx context.Context, servers []*server) (notes []string, err error) {
	for _, s := range servers {
		if s.Database == nil {
			continue
		}
		time.Sleep(statsLate)
		st, err := s.Database.stats(ctx)
		if err != nil {
			return nil, err
		}
		notes = append(notes, fmt.Sprintf("%s: %s of %s updates of a session touched no index (HOT).", s.Name, report.Count(float64(st.HOT)), report.Count(float64(st.Updates))))
	}
	return notes, nil
}

var renewalNotes = []string{
	"K clients, each with its own session and connection, send the next renewal when the last was answered; every response's token is the next request's.",
	"`noop` only speaks HTTP and JSON. `limit` verifies an HMAC, makes 28 bytes durable (group commit) and signs a JWT: as little as a durable session server can do.",
	"× limit is the median over the rounds of the ratio to the run of `limit` next to it.",
	"CPU is user + system time of the server's processes, RSS their memory; written is what they sent to storage, in units of the page cache (for PostgreSQL's log up to 256 kB at a time: see WAL instead). With a database, its processes are counted in.",
	"On a schedule, latency counts from when a renewal was due, not from when it was sent.",
}
