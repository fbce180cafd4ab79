package cli

import (
	"net"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/tacet-dev/tacet/internal/app"
)

type serveCmd struct {
	Listen    string `help:"Address to listen on (${default})." placeholder:"ADDR" default:"127.0.0.1:8080"`
	PublicURL string `name:"public-url" help:"URL under which browsers reach the server; iss of the tokens (default: http:// and the address listened on, if that is loopback)." placeholder:"URL"`
	dataFlags
	serverFlags
}

func (c *serveCmd) Run(e *env) error {
	ln, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	a, err := app.Open(e.ctx, c.serverFlags.config(e, c.dataFlags, publicURL(c.PublicURL, ln)))
	if err != nil {
		return err
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

func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &usageError{err}
	}
	return ln, nil
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
	err := app.Serve(e.ctx, ln, h, e.log, a.Gateway.Close)
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		e.log.Info("stopped; every acknowledged write is on disk")
	}
	return err
}
