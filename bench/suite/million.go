package suite

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/bench/report"
)

const (
	// smallShare of the sessions are in the store that the large one is held
	// against.
	smallShare = 100
	// mostUsers is how many users have sessions: fewer than a server keeps in
	// memory, since this is about sessions.
	mostUsers = 20_000
	// sweepBite and sweepPause are the pace of session.Service.Sweep.
	sweepBite, sweepPause = 256, 50 * time.Millisecond
)

// storeOf is a store with sessions and what was measured on it.
type storeOf struct {
	store    string
	data     string
	db       *database     // nil: SQLite
	tokens   string        // file with one for each session
	Sessions int           `json:"sessions"`
	Bytes    int64         `json:"bytes"`   // of sessions, on disk
	Walk     time.Duration `json:"walk_ns"` // through all of them, without pauses
	Starts   []started     `json:"starts"`
	Renewals *cell         `json:"renewals"`
	Quiet    *cell         `json:"quiet,omitempty"`    // the large one, as node
	Sweeping *cell         `json:"sweeping,omitempty"` // and while it sweeps
}

func runMillion(ctx context.Context, e *Env, sec *report.Section) error {
	pairs := map[string][]*storeOf{}
	for _, store := range []string{tacetName, postgresName} {
		pair, err := e.measurePair(ctx, store)
		if err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
		pairs[store] = pair
	}
	writeMillion(e, sec, pairs)
	return nil
}

// measurePair fills a small and a large store of one kind and measures both.
func (e *Env) measurePair(ctx context.Context, store string) (pair []*storeOf, err error) {
	for _, n := range []int{max(1, e.Million/smallShare), e.Million} {
		s, err := e.fillStore(ctx, store, n)
		if s != nil && s.db != nil {
			defer s.db.Remove()
		}
		if err != nil {
			return nil, err
		}
		pair = append(pair, s)
	}
	if err := e.measureStarts(ctx, pair); err != nil {
		return nil, err
	}
	if err := e.measureSizes(ctx, pair); err != nil {
		return nil, err
	}
	return pair, e.measureSweep(ctx, pair[1])
}

// fillStore makes a store with n sessions and a refresh token for each.
func (e *Env) fillStore(ctx context.Context, store string, n int) (s *storeOf, err error) {
	s = &storeOf{store: store, Sessions: n}
	if s.data, err = e.tempDir("million"); err != nil {
		return nil, err
	}
	at := time.Now().Add(-time.Hour)
	users := newUsers(min(n, mostUsers), at)
	list := ownedSessions(n, users, at)
	e.Progress("%s: create %s sessions", store, report.Count(float64(n)))
	if store == postgresName {
		if s.db, err = newDatabase(); err != nil {
			return nil, err
		}
		s.Bytes, err = fillPostgres(ctx, s.db, users, list)
	} else {
		s.Bytes, err = fillSQLite(ctx, s.data, users, list)
	}
	if err != nil {
		return s, err
	}
	node, err := e.program(ctx, "node")
	if err != nil {
		return s, err
	}
	s.tokens = filepath.Join(s.data, "tokens")
	said, err := exec.CommandContext(ctx, node, append([]string{"-mint", s.tokens}, storeFlags(s.data, s.db)...)...).CombinedOutput()
	if err != nil {
		return s, fmt.Errorf("node -mint: %w\n%s", err, said)
	}
	m := minted.FindSubmatch(said)
	if m == nil || string(m[1]) != fmt.Sprint(n) {
		return s, fmt.Errorf("node -mint said %q, want %d sessions", said, n)
	}
	s.Walk, err = time.ParseDuration(string(m[2]))
	return s, err
}

var minted = regexp.MustCompile(`minted sessions=(\d+) took=(\S+)`)

// measureStarts starts the server on each store in turn.
func (e *Env) measureStarts(ctx context.Context, pair []*storeOf) error {
	for round := range e.Rounds {
		for _, s := range pair {
			st, err := startOn(ctx, e, s.data, s.db)
			if err != nil {
				return err
			}
			e.Progress("%s, %s sessions, start %d: %v, RSS %s MiB", s.store, report.Count(float64(s.Sessions)), round+1, st.Ready.Round(time.Millisecond), report.MB(float64(st.RSS)))
			s.Starts = append(s.Starts, st)
		}
	}
	return nil
}

// measureSizes renews random sessions of each store in turn.
func (e *Env) measureSizes(ctx context.Context, pair []*storeOf) error {
	program, err := e.program(ctx, "tacet")
	if err != nil {
		return err
	}
	var servers []*server
	for _, s := range pair {
		r, err := serveTacet(ctx, program, s.data, s.db)
		if err != nil {
			return err
		}
		defer r.Stop()
		gen, err := e.generatorFor(ctx, s, r)
		if err != nil {
			return err
		}
		defer gen.Close()
		servers = append(servers, &server{Peer: Peer{Name: fmt.Sprintf("%s, %s sessions", s.store, report.Count(float64(s.Sessions)))}, Running: r, gen: gen})
	}
	spec := load.RenewSpec{Clients: e.poolClients(), Warmup: e.Warmup, Duration: e.Duration}
	if err := e.readIn(ctx, servers, spec); err != nil {
		return err
	}
	cells, err := e.measureAll(ctx, servers, func(*server) load.RenewSpec { return spec })
	if err != nil {
		return err
	}
	pair[0].Renewals, pair[1].Renewals = cells[0], cells[1]
	return e.keepTokens(servers, pair)
}

