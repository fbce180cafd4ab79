package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/wire"
)

// checkProfiles loads the dialects that are switched on.
func (c *Config) checkProfiles() (err error) {
	if ttl := c.Profiles.TTL; ttl != 0 && (ttl < time.Second || ttl > profiles.MaxLifetime) {
		return fmt.Errorf("profile-ttl %s: must be between 1s and %s", ttl, profiles.MaxLifetime)
	}
	if c.profiles, err = profiles.Open(c.Profiles.Names...); err != nil {
		return err
	}
	for _, p := range c.profiles.Profiles {
		if c.Profiles.TTL > 0 {
			p.Lifetime = c.Profiles.TTL
		}
		p.Lifetime = min(p.Lifetime, c.IdleTTL) // no token outlives its session
	}
	return nil
}

// longestAccess is the lifetime of the access tokens that live longest.
func (c *Config) longestAccess() time.Duration {
	longest := c.AccessTTL
	for _, p := range c.profiles.Profiles {
		longest = max(longest, p.Lifetime)
	}
	return longest
}

// writeProblem is verify.Config.WriteProblem: APIs speak the dialect of the
// front-end that calls them, our own calls below base do not.
func (c *Config) writeProblem() func(http.ResponseWriter, *http.Request, wire.Problem) {
	if len(c.profiles.Profiles) == 0 {
		return nil
	}
	return func(w http.ResponseWriter, r *http.Request, p wire.Problem) {
		if !strings.HasPrefix(r.URL.Path, c.BasePath+"/") && c.profiles.Refuse(w, r, p) {
			return
		}
		w.Header().Set("Content-Type", wire.ContentTypeProblem)
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p) // the caller may be gone
	}
}

// known are the permissions of all roles; nil for users that are kept elsewhere.
func (a *App) known() func(context.Context) []string {
	if a.Config.Directory != nil {
		return nil
	}
	return func(ctx context.Context) []string {
		roles, err := a.Directory.Roles(ctx)
		if err != nil {
			a.Config.Logger.Warn("the roles can't be read; wildcards are not spelt out in a response to a front-end", "error", err)
			return nil
		}
		var out []string
		for _, r := range roles {
			out = append(out, r.Permissions...)
		}
		return out
	}
}
