package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/gateway"
	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

func (c *Config) checkGateway() error {
	g := c.Gateway
	if g.UpstreamTimeout < time.Millisecond {
		return fmt.Errorf("upstream-timeout %s: must be longer than nothing; it is how long an API may take to begin its response, like 1m", g.UpstreamTimeout)
	}
	e := &c.Encryption
	e.Encryption = e.Encryption || len(e.Encrypt) > 0
	if len(g.Upstreams)+len(g.Require)+len(g.Public)+len(e.Encrypt) == 0 {
		return nil
	}
	table, warnings, err := gateway.NewTable(gateway.Rules{
		Upstreams: g.Upstreams, Require: g.Require, Public: g.Public, Encrypt: e.Encrypt,
		Base: c.BasePath, Own: httpapi.OwnPaths,
	})
	for _, w := range warnings {
		c.Logger.Warn(w)
	}
	c.gateway = table
	return err
}

func (a *App) openGateway() {
	c := &a.Config
	if c.gateway == nil {
		return
	}
	cfg := gateway.Config{
		Table:    c.gateway,
		Verifier: a.Verifier,
		Liveness: a.Live,
		Session:  a.expiry,
		Trusted:  func(r *http.Request) bool { return httpapi.FromTrusted(c.proxies, r) },
		Scheme:   c.publicURL.Scheme,
		CORS:     len(c.CORSOrigins) > 0,
		Timeout:  c.Gateway.UpstreamTimeout,
		Recheck:  c.longestAccess(),
		Clock:    c.Clock,
		Logger:   c.Logger,
	}
	if c.Gateway.IdentitySignature {
		cfg.Sign = func(claims wire.AccessClaims) (string, error) {
			return a.Keys.SignAs(wire.IdentityTokenType, claims)
		}
	}
	a.Gateway = gateway.New(cfg)
}

// expiry is gateway.Config.Session.
func (a *App) expiry(ctx context.Context, id string) (time.Time, error) {
	sid, err := rotation.ParseSessionID(id)
	if err != nil {
		return time.Time{}, gateway.ErrSessionOver
	}
	sess, err := a.Sessions.Living(ctx, sid)
	if errors.As(err, new(*session.Refusal)) {
		return time.Time{}, gateway.ErrSessionOver
	}
	if err != nil {
		return time.Time{}, err
	}
	return a.Sessions.ExpiresAt(sess), nil
}
