package cli

import (
	"errors"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/idp"
)

// checkProviders looks whether identity providers can be reached from here, and
// says what must be registered there.
func checkProviders(e *env, cfg app.Config) (out []finding) {
	const check = "identity provider"
	for _, p := range cfg.Providers {
		f := finding{check, statusOK, p.Name + " answers", "register " + cfg.ProviderCallback(p.ID) + " there"}
		if err := idp.Probe(e.ctx, p); err != nil {
			var down *idp.DownError
			if errors.As(err, &down) {
				err = down.Err
			}
			f = finding{check, statusFail, p.Name + " can't be used: " + err.Error(), "compare oidc-issuer with what the provider writes, and look whether this machine may call it"}
		}
		out = append(out, f)
	}
	return out
}
