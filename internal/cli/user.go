package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
)

type userCmd struct {
	Add     userAddCmd     `cmd:"" help:"Add a user. The password is read from standard input."`
	Show    userShowCmd    `cmd:"" help:"Show a user, the user's permissions and sessions."`
	Edit    userEditCmd    `cmd:"" help:"Change what is known of a user."`
	Passwd  userPasswdCmd  `cmd:"" help:"Set a user's password and end the user's sessions."`
	Disable userDisableCmd `cmd:"" help:"Keep a user from signing in and end the user's sessions."`
	Enable  userEnableCmd  `cmd:"" help:"Let a disabled user sign in again."`
	Remove  userRemoveCmd  `cmd:"" help:"Delete a user for good and end the user's sessions."`
	Grant   userGrantCmd   `cmd:"" help:"Give a user a role."`
	Revoke  userRevokeCmd  `cmd:"" help:"Take a role from a user."`
	List    userListCmd    `cmd:"" help:"List the users."`
	Import  userImportCmd  `cmd:"" help:"Take in the users of another system, with the hashes of their passwords (docs/users.md)."`
}

// nameArg is on commands about one user.
type nameArg struct {
	Name string `arg:"" help:"Name of the user."`
	dataFlags
}

// withUser opens the data directory and finds the user.
func (n nameArg) withUser(e *env, f func(*app.App, directory.User) error) error {
	return n.with(e, func(a *app.App) error {
		u, err := findUser(e.ctx, a, n.Name)
		if err != nil {
			return err
		}
		return f(a, u)
	})
}

func findUser(ctx context.Context, a *app.App, name string) (directory.User, error) {
	u, err := a.Directory.UserByName(ctx, name)
	if errors.Is(err, directory.ErrNotFound) {
		return u, fmt.Errorf("there is no user %q in %s: tacet user list shows them", name, a.Config.Storage())
	}
	return u, err
}

type userAddCmd struct {
	nameArg
	PasswordStdin bool     `help:"Read the password from the first line of standard input." required:""`
	Role          []string `help:"Give the user this role; may be repeated." placeholder:"ROLE"`
	DisplayName   string   `help:"Name to show." placeholder:"TEXT"`
	Email         string   `help:"Address of the user." placeholder:"ADDRESS"`
}

func (c *userAddCmd) Run(e *env) error {
	password, err := readPassword(e.stdin)
	if err != nil {
		return err
	}
	return c.making(e, func(a *app.App) error {
		u, err := a.Accounts.AddUser(e.ctx, accounts.Operator, directory.NewUser{
			Name: c.Name, Password: password, Roles: c.Role, DisplayName: c.DisplayName, Email: c.Email})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.stdout, "user %s is added, id %s\n", u.Name, u.ID)
		return err
	})
}

// lastAdminFlag is on commands that can take administration from everybody.
type lastAdminFlag struct {
	EvenLastAdmin bool `help:"Do it also if nobody is left then who has every permission of administration (admin:*)."`
}

func (f lastAdminFlag) operator() accounts.Actor {
	if f.EvenLastAdmin {
		return accounts.OperatorEvenLast
	}
	return accounts.Operator
}

func (f lastAdminFlag) explained(err error) error {
	if errors.Is(err, accounts.ErrLastAdmin) {
		return errors.New("nobody would be left who has every permission of administration: make somebody else an administrator first (a role with admin:*), or say --even-last-admin")
	}
	return err
}

// maxPasswordLine bounds what is read; the directory has the rule for length.
const maxPasswordLine = 4096

func readPassword(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", &usageError{errors.New("the password on standard input is empty: pipe it in, as in  tacet user add alice --password-stdin < file")}
	}
	return line, nil
}

type userPasswdCmd struct {
	nameArg
	PasswordStdin bool `help:"Read the password from the first line of standard input." required:""`
}

func (c *userPasswdCmd) Run(e *env) error {
	password, err := readPassword(e.stdin)
	if err != nil {
		return err
	}
	return c.withUser(e, func(a *app.App, u directory.User) error {
		if err := a.Accounts.SetPassword(e.ctx, accounts.Operator, u.ID, password); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "the password of %s is set and the user's sessions are ended\n", u.Name)
		return err
	})
}

