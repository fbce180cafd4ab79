package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
)

type userShowCmd struct {
	nameArg
	outputFlag
}

func (c *userShowCmd) Run(e *env) error {
	return c.withUser(e, func(a *app.App, u directory.User) error {
		roles, err := a.Directory.Roles(e.ctx)
		if err != nil {
			return err
		}
		sessions, err := a.Sessions.List(e.ctx, u.ID)
		if err != nil {
			return err
		}
		shown := struct {
			userEntry
			Issuer      string   `json:"issuer,omitempty"`
			Permissions []string `json:"permissions"`
			Sessions    int      `json:"sessions"`
		}{entryOf(u), u.External.Issuer, append([]string{}, directory.PermissionsOf(u, roles)...), len(sessions)}
		rows := [][]string{
			{"name", u.Name}, {"id", u.ID}, {"display name", u.DisplayName}, {"email", u.Email}, {"disabled", yesNo(u.Disabled)}, {"signs in at", u.External.Issuer},
			{"roles", strings.Join(u.Roles, " ")}, {"permissions", strings.Join(shown.Permissions, " ")}, {"sessions", fmt.Sprint(shown.Sessions)}, {"created", shown.CreatedAt},
		}
		return c.list(e.stdout, []string{"USER", u.Name}, rows[1:], shown)
	})
}

type userEditCmd struct {
	nameArg
	DisplayName *string `help:"Name to show; empty: none." placeholder:"TEXT"`
	Email       *string `help:"Address of the user; empty: none." placeholder:"ADDRESS"`
}

func (c *userEditCmd) Run(e *env) error {
	if c.DisplayName == nil && c.Email == nil {
		return &usageError{errors.New("nothing to change: say --display-name or --email; roles are given by tacet user grant, passwords by tacet user passwd")}
	}
	return c.withUser(e, func(a *app.App, u directory.User) error {
		if err := a.Accounts.UpdateUser(e.ctx, accounts.Operator, u.ID, directory.Profile{DisplayName: c.DisplayName, Email: c.Email}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "user %s is changed\n", u.Name)
		return err
	})
}
