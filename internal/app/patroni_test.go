//go:build ha

package app

import (
	"os"
	"strconv"
	"testing"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// clients of each test: HA_CLIENTS, by default those of the short form.
func clients(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("HA_CLIENTS"))
	if err != nil {
		n = 50
	}
	return n
}

// TestPatroni: three nodes of PostgreSQL under Patroni with etcd. The primary's
// machine dies under clients, comes back as a standby, and the new primary hands
// over to another. Nobody is signed out; with synchronous replication nothing that
// was answered is forgotten.
func TestPatroni(t *testing.T) {
	for name, c := range map[string]struct {
		synchronous bool
		url         func(*testing.T, *pgtest.Patroni) string
	}{
		"haproxy, synchronous":        {true, func(_ *testing.T, p *pgtest.Patroni) string { return p.Proxy() }},
		"several hosts, asynchronous": {false, func(_ *testing.T, p *pgtest.Patroni) string { return p.Hosts() }},
		"pgbouncer and haproxy, synchronous": {true, func(t *testing.T, p *pgtest.Patroni) string {
			b, err := p.Bouncer()
			must(t, err)
			t.Cleanup(func() { must(t, b.Stop()) })
			return b.URL()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := pgtest.NewPatroni(t, c.synchronous)
			n := clients(t)
			f := startTraffic(t, c.url(t, p), n)
			f.renewals(int64(5 * n))
			killed := p.KillPrimary(t)
			f.renewals(int64(5 * n))
			p.Start(t, killed)
			p.Switchover(t)
			f.renewals(int64(5 * n))
			t.Logf("%d renewals caught up", f.nobodySignedOut())
			if c.synchronous {
				f.nothingForgotten()
			}
		})
	}
}
