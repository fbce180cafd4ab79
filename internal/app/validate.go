package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
)

// Validate reports what keeps a server with these settings from starting, without
// touching its data: it puts an App together on an empty store of its own. What
// it can't know is whether the database responds, and what is in it.
func Validate(ctx context.Context, cfg Config) (err error) {
	if err := cfg.Normalize(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tacet-validate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg.DataDir, cfg.DatabaseURL, cfg.DatabaseURLFile = dir, "", ""
	cfg.Logger = slog.New(slog.DiscardHandler) // Normalize has said what there is to say
	a, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	return a.Close()
}
