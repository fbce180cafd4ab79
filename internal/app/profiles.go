package app

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/wire"
)

// checkProfiles loads the dialects that are switched on.
func (c *Config) checkProfiles() (err error) {
	c.profiles, err = profiles.Open(c.Profiles.Names...)
	return err
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
