package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// shutdownTimeout is how long requests that are running may take to end.
const shutdownTimeout = 20 * time.Second

// Serve serves requests on ln with h, which passes them to a.Handler, until ctx
// is done; then it takes no new connections and lets the requests that are running
// end. What callers can hold open is bounded.
func (a *App) Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	all := min(maxConns, openFiles()/4*3) // the rest is for the database, upstreams and files
	return a.serve(ctx, limit(ln, connLimits{all: all, ofAddress: all / 4, exempt: a.speaksForMany, stall: writeStall}, a.Config.Logger), h)
}

// speaksForMany reports whether connections of an address may be those of many
// callers.
func (a *App) speaksForMany(addr netip.Addr) bool {
	return addr.IsLoopback() || slices.ContainsFunc(a.Config.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (a *App) serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	log := a.Config.Logger
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	srv.RegisterOnShutdown(a.Gateway.Close) // its streams would not end
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	log.Info("stopping; waiting for running requests", "at_most", shutdownTimeout.String())
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		_ = srv.Close()
		return fmt.Errorf("requests were still running after %s and were cut: %w", shutdownTimeout, err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
