package cli

import (
	"errors"
	"fmt"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

type sessionCmd struct {
	List sessionListCmd `cmd:"" help:"List living sessions, newest first (at most 1,000)."`
	End  sessionEndCmd  `cmd:"" help:"End a session, or all of a user; refresh tokens are refused from now on."`
}

type sessionListCmd struct {
	User string `help:"Only those of this user." placeholder:"NAME"`
	dataFlags
	outputFlag
}

func (c *sessionListCmd) Run(e *env) error {
	return c.with(e, func(a *app.App) error {
		userID := ""
		if c.User != "" {
			u, err := findUser(e.ctx, a, c.User)
			if err != nil {
				return err
			}
			userID = u.ID
		}
		list, err := a.Sessions.List(e.ctx, userID)
		if err != nil {
			return err
		}
		type entry struct {
			wire.Session
			UserID string `json:"user_id"`
		}
		entries := make([]entry, 0, len(list))
		rows := make([][]string, 0, len(list))
		for _, s := range list {
			en := entry{UserID: s.UserID, Session: wire.Session{ID: s.ID.String(),
				CreatedAt: when(s.State.CreatedAt), LastSeen: when(s.State.HeadAt), UserAgent: s.Contact.UserAgent}}
			if s.Contact.Address.IsValid() {
				en.Address = s.Contact.Address.String()
			}
			entries = append(entries, en)
			rows = append(rows, []string{en.ID, en.UserID, en.CreatedAt, en.LastSeen, en.Address, en.UserAgent})
		}
		return c.list(e.stdout, []string{"SESSION", "USER", "CREATED", "LAST SEEN", "ADDRESS", "USER AGENT"}, rows, entries)
	})
}

type sessionEndCmd struct {
	ID   string `arg:"" optional:"" help:"Id of the session, as session list shows it."`
	User string `help:"End all sessions of this user instead." placeholder:"NAME"`
	dataFlags
}

func (c *sessionEndCmd) Run(e *env) error {
	if (c.ID == "") == (c.User == "") {
		return &usageError{errors.New("say which session: its id (tacet session list shows them), or --user NAME for all of a user")}
	}
	if c.User != "" {
		return nameArg{c.User, c.dataFlags}.withUser(e, func(a *app.App, u directory.User) error {
			if err := a.Sessions.EndAll(e.ctx, u.ID, wire.ReasonEndedByAdmin, rotation.SessionID{}); err != nil {
				return err
			}
			_, err := fmt.Fprintf(e.stdout, "all sessions of %s are ended\n", u.Name)
			return err
		})
	}
	id, err := rotation.ParseSessionID(c.ID)
	if err != nil {
		return &usageError{fmt.Errorf("%q is not a session id: tacet session list shows them", c.ID)}
	}
	return c.with(e, func(a *app.App) error {
		err := a.Sessions.End(e.ctx, id, wire.ReasonEndedByAdmin)
		if errors.Is(err, session.ErrNotFound) {
			return fmt.Errorf("there is no session %s: tacet session list shows those that live", c.ID)
		}
		if err == nil {
			fmt.Fprintf(e.stdout, "session %s is ended\n", c.ID)
		}
		return err
	})
}
