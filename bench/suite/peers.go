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
	Note          string // what it does and does not do, where its name does not say it
	SignInsAtOnce int    // sign-ins may be costly by design (password hashes)
	Dialect       load.Dialect
	Start         func(context.Context, *Env) (*Running, error)
}

// Running is a started server. Pids are all processes that its work costs, whose
// children count as well; a database beside it belongs to it. Stop stops the
// server alone; Restart, if not nil, starts it again over the same data.
type Running struct {
	Addr     string
	Pids     []int
	Database *database     // nil: it keeps its data itself
	Said     func() string // the last that it printed
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
	{
		Name: postgresName, SignInsAtOnce: 2, Start: startTacetPostgres, Dialect: tacetBody,
		Note: "a PostgreSQL cluster of its own on the same machine, over TCP on loopback, with the settings that it is installed with (synchronous_commit, fsync and full_page_writes on).",
	},
	{Name: tacetName + "-cookie", SignInsAtOnce: 2, Start: startTacet, Dialect: tacetCookies},
	{
		Name: "fosite-hmac", SignInsAtOnce: 8, Start: startPeer("fosite"), Dialect: formDialect("/token", "/token", "bench"),
		Note: "ory/fosite 0.49 over its storage in memory: rotation, reuse ends the session (also a repeated request's); opaque access tokens that others must ask about, nothing is durable, used tokens are kept for ever.",
	},
	{
		Name: "fosite-jwt", SignInsAtOnce: 8, Start: startPeer("fosite", "-jwt"), Dialect: formDialect("/token", "/token", "bench"),
		Note: "the same with access tokens signed with ES256, the fastest that it has.",
	},
	{
		Name: "zitadel-oidc", SignInsAtOnce: 8, Start: startPeer("zitadel"), Dialect: formDialect("/login", "/oauth/token", "native"),
		Note: "the example server of zitadel/oidc 3.45, all in memory: rotation, no alarm for a stolen token, a repeated request is refused; opaque access tokens and an ID token signed with RS256; its log of requests is off.",
	},
	{
		Name: "scs", SignInsAtOnce: 8, Start: startPeer("scs"),
		Note: "alexedwards/scs 2.9 in memory, RenewToken: the token alone changes; no signed token, no alarm for a stolen one, a repeated request is signed out, nothing is durable.",
		Dialect: load.Dialect{
			Login:   load.Exchange{Path: "/login"},
			Refresh: load.Exchange{Path: "/refresh", Headers: []string{"Cookie: session={token}"}},
			Token:   load.Capture{Cookie: "session"},
		},
	},
}

// formDialect is that of a token endpoint (RFC 6749, sections 4.3 and 6) for a
// public client.
func formDialect(login, token, client string) load.Dialect {
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	return load.Dialect{
		Login: load.Exchange{Path: login, Headers: form,
			Body: "grant_type=password&username=bench&password=bench&scope=offline&client_id=" + client},
		Refresh: load.Exchange{Path: token, Headers: form, Body: "grant_type=refresh_token&client_id=" + client + "&refresh_token={token}"},
		Token:   load.Capture{JSON: "refresh_token"},
	}
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

// startPeer starts a program of the module peers.
func startPeer(name string, args ...string) func(context.Context, *Env) (*Running, error) {
	return func(ctx context.Context, e *Env) (*Running, error) {
		program, err := e.program(ctx, peerModule+name)
		if err != nil {
			return nil, err
		}
		return startServer(ctx, name, program, args...)
	}
}

func startServer(ctx context.Context, name, program string, args ...string) (*Running, error) {
	p, err := proc.StartServer(ctx, name, program, args...)
	if err != nil {
		return nil, err
	}
	return &Running{Addr: p.Addr, Pids: []int{p.Pid}, Said: p.Output, Stop: p.Stop}, nil
}
