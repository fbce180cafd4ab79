package cli

import (
	"context"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
)

// serveAdmin serves operators on ln until ctx is done: metrics, whether the
// server lives and is ready, and profiles of the running program. It is never
// reachable where users are.
func serveAdmin(ctx context.Context, e *env, a *app.App, ln net.Listener) error {
	srv := &http.Server{Handler: adminHandler(a), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	e.log.Info("metrics are served", "addr", ln.Addr().String(), "path", "/metrics")
	err := srv.Serve(ln)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func adminHandler(a *app.App) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.Metrics.Handler())
	mux.Handle("GET /livez", a.Handler)
	mux.Handle("GET /readyz", a.Handler)
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle(path, h)
	}
	return mux
}
