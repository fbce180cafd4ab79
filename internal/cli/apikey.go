package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/doors"
)

type apikeyCmd struct {
	Add    apikeyAddCmd    `cmd:"" help:"Make a key for a back-end that makes calls of administration. It is printed once."`
	Remove apikeyRemoveCmd `cmd:"" help:"Remove a key: it is refused from the next call on."`
	List   apikeyListCmd   `cmd:"" help:"List the keys with their permissions, and the day of their last use."`
}

// period is a time like 90d or 12h; days have 24 hours.
type period time.Duration

// UnmarshalText is encoding.TextUnmarshaler.
func (p *period) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > 36500 {
			return fmt.Errorf("%q is not a number of days like 90d", text)
		}
		*p = period(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time like 90d or 12h", text)
	}
	*p = period(d)
	return nil
}

type apikeyAddCmd struct {
	Name       string   `arg:"" help:"Name of the key, which logs show."`
	Permission []string `help:"A permission like admin:sessions:begin or admin:users:*; may be repeated." placeholder:"P" required:""`
	Expires    period   `help:"The key is good for this long, like 90d or 12h (default: until it is removed)." placeholder:"TIME"`
	dataFlags
}

func (c *apikeyAddCmd) Run(e *env) error {
	return c.making(e, func(a *app.App) error {
		key, err := a.Doors.AddKey(e.ctx, c.Name, c.Permission, time.Duration(c.Expires))
		var wrong *doors.InvalidError
		switch {
		case errors.As(err, &wrong):
			return &usageError{err}
		case errors.Is(err, doors.ErrKeyExists):
			return fmt.Errorf("there is an API key %s already: tacet apikey remove %s takes it out", c.Name, c.Name)
		case err != nil:
			return err
		}
		fmt.Fprintf(e.stderr, "API key %s is added. It is printed once, and kept nowhere:\n", c.Name)
		_, err = fmt.Fprintln(e.stdout, key) // alone, for KEY=$(tacet apikey add …)
		return err
	})
}

type apikeyRemoveCmd struct {
	Name string `arg:"" help:"Name of the key, as apikey list shows it."`
	dataFlags
}

func (c *apikeyRemoveCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		err := a.Doors.RemoveKey(e.ctx, c.Name)
		if errors.Is(err, doors.ErrNoKey) {
			return fmt.Errorf("there is no API key %q: tacet apikey list shows them", c.Name)
		}
		if err == nil {
			fmt.Fprintf(e.stdout, "API key %s is removed\n", c.Name)
		}
		return err
	})
}

type apikeyListCmd struct {
	dataFlags
	outputFlag
}

func (c *apikeyListCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		list, err := a.Doors.APIKeys(e.ctx)
		if err != nil {
			return err
		}
		type entry struct {
			Name        string   `json:"name"`
			Permissions []string `json:"permissions"`
			CreatedAt   string   `json:"created_at"`
			ExpiresAt   string   `json:"expires_at,omitempty"`
			LastUsed    string   `json:"last_used,omitempty"` // a day, in UTC
		}
		entries := make([]entry, 0, len(list))
		rows := make([][]string, 0, len(list))
		for _, k := range list {
			entries = append(entries, entry{k.Name, k.Permissions, when(k.CreatedAt), when(k.ExpiresAt), k.UsedOn})
			rows = append(rows, []string{k.Name, strings.Join(k.Permissions, " "), orDash(when(k.ExpiresAt)), orDash(k.UsedOn)})
		}
		return c.list(e.stdout, []string{"NAME", "PERMISSIONS", "EXPIRES", "LAST USED"}, rows, entries)
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
