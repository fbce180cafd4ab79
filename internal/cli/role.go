package cli

import (
	"fmt"
	"strings"

	"github.com/tacet-dev/tacet/internal/app"
)

type roleCmd struct {
	Add    roleAddCmd    `cmd:"" help:"Make a role."`
	Grant  roleGrantCmd  `cmd:"" help:"Add permissions to a role."`
	Revoke roleRevokeCmd `cmd:"" help:"Take permissions from a role."`
	List   roleListCmd   `cmd:"" help:"List the roles and their permissions."`
}

type roleAddCmd struct {
	Role       string   `arg:"" help:"Name of the role."`
	Permission []string `help:"A permission like orders:read or orders:*; may be repeated." placeholder:"P"`
	dataFlags
}

func (c *roleAddCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		if err := a.Directory.AddRole(e.ctx, c.Role, c.Permission...); err != nil {
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

func (c *roleGrantCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		if err := a.Directory.AddPermissions(e.ctx, c.Role, c.Permission...); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "role %s grants %s\n", c.Role, strings.Join(c.Permission, ", "))
		return err
	})
}

type roleRevokeCmd struct{ rolePermissions }

func (c *roleRevokeCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		if err := a.Directory.RemovePermissions(e.ctx, c.Role, c.Permission...); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "role %s does not grant %s\n", c.Role, strings.Join(c.Permission, ", "))
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
