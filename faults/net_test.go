package faults

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// link is a network between two parties, at an address that stays.
//
// Shopify/toxiproxy 2.5.0 was tried in its place. It takes a fault off under the
// lock that new connections need, and meanwhile waits 5 s for each piece of data
// whose reader has gone (ToxicLink.RemoveToxic): with some hundred impatient clients
// a network stayed away for minutes after a fault of one second.
type link struct {
	addr, to string
	ln       net.Listener
	ill      sync.Mutex // held while there is a fault: one at a time
	fault    atomic.Pointer[illness]

	mu    sync.Mutex
	conns map[*conn]bool
	done  bool
	run   sync.WaitGroup
}

// illness is what is wrong with a link.
type illness struct {
	delay time.Duration // of what passes, half more or less
	drop  [2]bool       // by direction: what is sent gets lost
	reset float64       // share of answers that break their connection off
}

const (
	up   = 0 // to the server
	down = 1
)

// conn is a connection of a client and the one to the server that it leads to.
type conn struct {
	client, server net.Conn
	holed          atomic.Bool // something was lost on the way: no use any more
}

func (c *conn) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

func newLink(t testing.TB, to string) *link {
	t.Helper()
	l := &link{addr: freeAddr(t), to: to, conns: map[*conn]bool{}}
	l.fault.Store(&illness{})
	var err error
	l.ln, err = net.Listen("tcp", l.addr)
	must(t, err)
	l.run.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

func freeAddr(t testing.TB) string {
	t.Helper()
	port, err := pgtest.FreePort()
	must(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func (l *link) close() {
	_ = l.ln.Close()
	l.mu.Lock()
	l.done = true
	for c := range l.conns {
		c.close()
	}
	l.mu.Unlock()
	l.run.Wait()
}

func (l *link) accept() {
	for {
		client, err := l.ln.Accept()
		if err != nil {
			return
		}
		l.run.Go(func() { l.serve(client) })
	}
}

func (l *link) serve(client net.Conn) {
	server, err := net.Dial("tcp", l.to)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &conn{client: client, server: server}
	defer c.close()
	l.mu.Lock()
	l.conns[c] = true
	done := l.done
	l.mu.Unlock()
	if done {
		return
	}
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, c)
	}()
	var answers sync.WaitGroup
	answers.Go(func() { l.pass(c, server, client, down) })
	l.pass(c, client, server, up)
	answers.Wait()
}

// pass carries one direction until either side ends it.
func (l *link) pass(c *conn, from, to net.Conn, direction int) {
	defer c.close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		f := l.fault.Load()
		if f.delay > 0 {
			time.Sleep(f.delay/2 + rand.N(f.delay))
		}
		switch {
		case f.drop[direction]:
			c.holed.Store(true)
			continue
		case direction == down && rand.Float64() < f.reset:
			_ = c.client.(*net.TCPConn).SetLinger(0)
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// slow delays what passes.
func (l *link) slow(by time.Duration) { l.fault.Store(&illness{delay: by}) }

// partition lets nothing pass.
func (l *link) partition() { l.fault.Store(&illness{drop: [2]bool{true, true}}) }

// lose lets no answer pass.
func (l *link) lose() { l.fault.Store(&illness{drop: [2]bool{down: true}}) }

// reset breaks connections off when an answer is due.
func (l *link) reset(share float64) { l.fault.Store(&illness{reset: share}) }

// heal ends what is wrong. Connections on which something was lost end too.
func (l *link) heal() {
	l.fault.Store(&illness{})
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if c.holed.Load() {
			c.close()
		}
	}
}
