// Command bench measures Tacet beside its references, all in one run on this
// machine, and writes the results. Run it inside bench/; see README.md there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tacet-dev/tacet/bench/proc"
	"github.com/tacet-dev/tacet/bench/suite"
)

// defaultServers are those of the renewals suite.
var defaultServers = []string{"noop", "limit", "tacet-sqlite", "tacet-postgres", "fosite-hmac", "fosite-jwt", "zitadel-oidc", "scs"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	suite.Settings
	suites []suite.Suite
	out    string
	dir    string
}

// parse reads the command line. The flags of package flag's CommandLine stay
// out of it: the verify suite registers those of package testing there.
func parse(args []string, usage io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(usage)
	only := fs.String("suite", "", "`suites` to run, separated by commas: "+names(suite.All, suiteName)+" (default all)")
	servers := fs.String("servers", strings.Join(defaultServers, ","), "`servers` of the renewals suite: "+names(suite.Peers, peerName))
	clients := fs.String("k", "1,16,128,512", "`numbers` of concurrent clients")
	fs.IntVar(&o.Rounds, "rounds", 3, "interleaved rounds of every measurement")
	fs.DurationVar(&o.Duration, "duration", 3*time.Second, "length of one measurement")
	fs.DurationVar(&o.Warmup, "warmup", 500*time.Millisecond, "warm-up before each")
	fs.IntVar(&o.Sessions, "sessions", 100_000, "sessions of the size suite")
	fs.IntVar(&o.Million, "million", 1_000_000, "sessions of the million suite")
	fs.IntVar(&o.Herd, "herd", 1000, "equal presentations of the herd suite")
	fs.IntVar(&o.Streams, "streams", 1000, "open event streams of the changes suite")
	fs.StringVar(&o.out, "out", "results", "`directory` of the results")
	fs.StringVar(&o.dir, "dir", os.TempDir(), "`directory` for databases while it runs; must be on a disk")
	quick := fs.Bool("quick", false, "a few seconds only, to see that everything works: the figures mean nothing (choose another -out)")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q (see -help)", fs.Arg(0))
	}
	if *quick {
		if !isSet(fs, "out") {
			return o, errors.New("-quick needs -out: its figures must not replace measured ones")
		}
		o.quick(fs)
		if !isSet(fs, "k") {
			*clients = "1,4"
		}
	}
	if o.Clients, err = numbers(*clients); err != nil {
		return o, fmt.Errorf("-k %q: %w", *clients, err)
	}
	if o.Rounds < 1 || o.Duration <= 0 || o.Warmup < 0 || o.Sessions < 2 || o.Million < 2 || o.Herd < 1 || o.Streams < 1 {
		return o, errors.New("-rounds, -duration, -sessions, -million, -herd and -streams must be positive (two sessions at least)")
	}
	if o.suites, err = pick("-suite", *only, suite.All, suiteName); err != nil {
		return o, err
	}
	o.Peers, err = pick("-servers", *servers, suite.Peers, peerName)
	return o, err
}

// quick makes everything that was not asked for as small as it can be.
func (o *options) quick(fs *flag.FlagSet) {
	for _, f := range []struct {
		name string
		set  func()
	}{
		{"rounds", func() { o.Rounds = 1 }},
		{"duration", func() { o.Duration = 100 * time.Millisecond }},
		{"warmup", func() { o.Warmup = 20 * time.Millisecond }},
		{"sessions", func() { o.Sessions = 2000 }},
		{"million", func() { o.Million = 2000 }},
		{"herd", func() { o.Herd = 50 }},
		{"streams", func() { o.Streams = 60 }},
	} {
		if !isSet(fs, f.name) {
			f.set()
		}
	}
}

func isSet(fs *flag.FlagSet, name string) (set bool) {
	fs.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "tacet-bench-*")
	if err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	defer os.RemoveAll(dir)
	machine, err := proc.ReadMachine(dir)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, machine)
	progress := func(format string, args ...any) { fmt.Fprintf(stdout, format+"\n", args...) }
	env, err := suite.NewEnv(o.Settings, dir, progress)
	if err != nil {
		return err
	}
	for _, s := range o.suites {
		progress("\n== %s", s.Title)
		sec, err := suite.Measure(ctx, env, s, machine, o.out)
		if err != nil {
			return err
		}
		for _, t := range sec.Targets {
			progress("%-60s target %-8s measured %-9s met: %v", t.What, t.Goal, t.Measured, t.Met)
		}
	}
	progress("\nresults are in %s", o.out)
	return nil
}

func suiteName(s suite.Suite) string { return s.Name }
func peerName(p suite.Peer) string   { return p.Name }

func names[T any](all []T, name func(T) string) string {
	var out []string
	for _, x := range all {
		out = append(out, name(x))
	}
	return strings.Join(out, ", ")
}

// pick finds names in all; an empty list means all.
func pick[T any](flagName, list string, all []T, name func(T) string) (out []T, err error) {
	if list == "" {
		return all, nil
	}
	for want := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(x T) bool { return name(x) == strings.TrimSpace(want) })
		if i < 0 {
			return nil, fmt.Errorf("%s: there is no %q; there are: %s", flagName, want, names(all, name))
		}
		out = append(out, all[i])
	}
	return out, nil
}

func numbers(list string) (out []int, err error) {
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return nil, errors.New("must be positive numbers separated by commas")
		}
		out = append(out, n)
	}
	return out, nil
}
