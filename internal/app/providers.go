package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/idp"
)

// checkProviders is the rule for Config.Providers.
func (c *Config) checkProviders() error {
	var errs []error
	seen := map[string]bool{}
	for i := range c.Providers {
		p := &c.Providers[i]
		p.InsecureHTTP = p.InsecureHTTP || c.InsecureHTTP
		errs = append(errs, readSecret(p), p.Check())
		if seen[p.ID] {
			errs = append(errs, fmt.Errorf("oidc-id %q is that of two providers", p.ID))
		}
		seen[p.ID] = true
	}
	if len(c.Providers) > 0 && c.Directory != nil && c.ProviderUsers == nil {
		errs = append(errs, errors.New("sign-in at an identity provider needs the embedded directory, or a directory of your own that takes its people in"))
	}
	return errors.Join(errs...)
}

// readSecret fills in a client secret from its file.
func readSecret(p *idp.Settings) error {
	if p.ClientSecret != "" || p.ClientSecretFile == "" {
		return nil
	}
	data, err := os.ReadFile(p.ClientSecretFile)
	if err != nil {
		return fmt.Errorf("oidc-client-secret-file can't be read: %w", err)
	}
	if p.ClientSecret = strings.TrimSpace(string(data)); p.ClientSecret == "" {
		return fmt.Errorf("oidc-client-secret-file %s is empty: put the secret in it that the provider gave to the client", p.ClientSecretFile)
	}
	return nil
}

// ProviderCallback is the URL to which a provider sends browsers back.
func (c *Config) ProviderCallback(id string) string {
	return c.Issuer() + idp.CallbackPath(c.BasePath, id)
}

func (a *App) openProviders() {
	if len(a.Config.Providers) == 0 {
		return
	}
	users := a.Config.ProviderUsers
	if users == nil {
		users = embedded{a.Directory}
	}
	a.Providers = idp.New(idp.Config{
		Providers: a.Config.Providers,
		Callback:  a.Config.ProviderCallback,
		Users:     users,
		Sessions:  a.Sessions,
		Sealer:    a.Keys,
		Clock:     a.Config.Clock,
		Rand:      rand.Reader,
		Logger:    a.Config.Logger,
	})
}

// Receive is idp.Users.
func (e embedded) Receive(ctx context.Context, p directory.Person) (directory.User, error) {
	u, err := e.Directory.Receive(ctx, p)
	switch {
	case errors.Is(err, directory.ErrDisabled):
		return u, idp.ErrDisabled
	case err != nil:
		return u, idp.Outage(err)
	}
	return u, nil
}
