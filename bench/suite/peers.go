package suite

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/tacet-dev/tacet/bench/limit"
	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/bench/proc"
	"github.com/tacet-dev/tacet/wire"
)

// Peer is a kind of server that suites measure. A new one is an entry in Peers:
// how to start it and the dialect that it speaks.
type Peer struct {
	Name          string
	SignInsAtOnce int // sign-ins may be costly by design (password hashes)
	Dialect       load.Dialect
	Start         func(context.Context, *Env) (*Running, error)
}

// Running is a started server. Pids are all processes that its work costs; a
// database beside it belongs to it. Restart, if not nil, starts it again over
// the same data after Stop.
type Running struct {
	Addr    string
	Pids    []int
	Stop    func() error
	Restart func(context.Context) (*Running, error)
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

// Names of the references.
const (
	noopName  = "noop"
	limitName = "limit"
	tacetName = "tacet-sqlite"
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
	{
		Name: tacetName, SignInsAtOnce: 2, Start: startTacet,
		Dialect: load.Dialect{
			Login: load.Exchange{
				Path: wire.DefaultBasePath + wire.PathLogin,
				Body: `{"username":"` + benchUser + `","password":"` + benchPassword + `","delivery":"body"}`,
			},
			Refresh: load.Exchange{Path: wire.DefaultBasePath + wire.PathRefresh, Body: `{"refresh_token":"{token}"}`},
			Token:   load.Capture{JSON: "refresh_token"},
		},
	},
	{
		Name: tacetName + "-cookie", SignInsAtOnce: 2, Start: startTacet,
		Dialect: load.Dialect{
			Login: load.Exchange{
				Path: wire.DefaultBasePath + wire.PathLogin,
				Body: `{"username":"` + benchUser + `","password":"` + benchPassword + `"}`,
			},
			Refresh: load.Exchange{
				Path: wire.DefaultBasePath + wire.PathRefresh,
				Headers: []string{
					"Cookie: " + wire.CookieRefresh + "={token}; " + wire.CookieCSRF + "={csrf}",
					wire.HeaderCSRF + ": {csrf}",
				},
				Body: "{}",
			},
			Token: load.Capture{Cookie: wire.CookieRefresh},
			CSRF:  load.Capture{Cookie: wire.CookieCSRF},
		},
	},
}

// paddedToken makes noop's request as long as a real one.
const paddedToken = "noop_________________________________________________________________________________________________"

const (
	benchUser     = "bench"
	benchPassword = "a password of the benchmark"
)

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

// startTacet starts a server on a new data directory with one user, whose
// sessions all clients hold.
func startTacet(ctx context.Context, e *Env) (*Running, error) {
	program, err := e.program(ctx, "tacet")
	if err != nil {
		return nil, err
	}
	data, err := e.tempDir("tacet")
	if err != nil {
		return nil, err
	}
	add := exec.CommandContext(ctx, program, "user", "add", benchUser, "--password-stdin", "--data", data)
	add.Stdin = bytes.NewBufferString(benchPassword + "\n")
	if said, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("tacet user add: %w\n%s", err, said)
	}
	return serveTacet(ctx, program, data)
}

func serveTacet(ctx context.Context, program, data string) (*Running, error) {
	r, err := startServer(ctx, "tacet", program, "serve", "--listen", "127.0.0.1:0", "--data", data)
	if err != nil {
		return nil, err
	}
	r.Restart = func(ctx context.Context) (*Running, error) { return serveTacet(ctx, program, data) }
	return r, nil
}
