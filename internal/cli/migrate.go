package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/keys"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" default:"withargs" help:"Bring the schema of the PostgreSQL database up to date (servers do so when they start, if they may)."`
	Status migrateStatusCmd `cmd:"" help:"Print the version of the schema, and that of this program."`
	Down   migrateDownCmd   `cmd:"" help:"Take the schema back to an older version, for an older program."`
	Copy   migrateCopyCmd   `cmd:"" help:"Copy everything from an embedded store to a PostgreSQL database. An interrupted copy continues when it is started again."`
}

// database is the configuration with its URL, which the migrate commands need.
func (d dataFlags) database(e *env) (app.Config, error) {
	c := d.config(e)
	if err := c.Normalize(); err != nil {
		return c, &usageError{err}
	}
	if c.DatabaseURL == "" {
		return c, &usageError{errors.New("name the database with --database-url, --database-url-file or TACET_DATABASE_URL; the embedded store is brought up to date whenever it is opened")}
	}
	return c, nil
}

type migrateUpCmd struct{ dataFlags }

func (c *migrateUpCmd) Run(e *env) error {
	cfg, err := c.database(e)
	if err != nil {
		return err
	}
	s, err := app.MigrateUp(e.ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s: the schema has version %d\n", cfg.Storage(), s.Has)
	return err
}

type migrateStatusCmd struct{ dataFlags }

func (c *migrateStatusCmd) Run(e *env) error {
	cfg, err := c.database(e)
	if err != nil {
		return err
	}
	s, err := app.SchemaOf(e.ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s: the schema has version %d, this program has %d: %s\n", cfg.Storage(), s.Has, s.Knows, compatibility(s))
	return err
}

// compatibility says who can run on a schema.
func compatibility(s app.Schema) string {
	others := ""
	if s.From > 0 && s.From < s.Has {
		others = fmt.Sprintf("; so can older ones that have %d or more", s.From)
	}
	switch {
	case s.Has == s.Knows:
		return "up to date" + others
	case s.Has < s.Knows:
		return "tacet migrate, or the start of a server, brings it up to date"
	case s.Runs():
		return "newer, and this program can run on it" + others
	}
	return "too new for this program; run the newer one, or take the schema back with it (tacet migrate down)"
}

type migrateDownCmd struct {
	To         int64 `help:"The version to go back to (its program's tacet migrate status says it). 0 deletes everything." required:"" placeholder:"VERSION"`
	DeleteData bool  `help:"Needed to go back to version 0, which deletes all users and sessions."`
	dataFlags
}

func (c *migrateDownCmd) Run(e *env) error {
	cfg, err := c.database(e)
	if err != nil {
		return err
	}
	if c.To == 0 && !c.DeleteData {
		return &usageError{errors.New("version 0 is the empty database: say --delete-data if all users and sessions are to be deleted")}
	}
	if err := app.MigrateDown(e.ctx, cfg.DatabaseURL, c.To); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s: the schema has version %d\n", cfg.Storage(), c.To)
	return err
}

type migrateCopyCmd struct {
	From string `help:"What to copy: sqlite: and the data directory. No server may be running on it." required:"" placeholder:"sqlite:DIR"`
	To   string `help:"Where to: the URL of an empty PostgreSQL database (default: database-url)." placeholder:"postgres://…"`
	dataFlags
}

func (c *migrateCopyCmd) Run(e *env) error {
	dir, ok := strings.CutPrefix(c.From, "sqlite:")
	if !ok || dir == "" {
		return &usageError{fmt.Errorf("--from %q: must be sqlite: and a data directory, like sqlite:tacet-data", c.From)}
	}
	if c.To != "" {
		c.DatabaseURL = c.To
	}
	cfg, err := c.database(e)
	if err != nil {
		return err
	}
	bar := &bars{e: e, unit: "sessions"}
	copied, err := app.Copy(e.ctx, app.CopyOptions{From: dir, To: cfg.DatabaseURL, Timeout: cfg.DatabaseTimeout, Progress: bar.progress})
	bar.end()
	if e.ctx.Err() != nil {
		return fmt.Errorf("broken off; start it again to go on: %w", e.ctx.Err())
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "copied to %s and compared: %d sessions, %d users, %d roles, %d clients, %d keys, %d events; checksum %s\n",
		cfg.Storage(), copied.Sessions, copied.Users, copied.Roles, copied.Clients, copied.Keys, copied.Events, copied.Sum)
	if err == nil && cfg.MasterKey == "" && cfg.MasterKeyFile == "" {
		_, err = fmt.Fprintf(e.stdout, "The key ring stays sealed under its master key: give every server %s (--master-key-file), or its content as TACET_MASTER_KEY.\n",
			filepath.Join(dir, keys.MasterFile))
	}
	return err
}

// bars show how far something is, one for each step, to whoever sits at a terminal.
type bars struct {
	e    *env
	unit string
	step string
	bar  *progressbar.ProgressBar
}

func (b *bars) progress(step string, done, total int64) {
	if f, ok := b.e.stderr.(*os.File); !ok || !isatty.IsTerminal(f.Fd()) {
		return
	}
	if step != b.step {
		b.end()
		if total == 0 {
			total = -1 // not known: a spinner
		}
		b.step, b.bar = step, progressbar.NewOptions64(total, progressbar.OptionSetWriter(b.e.stderr), progressbar.OptionSetDescription(step),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(b.unit),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30))
	}
	_ = b.bar.Set64(done) // a bar that cannot be drawn must not stop it
}

func (b *bars) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
		fmt.Fprintln(b.e.stderr)
	}
	b.bar = nil
}
