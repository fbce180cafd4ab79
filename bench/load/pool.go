package load

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
)

// AdoptSpec gives a generator sessions that it did not sign in: one refresh
// token a line. Clients then renew sessions of this pool, each time any of those
// that no other client renews.
type AdoptSpec struct {
	File string `json:"file"`
}

// Adopt reads the pool.
func (g *Generator) Adopt(spec AdoptSpec) error {
	f, err := os.Open(spec.File)
	if err != nil {
		return err
	}
	defer f.Close()
	g.pool = g.pool[:0]
	for lines := bufio.NewScanner(f); lines.Scan(); {
		g.pool = append(g.pool, session{n: len(g.pool), token: lines.Text()})
	}
	if len(g.pool) == 0 {
		return fmt.Errorf("%s holds no tokens", spec.File)
	}
	return nil
}

// Keep writes the pool down as it is now.
func (g *Generator) Keep(spec AdoptSpec) error {
	f, err := os.OpenFile(spec.File, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	for _, s := range g.pool {
		fmt.Fprintln(out, s.token)
	}
	return out.Flush()
}

// ready makes clients for a run.
func (g *Generator) ready(clients int) error {
	if g.pool == nil {
		if clients > len(g.clients) {
			return fmt.Errorf("%d clients need as many sessions; %d are signed in", clients, len(g.clients))
		}
		return nil
	}
	if clients > len(g.pool) {
		return fmt.Errorf("%d clients cannot share %d sessions", clients, len(g.pool))
	}
	for len(g.clients) < clients {
		g.clients = append(g.clients, &client{conn: conn{addr: g.cfg.Addr}})
	}
	return nil
}

// next is the session that client i of n renews next: its own, or any of its
// share of the pool.
func (g *Generator) next(i, n int) *session {
	if g.pool == nil {
		return &g.clients[i].session
	}
	share := (len(g.pool) - i + n - 1) / n
	return &g.pool[i+n*rand.IntN(share)]
}
