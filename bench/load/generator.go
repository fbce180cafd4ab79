// Package load is the load generator of the benchmark. It runs in its own
// process ([Serve]), which the benchmark commands over stdin and stdout
// ([Remote]).
package load

import (
	"fmt"
	"sync"
)

// Config says which server to load.
type Config struct {
	Addr    string  `json:"addr"` // host:port
	Pids    []int   `json:"pids"` // the server's processes, whose usage is read
	Dialect Dialect `json:"dialect"`
}

// Generator holds the sessions of one server between runs, so that every run
// goes on where the last one ended.
type Generator struct {
	cfg     Config
	clients []*client
	pool    []session // nil: every client has a session of its own
}

// client is one browser: a session and a connection.
type client struct {
	session session
	conn    conn
}

// Configure points the generator at a server. Sessions are kept: a server that
// was restarted has to know them still.
func (g *Generator) Configure(cfg Config) {
	g.cfg = cfg
	for _, c := range g.clients {
		c.conn.close()
		c.conn.addr = cfg.Addr
	}
}

// SignIn starts sessions until there are n, at most parallel at a time.
func (g *Generator) SignIn(n, parallel int) error {
	missing := make([]*client, max(0, n-len(g.clients)))
	for i := range missing {
		missing[i] = &client{session: session{n: len(g.clients) + i}, conn: conn{addr: g.cfg.Addr}}
	}
	errs := make([]error, len(missing))
	turns := make(chan struct{}, max(1, parallel))
	var wg sync.WaitGroup
	for i, c := range missing {
		turns <- struct{}{}
		wg.Go(func() {
			errs[i] = c.exchange(&g.cfg.Dialect, &g.cfg.Dialect.Login, &c.session)
			c.conn.close()
			<-turns
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
	}
	g.clients = append(g.clients, missing...)
	return nil
}

func (c *client) renew(d *Dialect, s *session) error { return c.exchange(d, &d.Refresh, s) }

func (c *client) exchange(d *Dialect, e *Exchange, s *session) error {
	a, err := c.conn.roundTrip(e, s)
	if err != nil {
		return err
	}
	return d.take(s, a)
}
