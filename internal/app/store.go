package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/sqlite"
	"github.com/tacet-dev/tacet/internal/telemetry"
)

// Store is what an App needs of a store: that of a data directory, or a
// database that nodes share.
type Store interface {
	Sessions() session.Store
	Documents() documents.Store
	Events() events.Log
	// Check makes a durable write and looks for damage as far as it can.
	Check(ctx context.Context) error
	// Size is how many bytes the store takes on disk.
	Size() (int64, error)
	// Close waits for the writes that are under way.
	Close() error
}

// Hooks are what a store calls: Notify when events may have been committed,
// Elsewhere before a call returns that saw that others have written, Committed with
// the events that a call has committed, before it returns.
type Hooks struct {
	Notify, Elsewhere func()
	Committed         func([]events.Event)
}

// openStore opens the store that the configuration names. batch is told how many
// writes went together.
func openStore(ctx context.Context, c *Config, h Hooks, batch func(int)) (Store, error) {
	if c.OpenStore != nil {
		return c.OpenStore(h)
	}
	if c.Existing {
		if err := c.something(ctx); err != nil {
			return nil, err
		}
	}
	if c.DatabaseURL == "" {
		db, err := sqlite.Open(ctx, c.DataDir, sqlite.Options{Notify: h.Notify, Elsewhere: h.Elsewhere, Committed: h.Committed, Batch: batch, Clock: c.Clock})
		if err != nil {
			return nil, err // and not a nil *sqlite.DB
		}
		return db, nil
	}
	// The directory may be needed for the master key.
	if c.MasterKey == "" && c.MasterKeyFile == "" && !c.Existing {
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return nil, err
		}
	}
	opts := postgres.Options{Conns: c.DatabaseConns, Timeout: c.DatabaseTimeout, Notify: h.Notify, Elsewhere: h.Elsewhere, Committed: h.Committed, Batch: batch, Clock: c.Clock,
		ListenURL: c.DatabaseListenURL, Single: c.DatabaseRenewals == single, Logger: c.Logger}
	if c.Tracer != nil {
		opts.Tracer = telemetry.Statements(c.Tracer)
	}
	db, err := postgres.Open(ctx, c.DatabaseURL, opts)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// ComesBack reports whether a database that could not be opened may be well again
// without a change of settings.
func ComesBack(err error) bool {
	var s *store.Error
	if !errors.As(err, &s) {
		return false
	}
	switch s.Name() {
	case store.Unreachable, store.Timeout:
		return true
	case store.Busy, store.ReadOnly: // a standby, or too many connections
		return !errors.Is(err, sqlite.ErrReadOnly) && !errors.Is(err, sqlite.ErrBusy)
	}
	return false
}

// ErrNothing is wrapped when there is nothing yet where a store should be.
var ErrNothing = errors.New("there is nothing")

// something reports whether there is a store, and makes none.
func (c *Config) something(ctx context.Context) error {
	if c.DatabaseURL != "" {
		s, err := postgres.SchemaOf(ctx, c.DatabaseURL)
		if err == nil && s.Has == 0 {
			err = c.nothing()
		}
		return err
	}
	if info, err := os.Stat(c.DataDir); err == nil && !info.IsDir() {
		return nil // opening it says what is wrong
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, sqlite.FileName)); errors.Is(err, fs.ErrNotExist) {
		return c.nothing()
	}
	return nil
}

func (c *Config) nothing() error {
	return fmt.Errorf("%w in %s yet; tacet serve makes it, and so does tacet user add. If there should be something, check --data or --database-url", ErrNothing, c.Storage())
}

// checkDatabase fills in the database's URLs from their files and checks them.
func (c *Config) checkDatabase() error {
	errs := []error{databaseURL("database-url", &c.DatabaseURL, c.DatabaseURLFile), databaseURL("database-listen-url", &c.DatabaseListenURL, c.DatabaseListenURLFile)}
	if c.DatabaseURL == "" {
		if c.DatabaseListenURL != "" {
			errs = append(errs, errors.New("database-listen-url: say in database-url where the database is"))
		}
		return errors.Join(errs...)
	}
	if c.DatabaseRenewals != "" && c.DatabaseRenewals != "batch" && c.DatabaseRenewals != single {
		errs = append(errs, fmt.Errorf("database-renewals %q: it is batch or single", c.DatabaseRenewals))
	}
	if c.DatabaseConns != 0 && c.DatabaseConns < postgres.MinConns {
		errs = append(errs, fmt.Errorf("database-conns %d: at least %d are needed, two for renewals, one to listen and one for the rest", c.DatabaseConns, postgres.MinConns))
	}
	if c.DatabaseTimeout < 0 {
		errs = append(errs, fmt.Errorf("database-timeout %s: must be positive", c.DatabaseTimeout))
	}
	if c.DataDir == "" && c.MasterKey == "" && c.MasterKeyFile == "" {
		errs = append(errs, errors.New("with a database and without a data directory, the master key must be given: master-key-file, or TACET_MASTER_KEY"))
	}
	return errors.Join(errs...)
}

const single = "single" // of DatabaseRenewals

// databaseURL fills in a URL from its file, and checks it.
func databaseURL(name string, url *string, file string) error {
	if *url == "" && file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s-file can't be read: %w", name, err)
		}
		if *url = strings.TrimSpace(string(data)); *url == "" {
			return fmt.Errorf("%s-file %s is empty: put the URL in it, like postgres://user:password@host:5432/database", name, file)
		}
	}
	if *url == "" {
		return nil
	}
	if err := postgres.CheckURL(*url); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Storage says where the state is, for people and logs: the data directory, or
// host and name of the database.
func (c *Config) Storage() string {
	if c.DatabaseURL == "" {
		return c.DataDir
	}
	return postgres.Where(c.DatabaseURL)
}
