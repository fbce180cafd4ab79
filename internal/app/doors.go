package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/doors"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
)

func (a *App) openDoors() {
	cfg := doors.Config{Store: a.documents, Sessions: a.Sessions, Client: a.sessionClient, Logger: a.Config.Logger}
	if a.Config.Directory == nil {
		cfg.UserID = a.userID
	}
	a.Doors = doors.New(cfg)
}

// sessionClient is doors.Config.Client.
func (a *App) sessionClient(ctx context.Context, id string) (session.Client, session.Details, error) {
	c, limits, err := a.OAuth.SessionClient(ctx, id)
	if errors.Is(err, oauth.ErrNotFound) {
		err = doors.ErrNoClient
	}
	return c, limits, err
}

// userID is doors.Config.UserID of the embedded directory.
func (a *App) userID(ctx context.Context, username string) (string, error) {
	u, err := a.Accounts.UserByName(ctx, username)
	switch {
	case errors.Is(err, directory.ErrNotFound), errors.As(err, new(*directory.InvalidError)):
		return "", fmt.Errorf("%w: %w", session.ErrNoUser, err)
	case err != nil:
		return "", err
	}
	return u.ID, nil
}
