package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/verify"
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
			a.Config.Logger.Warn("the roles can't be read; wildcards are not spelt out in an answer to a front-end", "error", err)
			return nil
		}
		var out []string
		for _, r := range roles {
			out = append(out, r.Permissions...)
		}
		return out
	}
}

// issued is a verifier for signing out: the token may have expired, and its
// session may be over. cfg is that of App.Verifier.
func issued(cfg verify.Config) func(context.Context, string) (*verify.Token, error) {
	cfg.Liveness, cfg.Remember = nil, -1
	return func(ctx context.Context, raw string) (*verify.Token, error) {
		end, ok := expiryOf(raw)
		if !ok {
			return nil, verify.ErrMalformed
		}
		then := cfg
		// Its last second. What it says of its end is not believed: a token
		// with another end has no good signature.
		then.Clock = func() time.Time { return end.Add(-time.Second) }
		v, err := verify.New(then)
		if err != nil {
			return nil, err
		}
		return v.Verify(ctx, raw)
	}
}

func expiryOf(raw string) (time.Time, bool) {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		ExpiresAt int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(data, &claims) != nil || claims.ExpiresAt <= 0 {
		return time.Time{}, false
	}
	return time.Unix(claims.ExpiresAt, 0), true
}