// readIn renews a twentieth of the sessions before anything is counted: a server
// reads each user once, and PostgreSQL writes each page whole once after a
// checkpoint. In life, a million sessions that are renewed every 15 minutes do
// this in 45 seconds, and a checkpoint comes every 5 minutes.
func (e *Env) readIn(ctx context.Context, servers []*server, spec load.RenewSpec) error {
	for _, s := range servers {
		e.Progress("%s: renew %s before the clock starts", s.Name, report.Count(float64(e.Million/20)))
		for done, runs := int64(0), 0; done < int64(e.Million/20) && runs < 20; runs++ {
			res, _, err := s.renew(ctx, spec)
			if err != nil {
				return err
			}
			done += res.All
		}
	}
	return nil
}

// poolClients is how many clients renew sessions of a pool.
func (e *Env) poolClients() int { return min(atTargets, max(1, e.Million/smallShare)) }

func (e *Env) generatorFor(ctx context.Context, s *storeOf, r *Running) (*load.Remote, error) {
	program, err := e.program(ctx, "load")
	if err != nil {
		return nil, err
	}
	gen, err := load.StartRemote(ctx, s.store, program)
	if err != nil {
		return nil, err
	}
	if err = gen.Configure(load.Config{Addr: r.Addr, Pids: r.Pids, Dialect: tacetBody}); err == nil {
		err = gen.Adopt(load.AdoptSpec{File: s.tokens})
	}
	if err != nil {
		gen.Close()
	}
	return gen, err
}

// keepTokens writes down where each session has come to.
func (e *Env) keepTokens(servers []*server, pair []*storeOf) error {
	for i, s := range servers {
		if err := s.gen.Keep(load.AdoptSpec{File: pair[i].tokens}); err != nil {
			return err
		}
	}
	return nil
}

// measureSweep renews sessions of a large store while nothing and while a sweep
// walks through it, at the server's own pace but without its ten minutes between
// two walks.
func (e *Env) measureSweep(ctx context.Context, s *storeOf) error {
	program, err := e.program(ctx, "node")
	if err != nil {
		return err
	}
	r, err := startServer(ctx, "node", program, storeFlags(s.data, s.db)...)
	if err != nil {
		return err
	}
	defer r.Stop()
	if s.db != nil {
		r.Database, r.Pids = s.db, append(r.Pids, s.db.pid)
	}
	gen, err := e.generatorFor(ctx, s, r)
	if err != nil {
		return err
	}
	defer gen.Close()
	quiet := &server{Peer: Peer{Name: s.store + ", quiet"}, Running: r, gen: gen}
	spec := load.RenewSpec{Clients: e.poolClients(), Warmup: e.Warmup, Duration: e.Duration}
	if err := e.readIn(ctx, []*server{quiet}, spec); err != nil {
		return err
	}
	s.Quiet = &cell{Server: quiet.Name, Clients: spec.Clients}
	s.Sweeping = &cell{Server: s.store + ", sweeping", Clients: spec.Clients}
	for round := range e.Rounds {
		for _, c := range []*cell{s.Quiet, s.Sweeping} {
			if c == s.Sweeping {
				if err := toggleSweep(r, "sweeping", round+1); err != nil {
					return err
				}
			}
			res, _, err := quiet.renew(ctx, spec)
			if err != nil {
				return err
			}
			if c == s.Sweeping {
				if err := toggleSweep(r, "swept", round+1); err != nil {
					return err
				}
			}
			e.Progress("%-30s round %d  %8s/s  p99 %7s ms  %6.1f µs CPU", c.Server, round+1, report.Count(perSecond(res)), report.Millis(p99(res)), cpuEach(res))
			c.Rounds = append(c.Rounds, res)
		}
	}
	return nil
}

