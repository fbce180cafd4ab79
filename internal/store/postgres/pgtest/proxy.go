package pgtest

import (
	"net"
	"sync"
	"testing"
)

// Fate is what a Proxy does with a piece of a request.
type Fate uint8

const (
	Pass      Fate = iota
	CutBefore      // the server never gets it
	CutAfter       // it is sent on and the connection cut at once: the server may or may not carry it out
	CutAnswer      // it is sent on and the response is lost
)

// Proxy passes connections on to a server and fails as it is told to.
type Proxy struct {
	ln     net.Listener
	server string

	mu    sync.Mutex
	fate  func(request []byte) Fate
	conns map[net.Conn]bool
	held  chan struct{} // closed while bytes may flow
	shut  bool          // connections are refused
	run   sync.WaitGroup
}

// NewProxy listens on loopback for the server's address until the test ends.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ln: ln, server: server, conns: map[net.Conn]bool{}, held: make(chan struct{})}
	close(p.held)
	p.run.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Judge sets what becomes of each piece that a client sends; nil passes all.
// A driver sends a statement in one piece.
func (p *Proxy) Judge(fate func(request []byte) Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate = fate
}

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// Refuse closes all connections and each new one at once, until it is called with
// false.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut = refuse; refuse {
		p.cut()
	}
}

func (p *Proxy) cut() {
	for c := range p.conns {
		_ = c.Close()
	}
}

// Hold lets nothing through until Release, without closing anything, like a
// network that has stopped to deliver.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
}

// Release is the end of Hold.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.held:
	default:
		close(p.held)
	}
}

func (p *Proxy) wait() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	<-held
}

func (p *Proxy) close() {
	_ = p.ln.Close()
	p.Release()
	p.Refuse(true)
	p.run.Wait()
}

// keep notes a connection, so that it can be cut; false: it is to be refused.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return !p.shut
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.run.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.drop(client)
	if !p.keep(client) {
		return
	}
	p.wait()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.keep(server) {
		return
	}
	lose := make(chan struct{}) // closed: answers are lost from now on
	var answers sync.WaitGroup
	answers.Go(func() { p.answers(client, server, lose) })
	p.requests(client, server, lose)
	_ = server.Close()
	answers.Wait()
}

func (p *Proxy) requests(client, server net.Conn, lose chan struct{}) {
	buf := make([]byte, 256<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		p.wait()
		p.mu.Lock()
		fate := Pass
		if p.fate != nil {
			fate = p.fate(buf[:n])
		}
		p.mu.Unlock()
		if fate == CutBefore {
			return
		}
		if fate == CutAnswer {
			close(lose)
		}
		if _, err := server.Write(buf[:n]); err != nil || fate == CutAfter {
			return
		}
		if fate == CutAnswer { // the response's reader closes the client
			_, _ = client.Read(buf)
			return
		}
	}
}

func (p *Proxy) answers(client, server net.Conn, lose chan struct{}) {
	defer client.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		p.wait()
		select {
		case <-lose:
			return
		default:
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}
