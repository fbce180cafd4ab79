package app

import (
	"context"

	"github.com/tacet-dev/tacet/internal/store/postgres"
)

// Schema is the state of a database's schema.
type Schema = postgres.Schema

// MigrateUp brings the schema of the database up to date.
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
