package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/demo"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/profiles"
)

type devCmd struct {
	Listen    string        `help:"Address to listen on (${default})." placeholder:"ADDR" default:"127.0.0.1:8080"`
	PublicURL string        `name:"public-url" help:"URL under which browsers reach the server." placeholder:"URL"`
	Data      string        `help:"Data directory (default: a temporary one, removed at the end)." placeholder:"DIR" type:"path"`
	Expose    bool          `name:"expose-demo-passwords" help:"Listen on an address that others can reach, although everybody knows the demo's passwords."`
	AccessTTL time.Duration `name:"access-ttl" help:"Lifetime of an access token (${default})." placeholder:"TIME" default:"10s"`
}

// demoUsers are the two people of the demo and what they may do.
var demoUsers = []struct {
	user        directory.NewUser
	role        string
	permissions []string
}{
	{directory.NewUser{Name: "alice", Password: "alice-password", DisplayName: "Alice", Roles: []string{"admin"}}, "admin", []string{"admin:*", "orders:*"}},
	{directory.NewUser{Name: "bob", Password: "bob-password", DisplayName: "Bob", Roles: []string{"viewer"}}, "viewer", []string{"orders:read"}},
}

func (c *devCmd) Run(e *env) (err error) {
	ln, err := listen("listen", c.Listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	if err := c.checkExposure(e, ln.Addr()); err != nil {
		return err
	}
	dir := c.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tacet-dev-"); err != nil {
			return fmt.Errorf("make a temporary data directory: %w; or name one with --data", err)
		}
		defer os.RemoveAll(dir)
	}
	cfg := dataFlags{Data: dir}.config(e)
	cfg.PublicURL = publicURL(c.PublicURL, ln)
	cfg.AccessTTL = c.AccessTTL
	cfg.Profiles.Names, cfg.Profiles.TTL = profiles.Together(), c.AccessTTL
	unlock, err := lockData(cfg)
	if err != nil {
		return err
	}
	defer unlock()
	var decisions demo.Decisions
	cfg.Observe = decisions.Observe
	a, err := app.Open(e.ctx, cfg)
	if err != nil {
		return err
	}
	if err := addDemoUsers(e, a); err != nil {
		return errors.Join(err, a.Close())
	}
	fmt.Fprintf(e.stderr, "\n  Tacet demo: %s\n  alice / alice-password (admin), bob / bob-password (viewer)\n\n", cfg.PublicURL)
	page, err := demo.New(demo.Config{
		Auth: a.Handler, Protect: a.Verifier.Middleware, Decisions: &decisions,
		BasePath: a.Config.BasePath, AccessTTL: a.Config.AccessTTL, Overlap: *a.Config.Overlap,
		Version: version(), Logger: e.log,
	})
	if err != nil {
		return errors.Join(err, a.Close())
	}
	// Its streams would keep a graceful stop waiting.
	defer context.AfterFunc(e.ctx, page.Close)()
	return run(e, a, c.onlyHosts(page), ln)
}

// checkExposure refuses to show the demo to a network: the passwords of its
// administrator are known.
func (c *devCmd) checkExposure(e *env, on net.Addr) error {
	addr, err := netip.ParseAddrPort(on.String())
	if err == nil && addr.Addr().IsLoopback() {
		return nil
	}
	if !c.Expose {
		return &usageError{fmt.Errorf("--listen %s: others could reach the demo there, and everybody knows its passwords: listen on 127.0.0.1, or say --expose-demo-passwords if that is what you want", c.Listen)}
	}
	fmt.Fprintf(e.stderr, "\n  WARNING: everybody who reaches %s can sign in as an administrator: the passwords of this demo are known.\n", on)
	return nil
}

// onlyHosts refuses requests for hosts that are not this one, in which a page of
// another site has made its own name lead here (DNS rebinding).
func (c *devCmd) onlyHosts(h http.Handler) http.Handler {
	public, _ := url.Parse(c.PublicURL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		ip, err := netip.ParseAddr(host)
		loopback := err == nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
		if loopback || err == nil && c.Expose || public != nil && public.Host != "" && strings.EqualFold(host, public.Hostname()) {
			h.ServeHTTP(w, r)
			return
		}
		http.Error(w, "tacet dev serves localhost and 127.0.0.1 only, and for the host of --public-url.", http.StatusMisdirectedRequest)
	})
}

func addDemoUsers(e *env, a *app.App) error {
	for _, d := range demoUsers {
		if err := a.Directory.AddRole(e.ctx, d.role, d.permissions...); err != nil && !errors.Is(err, directory.ErrExists) {
			return err
		}
		if _, err := a.Directory.Add(e.ctx, d.user); err != nil && !errors.Is(err, directory.ErrExists) {
			return err
		}
	}
	return nil
}
