package cli

import (
	"context"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/telemetry"
)

// tracesTimeout bounds what a server that stops does for its last spans.
const tracesTimeout = 3 * time.Second

type serveCmd struct {
	Listen      string `help:"Address to listen on (${default})." placeholder:"ADDR" default:"127.0.0.1:8080"`
	PublicURL   string `name:"public-url" help:"URL under which browsers reach the server; iss of the tokens (default: http:// and the address listened on, if that is loopback)." placeholder:"URL"`
	AdminListen string `help:"Serve metrics (/metrics), /livez, /readyz and profiles on this address, which only operators should reach; without it there are no metrics." placeholder:"ADDR"`
	dataFlags
	serverFlags
}

func (c *serveCmd) Run(e *env) error {
	ln, err := listen("listen", c.Listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	var admin net.Listener
	if c.AdminListen != "" {
		if admin, err = listen("admin-listen", c.AdminListen); err != nil {
			return err
		}
		defer admin.Close()
	}
	cfg := c.serverFlags.config(e, c.dataFlags, publicURL(c.PublicURL, ln))
	tracer, stopTraces, err := telemetry.Traces(e.ctx, cfg.Version, e.log)
	if err != nil {
		return &usageError{err}
	}
	defer func() { // what is left is sent, if that does not take long
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), tracesTimeout)
		defer cancel()
		stopTraces(ctx)
	}()
	cfg.Tracer = tracer
	unlock, err := lockData(cfg)
	if err != nil {
		return err
	}
	defer unlock()
	a, err := openPatiently(e, cfg, ln)
	if err != nil {
		return err
	}
	if admin != nil {
		ctx, stop := context.WithCancel(context.WithoutCancel(e.ctx))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := serveAdmin(ctx, e, a, admin); err != nil {
				e.log.Error("metrics are not served any more", "error", err)
			}
		}()
		defer func() { stop(); <-ended }() // after the last request: a stop shows in the metrics too
	}
	return run(e, a, a.Handler, ln)
}

// publicURL is the one that was set, or that of the address listened on. What
// is not loopback is then refused, because it is plain http.
func publicURL(set string, ln net.Listener) string {
	if set != "" {
		return set
	}
	return "http://" + ln.Addr().String()
}

// run serves until the program is told to stop, then lets running requests end.
func run(e *env, a *app.App, h http.Handler, ln net.Listener) error {
	// The live heap is a few megabytes, next to which collecting at twice that
	// costs 5 % of the CPU of a renewal. GOGC, where set, has the last word.
	if _, set := e.lookup("GOGC"); !set {
		debug.SetGCPercent(400)
	}
	a.Start()
	e.log.Info("listening", "addr", ln.Addr().String(), "public_url", a.Config.Issuer(), "base_path", a.Config.BasePath, "data", a.Config.Storage(), "pid", os.Getpid())
	err := a.Serve(e.ctx, ln, h)
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		e.log.Info("stopped; every acknowledged write is on disk")
	}
	return err
}
