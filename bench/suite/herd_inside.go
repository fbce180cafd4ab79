package suite

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
)

// insideHerds are herds on the session service itself: what of a herd is not
// HTTP, JSON and the scheduling of connections.
type insideHerds struct {
	app     *app.App
	token   string // the next to present
	contact session.Contact
}

func (e *Env) newInsideHerds(ctx context.Context) (h *insideHerds, err error) {
	dir, err := e.tempDir("inside")
	if err != nil {
		return nil, err
	}
	h = &insideHerds{contact: session.Contact{Address: netip.MustParseAddr("127.0.0.1"), UserAgent: "tacet-bench"}}
	h.app, err = app.Open(ctx, app.Config{PublicURL: "http://localhost", DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	user, err := h.app.Directory.Add(ctx, directory.NewUser{Name: benchUser, Password: benchPassword})
	if err == nil {
		var g session.Grant
		g, err = h.app.Sessions.Start(ctx, session.SignIn{UserID: user.ID, Client: session.Client{ID: "tacet-web"}, Contact: h.contact})
		h.token = g.RefreshToken
	}
	if err != nil {
		h.app.Close()
		return nil, err
	}
	return h, nil
}

// meet presents one token n times at once, times over, and returns the CPU time
// of one herd in milliseconds.
func (h *insideHerds) meet(ctx context.Context, n, times int) (float64, error) {
	before := ownCPU()
	for range times {
		answers, errs := make([]string, n), make([]error, n)
		var together sync.WaitGroup
		gate := make(chan struct{})
		for i := range n {
			together.Go(func() {
				<-gate
				answers[i], errs[i] = h.present(ctx)
			})
		}
		close(gate)
		together.Wait()
		for _, err := range errs {
			if err != nil {
				return 0, fmt.Errorf("a herd inside: %w", err)
			}
		}
		if err := oneMove(answers); err != nil {
			return 0, fmt.Errorf("a herd inside: %w", err)
		}
		h.token = answers[0]
	}
	return float64((ownCPU() - before).Microseconds()) / 1e3 / float64(times), nil
}

func (h *insideHerds) present(ctx context.Context) (string, error) {
	t, err := h.app.Sessions.Open(ctx, h.token)
	if err != nil {
		return "", err
	}
	g, err := h.app.Sessions.Refresh(ctx, session.Presentation{Token: t, Contact: h.contact})
	return g.RefreshToken, err
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // for a wrong argument only
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
