package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/oauth"
)

type clientCmd struct {
	Add    clientAddCmd    `cmd:"" help:"Register an OAuth client. A confidential one gets a secret, which is printed once."`
	Remove clientRemoveCmd `cmd:"" help:"Remove a client and end the sessions that it started."`
	List   clientListCmd   `cmd:"" help:"List the registered clients."`
}

type clientAddCmd struct {
	ID           string   `arg:"" help:"client_id, like my-app."`
	Name         string   `help:"Name that users see when they sign in (default: the id)." placeholder:"NAME"`
	RedirectURI  []string `name:"redirect-uri" help:"Where codes may be sent, compared as a whole; may be repeated. https, http on 127.0.0.1, [::1] (any port) or localhost, or com.example.app:/path." placeholder:"URI" sep:"none"`
	LogoutURI    []string `name:"logout-uri" help:"Where the browser may go after signing out; may be repeated." placeholder:"URI" sep:"none"`
	Confidential bool     `help:"The client keeps a secret: a server, not a page or an application on a device."`
	Device       bool     `help:"Allow the device grant (RFC 8628), for command lines and televisions."`
	dataFlags
}

func (c *clientAddCmd) Run(e *env) error {
	return c.making(e, func(a *app.App) error {
		secret, err := a.OAuth.AddClient(e.ctx, oauth.Client{ID: c.ID, Name: c.Name, RedirectURIs: c.RedirectURI, LogoutURIs: c.LogoutURI, Device: c.Device}, c.Confidential)
		var wrong *oauth.InvalidError
		switch {
		case errors.As(err, &wrong):
			return &usageError{err}
		case errors.Is(err, oauth.ErrExists):
			return fmt.Errorf("there is a client %s already: tacet client remove %s takes it out, with its sessions", c.ID, c.ID)
		case err != nil:
			return err
		}
		fmt.Fprintf(e.stdout, "client %s is added\n", c.ID)
		if secret != "" {
			fmt.Fprintf(e.stdout, "its secret, which is not shown again: %s\n", secret)
		}
		return nil
	})
}

type clientRemoveCmd struct {
	ID string `arg:"" help:"client_id, as client list shows it."`
	dataFlags
}

func (c *clientRemoveCmd) Run(e *env) error {
	return c.withClients(e, func(s *oauth.Server) error {
		err := s.RemoveClient(e.ctx, c.ID)
		if errors.Is(err, oauth.ErrNotFound) {
			return fmt.Errorf("there is no client %q: tacet client list shows them", c.ID)
		}
		if err == nil {
			fmt.Fprintf(e.stdout, "client %s is removed and its sessions are ended\n", c.ID)
		}
		return err
	})
}

type clientListCmd struct {
	dataFlags
	outputFlag
}

func (c *clientListCmd) Run(e *env) error {
	return c.withClients(e, func(s *oauth.Server) error {
		list, err := s.Clients(e.ctx)
		if err != nil {
			return err
		}
		type entry struct {
			ID           string   `json:"id"`
			Name         string   `json:"name"`
			Confidential bool     `json:"confidential"`
			Device       bool     `json:"device"`
			RedirectURIs []string `json:"redirect_uris"`
			LogoutURIs   []string `json:"logout_uris"`
			CreatedAt    string   `json:"created_at"`
		}
		entries := make([]entry, 0, len(list))
		rows := make([][]string, 0, len(list))
		for _, k := range list {
			entries = append(entries, entry{k.ID, k.Name, !k.Public(), k.Device, append([]string{}, k.RedirectURIs...), append([]string{}, k.LogoutURIs...), when(k.CreatedAt)})
			rows = append(rows, []string{k.ID, k.Name, yesNo(!k.Public()), yesNo(k.Device), strings.Join(k.RedirectURIs, " ")})
		}
		return c.list(e.stdout, []string{"CLIENT", "NAME", "CONFIDENTIAL", "DEVICE", "REDIRECT URIS"}, rows, entries)
	})
}

func (d dataFlags) withClients(e *env, f func(*oauth.Server) error) error {
	return d.with(e, func(a *app.App) error { return f(a.OAuth) })
}
