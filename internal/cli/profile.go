package cli

import (
	"fmt"

	"github.com/tacet-dev/tacet/internal/profiles"
)

type profileCmd struct {
	List  profileListCmd  `cmd:"" help:"List the built-in profiles."`
	Show  profileShowCmd  `cmd:"" help:"Print a built-in profile, to read or to start one of your own from."`
	Check profileCheckCmd `cmd:"" help:"Check profiles; errors name file and line."`
}

type profileListCmd struct{ outputFlag }

// Run is the command.
func (c *profileListCmd) Run(e *env) error {
	type entry struct {
		Name         string `json:"name"`
		RefreshToken string `json:"refresh_token"`
		About        string `json:"about"`
	}
	var entries []entry
	var rows [][]string
	for _, name := range profiles.Names() {
		set, err := profiles.Open(name) // not all go together
		if err != nil {
			return err
		}
		p := set.Profiles[0]
		entries = append(entries, entry{p.Name, p.Refresh.String(), p.About})
		rows = append(rows, []string{p.Name, p.Refresh.String(), p.About})
	}
	return c.list(e.stdout, []string{"PROFILE", "REFRESH TOKEN", "ABOUT"}, rows, entries)
}

type profileShowCmd struct {
	Name string `arg:"" help:"Name of a built-in profile."`
}

// Run is the command.
func (c *profileShowCmd) Run(e *env) error {
	data, err := profiles.Source(c.Name)
	if err != nil {
		return &usageError{err}
	}
	_, err = e.stdout.Write(data)
	return err
}

type profileCheckCmd struct {
	Profiles []string `arg:"" name:"file" help:"Files, or names of built-in profiles that are to go with them."`
}

// Run is the command.
func (c *profileCheckCmd) Run(e *env) error {
	set, err := profiles.Open(c.Profiles...)
	if err != nil {
		return err
	}
	for _, p := range set.Profiles {
		fmt.Fprintf(e.stdout, "%s: the profile %s is good\n", p.File, p.Name)
		for _, r := range p.Routes {
			fmt.Fprintf(e.stdout, "  %-8s %-6s %s\n", r.Operation, r.Method, r.Path)
		}
	}
	return nil
}
