package suite

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"

	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/wire"
)

// The user whose sessions all clients of a Tacet server hold.
const (
	benchUser     = "bench"
	benchPassword = "a password of the benchmark"
)

// tacetBody is a client that keeps its tokens itself.
var tacetBody = load.Dialect{
	Login: load.Exchange{
		Path: wire.DefaultBasePath + wire.PathLogin,
		Body: `{"username":"` + benchUser + `","password":"` + benchPassword + `","delivery":"body"}`,
	},
	Refresh: load.Exchange{Path: wire.DefaultBasePath + wire.PathRefresh, Body: `{"refresh_token":"{token}"}`},
	Token:   load.Capture{JSON: "refresh_token"},
}

// tacetCookies is a browser.
var tacetCookies = load.Dialect{
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
}

// startTacet starts a server on the embedded store.
func startTacet(ctx context.Context, e *Env) (*Running, error) { return startTacetOn(ctx, e, nil) }

// startTacetPostgres starts a server and a PostgreSQL cluster for it.
func startTacetPostgres(ctx context.Context, e *Env) (*Running, error) {
	db, err := newDatabase()
	if err != nil {
		return nil, err
	}
	r, err := startTacetOn(ctx, e, db)
	if err != nil {
		db.Remove()
	}
	return r, err
}

// startTacetOn starts a server on a new data directory or, if db is not nil, on
// a new database, with one user.
func startTacetOn(ctx context.Context, e *Env, db *database) (*Running, error) {
	program, err := e.program(ctx, "tacet")
	if err != nil {
		return nil, err
	}
	data, err := e.tempDir("tacet")
	if err != nil {
		return nil, err
	}
	add := exec.CommandContext(ctx, program, append([]string{"user", "add", benchUser, "--password-stdin"}, storeFlags(data, db)...)...)
	add.Stdin = bytes.NewBufferString(benchPassword + "\n")
	if said, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("tacet user add: %w\n%s", err, said)
	}
	return serveTacet(ctx, program, data, db)
}

func storeFlags(data string, db *database) []string {
	flags := []string{"--data", data}
	if db != nil {
		flags = append(flags, "--database-url", db.URL())
	}
	return flags
}

func serveTacet(ctx context.Context, program, data string, db *database) (*Running, error) {
	r, err := startServer(ctx, "tacet", program, append([]string{"serve", "--listen", "127.0.0.1:0"}, storeFlags(data, db)...)...)
	if err != nil {
		return nil, err
	}
	if db != nil {
		r.Database, r.Pids = db, append(slices.Clip(r.Pids), db.pid)
	}
	r.Restart = func(ctx context.Context) (*Running, error) { return serveTacet(ctx, program, data, db) }
	return r, nil
}
