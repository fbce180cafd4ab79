package cli

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/telemetry"
)

type confCmd struct {
	Print    confPrintCmd    `cmd:"" help:"Print all settings as a YAML file, from flags, environment, file and defaults."`
	Validate confValidateCmd `cmd:"" help:"Check the settings as serve does, without starting anything."`
}

type confPrintCmd struct{ serveCmd }

// Run prints every setting of serve by its name. Secrets are not among them:
// they are read from the environment or from files of their own, and the
// password in a database's URL is left out.
func (c *confPrintCmd) Run(e *env, k *kong.Context) error {
	doc := &yaml.Node{Kind: yaml.MappingNode}
	for _, flags := range [][]*kong.Flag{k.Model.Flags, k.Selected().Flags} {
		for _, f := range flags {
			if f.Name == "help" || f.Name == "version" || f.Name == "config" {
				continue
			}
			key, value := &yaml.Node{}, &yaml.Node{}
			key.SetString(f.Name)
			v := k.FlagValue(f)
			if f.Name == "database-url" || f.Name == "database-listen-url" {
				v = withoutPassword(fmt.Sprint(v))
			}
			if s, ok := v.(fmt.Stringer); ok {
				v = s.String()
			}
			if err := value.Encode(v); err != nil {
				return fmt.Errorf("setting %s: %w", f.Name, err)
			}
			doc.Content = append(doc.Content, key, value)
		}
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(out)
	return err
}

func withoutPassword(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a valid URL)" // and nobody knows where its password is
	}
	q := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if q.Has(name) {
			q.Set(name, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}

type confValidateCmd struct{ serveCmd }

func (c *confValidateCmd) Run(e *env) error {
	url := c.PublicURL
	if url == "" {
		url = "http://" + c.Listen
	}
	errs := []error{checkAddress("listen", c.Listen), app.Validate(e.ctx, c.serverFlags.config(e, c.dataFlags, url))}
	if c.AdminListen != "" {
		errs = append(errs, checkAddress("admin-listen", c.AdminListen))
	}
	_, stop, err := telemetry.Traces(e.ctx, version(), e.log)
	if err == nil {
		stop(e.ctx)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return &usageError{err}
	}
	_, err = fmt.Fprintln(e.stdout, "the settings are valid")
	return err
}
