// Package suite holds what is measured: one file per suite, each of which
// starts its own servers, measures them beside their references in one run and
// returns a section of the report.
package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/bench/proc"
	"github.com/tacet-dev/tacet/bench/report"
)

// Suite measures some lines of the table of targets.
type Suite struct {
	Name  string // of -only and of the files of its results
	Title string
	Run   func(context.Context, *Env, *report.Section) error
}

// All suites, in their order on the page of results.
var All = []Suite{
	{"renewals", "Renewals", runRenewals},
	{"herd", "1,000 equal presentations at once", runHerd},
	{"verify", "Checking an access token", runVerify},
	{"encryption", "Encrypted answers", runEncryption},
	{"client", "The Go client", runClient},
	{"changes", "A change of grants", runChanges},
	{"size", "Size of sessions", runSize},
	{"million", "A million sessions", runMillion},
}

// Settings of a run.
type Settings struct {
	Rounds   int           // every measurement is made so often, interleaved with its reference
	Duration time.Duration // of one measurement
	Warmup   time.Duration // before each
	Clients  []int         // numbers of concurrent clients, the K of the tables
	Peers    []Peer        // beside each other in suites of servers
	Sessions int           // of the size suite
	Million  int           // sessions of the suite of that name
	Herd     int           // equal presentations
	Streams  int           // open while grants change
}

// Env is what suites run with.
type Env struct {
	Settings
	Root     string // of the Tacet module
	Dir      string // for databases and programs, on a disk
	Progress func(format string, args ...any)

	programs map[string]string
}

// NewEnv finds the Tacet module. dir must be empty and on a disk.
func NewEnv(s Settings, dir string, progress func(string, ...any)) (*Env, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tacet-dev/tacet").Output()
	if err != nil {
		return nil, fmt.Errorf("find the Tacet module: %w (run this inside bench/)", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	return &Env{Settings: s, Root: strings.TrimSpace(string(out)), Dir: dir, Progress: progress, programs: map[string]string{}}, nil
}

// peerModule is the directory, below bench/, of the module that holds programs
// made of other people's libraries, so that theirs are not this module's.
const peerModule = "peers/"

// program builds a command once: one of the bench's own, "tacet" of the Tacet
// module, or one of the peers.
func (e *Env) program(ctx context.Context, name string) (string, error) {
	if p, ok := e.programs[name]; ok {
		return p, nil
	}
	from, pkg := filepath.Join(e.Root, "bench"), "./cmd/"+name
	if name == "tacet" {
		from = e.Root
	} else if peer, ok := strings.CutPrefix(name, peerModule); ok {
		from, pkg = filepath.Join(from, peerModule), "./"+peer
	}
	p, err := proc.Build(ctx, from, pkg, e.Dir)
	if err == nil {
		e.programs[name] = p
	}
	return p, err
}

// tempDir makes a directory for a server's data.
func (e *Env) tempDir(name string) (string, error) {
	return os.MkdirTemp(e.Dir, name+"-data-*")
}

// Measure runs a suite and saves its section in out.
func Measure(ctx context.Context, e *Env, s Suite, m proc.Machine, out string) (*report.Section, error) {
	sec := &report.Section{
		Name: s.Name, Title: s.Title, When: time.Now().UTC().Truncate(time.Second), Machine: m,
	}
	for i := range All {
		if All[i].Name == s.Name {
			sec.Order = i
		}
	}
	if err := s.Run(ctx, e, sec); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return sec, sec.Save(out)
}

// server is a peer that runs, with a load generator of its own.
type server struct {
	Peer
	*Running
	gen *load.Remote
}

// startServers starts peers and signs sessions in to each.
func (e *Env) startServers(ctx context.Context, peers []Peer, sessions int) (_ []*server, _ func() error, err error) {
	var servers []*server
	halt := func() (err error) {
		for _, s := range servers {
			s.gen.Close()
			if e := s.end(); e != nil && err == nil {
				err = e
			}
		}
		return err
	}
	defer func() {
		if err != nil {
			halt()
		}
	}()
	generator, err := e.program(ctx, "load")
	if err != nil {
		return nil, nil, err
	}
	for _, p := range peers {
		e.Progress("start %s and sign in %d sessions", p.Name, sessions)
		running, err := p.Start(ctx, e)
		if err != nil {
			return nil, nil, err
		}
		s := &server{Peer: p, Running: running}
		if s.gen, err = load.StartRemote(ctx, p.Name, generator); err != nil {
			running.end()
			return nil, nil, err
		}
		servers = append(servers, s)
		if err := s.signIn(ctx, sessions); err != nil {
			return nil, nil, err
		}
	}
	return servers, halt, nil
}

// signIn starts the sessions and then, where the peer can, starts the server
// anew: what hashing the passwords left in memory is not part of a renewal.
func (s *server) signIn(ctx context.Context, sessions int) error {
	if err := s.gen.Configure(s.config()); err != nil {
		return err
	}
	if err := s.gen.SignIn(sessions, s.SignInsAtOnce); err != nil {
		return err
	}
	if s.Restart == nil {
		return nil
	}
	if err := s.Running.restart(ctx); err != nil {
		return err
	}
	return s.gen.Configure(s.config())
}

func (s *server) config() load.Config {
	return load.Config{Addr: s.Addr, Pids: s.Pids, Dialect: s.Dialect}
}
