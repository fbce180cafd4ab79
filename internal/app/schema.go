package app

import (
	"context"

	"github.com/tacet-dev/tacet/internal/store/postgres"
)

// Schema is the state of a database's schema.
type Schema = postgres.Schema

// MigrateUp brings the schema of the configured database up to date.
func MigrateUp(ctx context.Context, c Config) (Schema, error) {
	if err := postgres.Migrate(ctx, c.DatabaseURL); err != nil {
		return Schema{}, err
	}
	return SchemaOf(ctx, c)
}

// MigrateDown takes it back to an older version.
func MigrateDown(ctx context.Context, c Config, version int64) error {
	return postgres.MigrateDown(ctx, c.DatabaseURL, version)
}

// SchemaOf reads which version it has.
func SchemaOf(ctx context.Context, c Config) (Schema, error) {
	return postgres.SchemaOf(ctx, c.DatabaseURL)
}
