package cli

import (
	"fmt"
	"strings"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/app"
)

type roleCmd struct {
	Add    roleAddCmd    `cmd:"" help:"Make a role."`
	Grant  roleGrantCmd  `cmd:"" help:"Add permissions to a role."`
	Revoke roleRevokeCmd `cmd:"" help:"Take permissions from a role."`
	Remove roleRemoveCmd `cmd:"" help:"Delete a role and take it from everybody who has it."`
	List   roleListCmd   `cmd:"" help:"List the roles and their permissions."`
}

type roleAddCmd struct {
	Role       string   `arg:"" help:"Name of the role."`
	Permission []string `help:"A permission like orders:read or orders:*; may be repeated." placeholder:"P"`
	dataFlags
}

func (c *roleAddCmd) Run(e *env) error {
	return c.making(e, func(a *app.App) error {
		if err := a.Accounts.AddRole(e.ctx, accounts.Operator, c.Role, c.Permission...); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "role %s is added\n", c.Role)
		return err
	})
}

type rolePermissions struct {
	Role       string   `arg:"" help:"Name of the role."`
	Permission []string `help:"A permission like orders:read or orders:*; may be repeated." placeholder:"P" required:""`
	dataFlags
}

type roleGrantCmd struct{ rolePermissions }

func (c *roleGrantCmd) Run(e *env) error { return c.change(e, accounts.Operator, c.Permission, nil) }

type roleRevokeCmd struct {
	rolePermissions
	lastAdminFlag
}

func (c *roleRevokeCmd) Run(e *env) error {
	return c.explained(c.change(e, c.operator(), nil, c.Permission))
}

// change says what the role grants after it: a permission that was taken away
// may still be covered by a wildcard.
func (c *rolePermissions) change(e *env, by accounts.Actor, add, remove []string) error {
	return c.with(e, func(a *app.App) error {
		if err := a.Accounts.ChangePermissions(e.ctx, by, c.Role, add, remove); err != nil {
			return err
		}
		role, err := a.Accounts.Role(e.ctx, c.Role)
		if err != nil {
			return err
		}
		grants := "nothing"
		if len(role.Permissions) > 0 {
			grants = strings.Join(role.Permissions, ", ")
		}
		_, err = fmt.Fprintf(e.stdout, "role %s grants %s\n", c.Role, grants)
		return err
	})
}

type roleRemoveCmd struct {
	Role string `arg:"" help:"Name of the role."`
	lastAdminFlag
	dataFlags
}

func (c *roleRemoveCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		if err := a.Accounts.RemoveRole(e.ctx, c.operator(), c.Role); err != nil {
			return c.explained(err)
		}
		_, err := fmt.Fprintf(e.stdout, "role %s is removed and taken from everybody who had it\n", c.Role)
		return err
	})
}

type roleListCmd struct {
	dataFlags
	outputFlag
}

func (c *roleListCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		roles, err := a.Directory.Roles(e.ctx)
		if err != nil {
			return err
		}
		type entry struct {
			Name        string   `json:"name"`
			Permissions []string `json:"permissions"`
		}
		entries := make([]entry, 0, len(roles))
		rows := make([][]string, 0, len(roles))
		for _, r := range roles {
			entries = append(entries, entry{r.Name, append([]string{}, r.Permissions...)})
			rows = append(rows, []string{r.Name, strings.Join(r.Permissions, " ")})
		}
		return c.list(e.stdout, []string{"ROLE", "PERMISSIONS"}, rows, entries)
	})
}
