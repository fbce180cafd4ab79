package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// link is a network between two parties, at an address that stays.
type link struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
	addr  string
	ill   sync.Mutex // held while there is a fault: one at a time
}

var toxics = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())

func newLink(t testing.TB, name, to string) *link {
	t.Helper()
	addr := freeAddr(t)
	p := toxiproxy.NewProxy(toxics, name, addr, to)
	must(t, p.Start())
	t.Cleanup(p.Stop)
	return &link{t: t, proxy: p, addr: addr}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	port, err := pgtest.FreePort()
	must(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// both directions of a link.
var both = []string{"upstream", "downstream"}

// add makes the link ill, for a share of its connections.
func (l *link) add(kind string, share float64, directions []string, attributes map[string]int64) {
	for _, d := range directions {
		b, err := json.Marshal(map[string]any{"name": kind + d, "type": kind, "stream": d, "toxicity": share, "attributes": attributes})
		if err == nil {
			_, err = l.proxy.Toxics.AddToxicJson(bytes.NewReader(b))
		}
		if err != nil {
			l.t.Errorf("%s on %s: %v", kind, l.proxy.Name, err)
		}
	}
}

// slow delays what passes.
func (l *link) slow(by time.Duration) {
	l.add("latency", 1, both, map[string]int64{"latency": by.Milliseconds(), "jitter": by.Milliseconds() / 2})
}

// partition lets nothing pass; what is sent is lost, and heal closes connections
// that were open.
func (l *link) partition(directions ...string) { l.add("timeout", 1, directions, nil) }

// reset breaks a share of the connections off as soon as an answer passes, which
// is lost.
func (l *link) reset(share float64) {
	l.add("reset_peer", share, []string{"downstream"}, map[string]int64{"timeout": 0})
}

func (l *link) heal() { l.proxy.Toxics.ResetToxics(context.Background()) }