type userDisableCmd struct {
	nameArg
	lastAdminFlag
}

func (c *userDisableCmd) Run(e *env) error {
	return c.withUser(e, func(a *app.App, u directory.User) error {
		disabled := true
		if err := a.Accounts.UpdateUser(e.ctx, c.operator(), u.ID, directory.Profile{Disabled: &disabled}); err != nil {
			return c.explained(err)
		}
		_, err := fmt.Fprintf(e.stdout, "user %s is disabled and the user's sessions are ended\n", u.Name)
		return err
	})
}

type userRemoveCmd struct {
	nameArg
	lastAdminFlag
}

func (c *userRemoveCmd) Run(e *env) error {
	return c.withUser(e, func(a *app.App, u directory.User) error {
		if err := a.Accounts.RemoveUser(e.ctx, c.operator(), u.ID); err != nil {
			return c.explained(err)
		}
		_, err := fmt.Fprintf(e.stdout, "user %s is removed and the user's sessions are ended\n", u.Name)
		return err
	})
}

type userEnableCmd struct{ nameArg }

func (c *userEnableCmd) Run(e *env) error {
	return c.withUser(e, func(a *app.App, u directory.User) error {
		disabled := false
		if err := a.Accounts.UpdateUser(e.ctx, accounts.Operator, u.ID, directory.Profile{Disabled: &disabled}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "user %s is enabled\n", u.Name)
		return err
	})
}

type userGrantCmd struct {
	Name string `arg:"" help:"Name of the user."`
	Role string `arg:"" help:"Name of the role."`
	dataFlags
}

func (c *userGrantCmd) Run(e *env) error {
	return nameArg{c.Name, c.dataFlags}.withUser(e, func(a *app.App, u directory.User) error {
		if err := a.Accounts.GrantRole(e.ctx, accounts.Operator, u.ID, c.Role); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "user %s has the role %s\n", u.Name, c.Role)
		return err
	})
}

type userRevokeCmd struct {
	Name string `arg:"" help:"Name of the user."`
	Role string `arg:"" help:"Name of the role."`
	lastAdminFlag
	dataFlags
}

func (c *userRevokeCmd) Run(e *env) error {
	return nameArg{c.Name, c.dataFlags}.withUser(e, func(a *app.App, u directory.User) error {
		if err := a.Accounts.RevokeRole(e.ctx, c.operator(), u.ID, c.Role); err != nil {
			return c.explained(err)
		}
		_, err := fmt.Fprintf(e.stdout, "user %s does not have the role %s\n", u.Name, c.Role)
		return err
	})
}

// userEntry is a user in JSON.
type userEntry struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DisplayName string   `json:"display_name,omitempty"`
	Email       string   `json:"email,omitempty"`
	Disabled    bool     `json:"disabled"`
	Roles       []string `json:"roles"`
	CreatedAt   string   `json:"created_at"`
}

func entryOf(u directory.User) userEntry {
	return userEntry{u.ID, u.Name, u.DisplayName, u.Email, u.Disabled, append([]string{}, u.Roles...), when(u.CreatedAt)}
}

type userListCmd struct {
	dataFlags
	outputFlag
}

func (c *userListCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		entries := []userEntry{}
		var rows [][]string
		const page = 500
		for after := ""; ; {
			users, err := a.Directory.List(e.ctx, after, page)
			if err != nil {
				return err
			}
			for _, u := range users {
				en := entryOf(u)
				entries = append(entries, en)
				rows = append(rows, []string{en.Name, en.ID, strings.Join(en.Roles, ","), yesNo(en.Disabled), en.CreatedAt})
			}
			if len(users) < page {
				break
			}
			after = users[len(users)-1].Name
		}
		return c.list(e.stdout, []string{"NAME", "ID", "ROLES", "DISABLED", "CREATED"}, rows, entries)
	})
}
