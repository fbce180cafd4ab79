// Package cli is the program tacet: it reads flags, the environment and a file,
// and calls package app. Every command works on a data directory whose server
// is running as well as on one at rest.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	completion "github.com/jotaen/kong-completion"

	"github.com/tacet-dev/tacet/internal/config"
)

// root is the command line.
type root struct {
	Config    string `help:"Read settings from this YAML file (name: value, names as the flags)." placeholder:"FILE" type:"path"`
	LogLevel  string `help:"Log from this level on: ${enum}." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"Form of the log on standard error: ${enum}." enum:"text,json" default:"text"`

	Serve   serveCmd   `cmd:"" help:"Run the session server."`
	Dev     devCmd     `cmd:"" help:"Run a demo: two users, short lifetimes, a page that shows what happens."`
	User    userCmd    `cmd:"" help:"Manage the users of the embedded directory."`
	Role    roleCmd    `cmd:"" help:"Manage roles and their permissions."`
	Session sessionCmd `cmd:"" help:"List and end sessions."`
	Client  clientCmd  `cmd:"" help:"Manage the OAuth clients that may sign users in."`
	Apikey  apikeyCmd  `cmd:"" help:"Manage the API keys of back-ends that make calls of administration."`
	Key     keyCmd     `cmd:"" help:"List and rotate the keys that sign tokens."`
	Migrate migrateCmd `cmd:"" help:"Manage the schema of a PostgreSQL database, or copy an embedded store to one."`
	Profile profileCmd `cmd:"" help:"List, show and check the dialects of existing front-ends."`
	Conf    confCmd    `cmd:"" name:"config" help:"Show or check the settings that a server would run with."`
	Doctor  doctorCmd  `cmd:"" help:"Check configuration, clock, disk, keys and cookies, and say what to do about problems."`
	Version versionCmd `cmd:"" help:"Print the version."`
	Help    helpCmd    `cmd:"" help:"Show what a command does, with examples."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Completion completion.Completion `cmd:"" help:"Print how to turn on completion in your shell."`
}

// env is what commands run in.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	log    *slog.Logger
	lookup func(string) (string, bool)
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main runs the program and returns its exit code. It ends early when ctx is
// done or the process is told to stop.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	var cli root
	exit := -1
	parser, err := newParser(&cli, stdout, stderr, func(code int) { exit = code })
	if err != nil {
		fmt.Fprintln(stderr, "tacet:", err)
		return exitFailed
	}
	completion.Register(parser)
	args = helpFirst(args)
	// A file must be known before flags are resolved, so it is looked for first.
	resolvers, err := resolvers(parser, args)
	if err != nil {
		return usage(stderr, err)
	}
	if parser, err = newParser(&cli, stdout, stderr, func(code int) { exit = code }, resolvers...); err != nil {
		return usage(stderr, err)
	}
	kctx, err := parser.Parse(args)
	if exit >= 0 { // --help has printed
		return exit
	}
	if err != nil {
		return usage(stderr, err)
	}
	e := &env{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, lookup: os.LookupEnv}
	e.log = newLogger(stderr, cli.LogLevel, cli.LogFormat)
	if err := kctx.Run(e); err != nil {
		fmt.Fprintln(stderr, "tacet:", err)
		if errors.As(err, new(*usageError)) {
			return exitUsage
		}
		return exitFailed
	}
	return exitOK
}

func newParser(cli *root, stdout, stderr io.Writer, exit func(int), resolvers ...kong.Resolver) (*kong.Kong, error) {
	parser, err := kong.New(cli,
		kong.Name("tacet"),
		kong.Description("The session layer that nobody notices.\n\nEvery flag is also a TACET_… variable (--access-ttl is TACET_ACCESS_TTL) and a line of the YAML file given with --config."),
		kong.Writers(stdout, stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.Resolvers(resolvers...),
		kong.Vars{"version": versionLine()},
	)
	if err == nil {
		addExamples(parser.Model.Node, "")
	}
	return parser, err
}

// usageError is a mistake in what was asked for, not in carrying it out.
type usageError struct{ error }

func (u *usageError) Unwrap() error { return u.error }

func usage(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, "tacet:", err)
	fmt.Fprintln(stderr, "Try: tacet --help")
	return exitUsage
}

// resolvers are the file (if one is named) and the environment, weakest first.
func resolvers(parser *kong.Kong, args []string) ([]kong.Resolver, error) {
	known := settingNames(parser)
	if err := config.CheckEnv(os.Environ(), append(known, secretNames...)); err != nil {
		return nil, err
	}
	env := config.Env(os.LookupEnv)
	path := configPath(args)
	if path == "" {
		return []kong.Resolver{env}, nil
	}
	f, err := config.Read(path, known)
	if err != nil {
		return nil, err
	}
	return []kong.Resolver{f.Resolver(), env}, nil
}

// secretNames are settings that are read from the environment only, because a
// command line shows in the list of processes.
var secretNames = []string{"master-key", "feed-token", "oidc-client-secret"}

// settingNames are the names of all flags of the commands that run a server.
func settingNames(parser *kong.Kong) []string {
	var names []string
	add := func(flags []*kong.Flag) {
		for _, f := range flags {
			if f.Name != "help" && f.Name != "version" {
				names = append(names, f.Name)
			}
		}
	}
	add(parser.Model.Flags)
	for _, child := range parser.Model.Children {
		if child.Name == "serve" || child.Name == "dev" {
			add(child.Flags)
		}
	}
	return names
}

// configPath finds --config before the command line is parsed.
func configPath(args []string) string {
	for i, a := range args {
		if a == "--" {
			break
		}
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			return v
		}
		if a == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return os.Getenv(config.EnvName("config"))
}

func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // the parser let only valid names through
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
