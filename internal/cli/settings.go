package cli

import (
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/config"
)

// dataFlags say where the state is. All commands have them.
type dataFlags struct {
	Data          string `group:"Where the data is:" help:"Data directory of the embedded store; made if missing (${default})." placeholder:"DIR" default:"tacet-data" type:"path"`
	MasterKeyFile string `group:"Where the data is:" help:"File with the master key that seals the key ring (default: master.key in the data directory, made with mode 0600). The key itself may be given in TACET_MASTER_KEY." placeholder:"FILE" type:"path"`

	DatabaseURL     string        `group:"Where the data is:" name:"database-url" help:"Keep everything in this PostgreSQL database, which several nodes may share: postgres://user:password@host:5432/database?sslmode=verify-full. A command line shows in the list of processes: better say it in TACET_DATABASE_URL or in a file." placeholder:"URL"`
	DatabaseURLFile string        `group:"Where the data is:" name:"database-url-file" help:"File that holds database-url." placeholder:"FILE" type:"path"`
	DatabaseConns   int           `group:"Where the data is:" help:"Connections that this node opens to the database at most (${default})." placeholder:"N" default:"12"`
	DatabaseTimeout time.Duration `group:"Where the data is:" help:"How long one call to the database may take (${default})." placeholder:"TIME" default:"5s"`
}

// serverFlags are the settings of a running server: those of app.Config and of
// its wings.
type serverFlags struct {
	app.Config `embed:""`
}

// config is the configuration of a server on the data that d names.
func (f *serverFlags) config(e *env, d dataFlags, publicURL string) app.Config {
	c := f.Config
	d.set(e, &c)
	c.PublicURL = publicURL
	secret, _ := e.lookup(config.EnvName("oidc-client-secret"))
	c.Providers = c.Provider.Providers(secret)
	return c
}

// config is enough to open the data directory for a tool. A tool serves
// nobody, so any public URL will do.
func (d dataFlags) config(e *env) app.Config {
	c := app.Config{PublicURL: "http://localhost"}
	d.set(e, &c)
	return c
}

// set fills in where the state is, and what comes from the environment alone.
func (d dataFlags) set(e *env, c *app.Config) {
	c.Version, c.Logger = version(), e.log
	c.DataDir, c.DatabaseURL, c.DatabaseURLFile = d.Data, d.DatabaseURL, d.DatabaseURLFile
	c.DatabaseConns, c.DatabaseTimeout = d.DatabaseConns, d.DatabaseTimeout
	c.MasterKey, _ = e.lookup(config.EnvName("master-key"))
	c.MasterKeyFile = d.MasterKeyFile
	c.FeedToken, _ = e.lookup(config.EnvName("feed-token"))
}

// with opens what there is, runs f and closes it again. Where there is nothing it
// makes nothing.
func (d dataFlags) with(e *env, f func(*app.App) error) error {
	c := d.config(e)
	c.Existing = true
	return open(e, c, f)
}

// making is with for commands that may be the first.
func (d dataFlags) making(e *env, f func(*app.App) error) error { return open(e, d.config(e), f) }

func open(e *env, c app.Config, f func(*app.App) error) (err error) {
	a, err := app.Open(e.ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := a.Close(); err == nil {
			err = cerr
		}
	}()
	return f(a)
}

// outputFlag is on commands that print a list.
type outputFlag struct {
	Output string `help:"Form of the list: ${enum}." enum:"table,json" default:"table" short:"o"`
}
