package app

import (
	"context"

	"github.com/tacet-dev/tacet/internal/store/postgres"
)

// Schema is the state of a database's schema.
type Schema = postgres.Schema

// Databases are the URLs of all PostgreSQL databases of a configuration, the one
// with users, roles and keys first.
func (c *Config) Databases() []string {
	if c.DatabaseURL == "" {
		return nil
	}
	return append([]string{c.DatabaseURL}, c.ShardURLs...)
}

// MigrateUp brings the schema of one of the databases up to date.
func MigrateUp(ctx context.Context, url string) (Schema, error) {
	if err := postgres.Migrate(ctx, url); err != nil {
		return Schema{}, err
	}
	return SchemaOf(ctx, url)
}

// MigrateDown takes it back to an older version.
func MigrateDown(ctx context.Context, url string, version int64) error {
	return postgres.MigrateDown(ctx, url, version)
}

// SchemaOf reads which version it has.
func SchemaOf(ctx context.Context, url string) (Schema, error) {
	return postgres.SchemaOf(ctx, url)
}

// Where names one of the databases, without user and password.
func Where(url string) string { return postgres.Where(url) }