// toggleSweep lets node begin or end to sweep, and waits until it has said so
// for the n-th time.
func toggleSweep(r *Running, says string, n int) error {
	if err := syscall.Kill(r.Pids[0], syscall.SIGUSR1); err != nil {
		return err
	}
	for range 3000 {
		if strings.Count(r.Said(), says+"\n") >= n {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("node has not said %q for the %d. time; it said:\n%s", says, n, r.Said())
}

func writeMillion(e *Env, sec *report.Section, pairs map[string][]*storeOf) {
	t := report.Table{Header: []string{"store, sessions", "B each on disk", "start-up ms", "idle RSS MiB", "renewals/s", "p99 ms", "CPU µs each", "× the small one", "WAL B each", "a walk through all"}}
	sweep := report.Table{Title: "While a sweep walks through the large one", Header: []string{"store", "renewals/s", "× quiet", "p99 ms", "× quiet", "CPU µs each", "× quiet"}}
	n := report.Count(float64(e.Million))
	for _, store := range []string{tacetName, postgresName} {
		pair := pairs[store]
		small, large := pair[0], pair[1]
		for _, s := range pair {
			t.Rows = append(t.Rows, s.row(small))
		}
		for _, c := range []*cell{large.Quiet, large.Sweeping} {
			sweep.Rows = append(sweep.Rows, []string{c.Server,
				report.Count(report.Median(c.each(perSecond))), report.Ratio(ratioOf(c, large.Quiet, perSecond)),
				report.Millis(report.Median(c.each(p99))), report.Ratio(ratioOf(c, large.Quiet, p99)),
				report.Micros(report.Median(c.each(cpuEach))), report.Ratio(ratioOf(c, large.Quiet, cpuEach))})
		}
		sec.Targets = append(sec.Targets, large.targets(small, n)...)
	}
	sec.Tables = []report.Table{t, sweep}
	sec.Samples = pairs
	sec.Settings = fmt.Sprintf("%d interleaved rounds of %v each after %v of warm-up, medians; %d clients.", e.Rounds, e.Duration, e.Warmup, e.poolClients())
	walk := time.Duration((e.Million+sweepBite-1)/sweepBite) * sweepPause
	sec.Notes = []string{
		fmt.Sprintf("Each renewal is of a session drawn at random from all. They belong to %s users at most, whom the server has read: one who is not in memory costs a renewal one more look into the store.", report.Count(mostUsers)),
		"CPU is of the server with its database. What comes first is not counted: as many renewals as a twentieth of the sessions of the large store, in which a server reads its users and PostgreSQL logs most pages as a whole (full_page_writes). The rest of that is in WAL.",
		fmt.Sprintf("A sweep takes %d sessions at a time and then pauses for %v: through %s sessions at least %v. Beside it, \"a walk through all\" is without pauses, 1,000 at a time.", sweepBite, sweepPause, n, walk.Round(time.Second)),
	}
}

func (s *storeOf) ready() (out []float64) {
	for _, st := range s.Starts {
		out = append(out, float64(st.Ready))
	}
	return out
}

func (s *storeOf) rss() (out []float64) {
	for _, st := range s.Starts {
		out = append(out, float64(st.RSS))
	}
	return out
}

func (s *storeOf) row(small *storeOf) []string {
	c, wal := s.Renewals, "–"
	if len(c.WAL) > 0 {
		wal = report.Count(report.Median(c.WAL))
	}
	return []string{s.store + ", " + report.Count(float64(s.Sessions)), report.Count(float64(s.Bytes) / float64(s.Sessions)),
		report.Millis(report.Median(s.ready())), report.MB(report.Median(s.rss())),
		report.Count(report.Median(c.each(perSecond))), report.Millis(report.Median(c.each(p99))),
		report.Micros(report.Median(c.each(cpuEach))), report.Ratio(ratioOf(c, small.Renewals, cpuEach)), wal, s.Walk.Round(time.Millisecond).String()}
}

// targets of the large store, beside the small one.
func (s *storeOf) targets(small *storeOf, n string) []report.Target {
	kind := "SQLite"
	if s.db != nil {
		kind = "PostgreSQL"
	}
	few := report.Count(float64(small.Sessions))
	each, rss, ready := float64(s.Bytes)/float64(s.Sessions), report.Median(s.rss()), report.Median(s.ready())
	return []report.Target{
		{What: "bytes per session on disk, all indexes, " + n + " sessions, " + kind, Reference: "345 B (PostgreSQL)", Goal: "≤ 250", Measured: report.Count(each), Met: each <= 250},
		{What: "memory of an idle server with " + n + " sessions, " + kind, Reference: "–", Goal: "≤ 60 MB", Measured: fmt.Sprintf("%.0f MB", rss/1e6), Met: rss <= 60e6},
		{What: "start-up with " + n + " sessions, " + kind, Reference: "–", Goal: "< 1 s", Measured: fmt.Sprintf("%.2f s", ready/1e9), Met: ready < 1e9},
		report.AtMost("CPU per renewal with "+n+" sessions, "+kind, "with "+few, 1.3, ratioOf(s.Renewals, small.Renewals, cpuEach)),
		report.AtMost("time per renewal with "+n+" sessions, "+kind, "with "+few, 1.3, ratioOf(s.Renewals, small.Renewals, timeEach)),
	}
}

func timeEach(r load.RenewResult) float64 { return 1 / perSecond(r) }

// ratioOf is the median over the rounds of c's figure over that of ref.
func ratioOf(c, ref *cell, f func(load.RenewResult) float64) float64 {
	return report.Median(report.Ratios(c.each(f), ref.each(f)))
}
