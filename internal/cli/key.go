package cli

import (
	"fmt"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/keys"
)

type keyCmd struct {
	List   keyListCmd   `cmd:"" help:"List the keys and what they are used for."`
	Rotate keyRotateCmd `cmd:"" help:"Make new keys. They are announced first and used later, so that no token is refused."`
}

type keyListCmd struct {
	dataFlags
	outputFlag
}

func (c *keyListCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error { return printKeys(e, c.outputFlag, a.Keys.List()) })
}

type keyRotateCmd struct {
	Now bool `help:"Use the new keys at once, without announcing them (after a leak). Verifiers that cache the key set may refuse new tokens until they read it again."`
	dataFlags
	outputFlag
}

func (c *keyRotateCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		made, err := a.Keys.Rotate(e.ctx, c.Now)
		if err != nil {
			return err
		}
		return printKeys(e, c.outputFlag, made)
	})
}

func printKeys(e *env, o outputFlag, list []keys.Info) error {
	type entry struct {
		ID        string `json:"id"`
		Use       string `json:"use"`
		Algorithm string `json:"algorithm"`
		State     string `json:"state"`
		CreatedAt string `json:"created_at"`
		ActiveAt  string `json:"active_at"`
		RetiredAt string `json:"retired_at,omitempty"`
	}
	entries := make([]entry, 0, len(list))
	rows := make([][]string, 0, len(list))
	for _, k := range list {
		en := entry{fmt.Sprint(k.ID), string(k.Use), k.Algorithm, string(k.State), when(k.CreatedAt), when(k.ActiveAt), when(k.RetiredAt)}
		entries = append(entries, en)
		rows = append(rows, []string{en.ID, en.Use, en.Algorithm, en.State, en.CreatedAt, en.ActiveAt, en.RetiredAt})
	}
	return o.list(e.stdout, []string{"KEY", "USE", "ALGORITHM", "STATE", "CREATED", "ACTIVE", "RETIRED"}, rows, entries)
}
