package suite

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/tacet-dev/tacet/bench/limit"
	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/bench/proc"
)

// Peer is a kind of server that suites measure. A new one is an entry in Peers:
// how to start it and the dialect that it speaks.
type Peer struct {
	Name          string
	SignInsAtOnce int // sign-ins may be costly by design (password hashes)
	Dialect       load.Dialect
	Start         func(context.Context, *Env) (*Running, error)
}

// Running is a started server. Pids are all processes that its work costs, whose
// children count as well; a database beside it belongs to it. Stop stops the
// server alone; Restart, if not nil, starts it again over the same data.
type Running struct {
	Addr     string
	Pids     []int
	Database *database // nil: it keeps its data itself
	Stop     func() error
	Restart  func(context.Context) (*Running, error)
}

func (r *Running) restart(ctx context.Context) error {
	if err := r.Stop(); err != nil {
		return err
	}
	again, err := r.Restart(ctx)
	if err != nil {
		r.Stop = func() error { return nil } // it has stopped already
		return err
	}
	*r = *again
	return nil
}

// end stops the server and removes its database.
func (r *Running) end() error {
	err := r.Stop()
	if r.Database != nil {
		err = errors.Join(err, r.Database.Remove())
	}
	return err
}

// Names of the references.
const (
	noopName     = "noop"
	limitName    = "limit"
	tacetName    = "tacet-sqlite"
	postgresName = "tacet-postgres"
)

// Peers are all that can be measured; the references come first.
var Peers = []Peer{
	{
		Name: noopName, SignInsAtOnce: 8, Start: startNoop,
		Dialect: load.Dialect{
			Login:   load.Exchange{Path: "/", Body: `{"refresh_token":""}`},
			Refresh: load.Exchange{Path: "/", Body: `{"refresh_token":"` + paddedToken + `"}`},
			Token:   load.Capture{JSON: "refresh_token"},
		},
	},
	{
		Name: limitName, SignInsAtOnce: 8, Start: startLimit,
		Dialect: load.Dialect{
			Login:   load.Exchange{Path: limit.PathLogin},
			Refresh: load.Exchange{Path: limit.PathRefresh, Body: `{"refresh_token":"{token}"}`},
			Token:   load.Capture{Cookie: limit.Cookie},
		},
	},
	{Name: tacetName, SignInsAtOnce: 2, Start: startTacet, Dialect: tacetBody},
	{Name: postgresName, SignInsAtOnce: 2, Start: startTacetPostgres, Dialect: tacetBody},
	{Name: tacetName + "-cookie", SignInsAtOnce: 2, Start: startTacet, Dialect: tacetCookies},
}

// paddedToken makes noop's request as long as a real one.
const paddedToken = "noop_________________________________________________________________________________________________"

// peers picks by name; an unknown name is a mistake in a suite.
func peers(names ...string) []Peer {
	var out []Peer
	for _, name := range names {
		found := false
		for _, p := range Peers {
			if p.Name == name {
				out, found = append(out, p), true
			}
		}
		if !found {
			panic("suite: no peer " + name)
		}
	}
	return out
}

func startNoop(ctx context.Context, e *Env) (*Running, error) {
	program, err := e.program(ctx, "noop")
	if err != nil {
		return nil, err
	}
	return startServer(ctx, "noop", program)
}

func startLimit(ctx context.Context, e *Env) (*Running, error) {
	program, err := e.program(ctx, "limit")
	if err != nil {
		return nil, err
	}
	dir, err := e.tempDir("limit")
	if err != nil {
		return nil, err
	}
	return startServer(ctx, "limit", program, "-log", filepath.Join(dir, "log"))
}

func startServer(ctx context.Context, name, program string, args ...string) (*Running, error) {
	p, err := proc.StartServer(ctx, name, program, args...)
	if err != nil {
		return nil, err
	}
	return &Running{Addr: p.Addr, Pids: []int{p.Pid}, Stop: p.Stop}, nil
}
