package app

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// connLimits bound what the peers of a listener can hold.
type connLimits struct {
	all       int // connections
	ofAddress int // those of one address that is not exempt
	exempt    func(netip.Addr) bool
	// stall is how long a peer may take to read what is written to it, in pieces
	// of writePiece bytes, before its connection is cut.
	stall time.Duration
}

const (
	maxConns     = 32_768
	writeStall   = 30 * time.Second
	writePiece   = 64 << 10
	warnInterval = time.Minute
)

// limited is a listener whose connections are bounded: by number, and each write
// by a deadline of its own. The time limit of http.Server is for a whole response
// and would cut event streams and downloads; this one does not, and it also holds
// for connections that a handler has taken over.
type limited struct {
	net.Listener
	limits connLimits
	log    *slog.Logger

	mu     sync.Mutex
	open   int
	of     map[netip.Addr]int
	warned time.Time
}

func limit(ln net.Listener, l connLimits, log *slog.Logger) net.Listener {
	return &limited{Listener: ln, limits: l, log: log, of: map[netip.Addr]int{}}
}

// Accept is net.Listener. Connections beyond the limits are closed at once: a
// proxy or client in front learns it now and can try elsewhere.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := peer(c)
		if l.enter(addr) {
			return &conn{Conn: c, stall: l.limits.stall, leave: sync.OnceFunc(func() { l.leave(addr) })}, nil
		}
		_ = c.Close()
	}
}

// peer is the address of the other side; the zero Addr if it has none.
func peer(c net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func (l *limited) enter(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ofAddress := l.of[addr] >= l.limits.ofAddress && !l.limits.exempt(addr)
	if ofAddress || l.open >= l.limits.all {
		if now := time.Now(); now.Sub(l.warned) >= warnInterval {
			l.warned = now
			l.log.Warn("connections are closed as soon as they come: too many are open", "open", l.open, "at_most", l.limits.all, "of_one_address_at_most", l.limits.ofAddress, "address", addr.String())
		}
		return false
	}
	l.open++
	l.of[addr]++
	return true
}

func (l *limited) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.of[addr]--; l.of[addr] == 0 {
		delete(l.of, addr)
	}
}

// conn gives each write a deadline.
type conn struct {
	net.Conn
	stall time.Duration
	leave func()

	mu  sync.Mutex
	set time.Time // the deadline that the user of the connection has set
}

// Write is net.Conn.
func (c *conn) Write(p []byte) (n int, err error) {
	for {
		piece := p[n:min(len(p), n+writePiece)]
		c.mu.Lock()
		deadline := time.Now().Add(c.stall)
		if !c.set.IsZero() && c.set.Before(deadline) {
			deadline = c.set
		}
		err = c.Conn.SetWriteDeadline(deadline)
		c.mu.Unlock()
		if err != nil {
			return n, err
		}
		m, err := c.Conn.Write(piece)
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// SetWriteDeadline is net.Conn. A later one than that of a write changes nothing
// for the write.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = t
	if t.IsZero() || t.After(time.Now().Add(c.stall)) {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.Conn.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// Close is net.Conn.
func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// CloseWrite is for http.Server, which says goodbye with it.
func (c *conn) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}
