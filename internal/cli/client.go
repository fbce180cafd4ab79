package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/oauth"
)

type clientCmd struct {
	Add    clientAddCmd    `cmd:"" help:"Register an OAuth client. A confidential one gets a secret, which is printed once."`
	Update clientUpdateCmd `cmd:"" help:"Change a client. What is not given stays; a list that is given replaces the one before."`
	Secret clientSecretCmd `cmd:"" help:"The secret of a confidential client."`
	Remove clientRemoveCmd `cmd:"" help:"Remove a client and end the sessions that it started."`
	List   clientListCmd   `cmd:"" help:"List the registered clients."`
}

type clientAddCmd struct {
	ID           string   `arg:"" help:"client_id, like my-app."`
	Name         string   `help:"Name that users see when they sign in (default: the id)." placeholder:"NAME"`
	RedirectURI  []string `name:"redirect-uri" help:"Where codes may be sent, compared as a whole; may be repeated. https, http on 127.0.0.1, [::1] (any port) or localhost, or com.example.app:/path." placeholder:"URI" sep:"none"`
	Scope        []string `help:"All that the client may ever ask for, separated by spaces: openid, profile, email, roles, offline_access, and permissions. A token of it grants no more than its user has, either." placeholder:"SCOPE" sep:"none"`
	Audience     []string `help:"The API that access tokens of the client are for; may be repeated, the first is the default. Tacet's own calls refuse tokens for others." placeholder:"URL" sep:"none"`
	LogoutURI    []string `name:"logout-uri" help:"Where the browser may go after signing out; may be repeated." placeholder:"URI" sep:"none"`
	Confidential bool     `help:"The client keeps a secret: a server, not a page or an application on a device."`
	IDTokenAlg   string   `name:"id-token-alg" help:"What ID tokens of the client are signed with." enum:"RS256,ES256,EdDSA" default:"RS256"`
	Device       bool     `help:"Allow the device grant (RFC 8628), for command lines and televisions."`
	dataFlags
}

func (c *clientAddCmd) Run(e *env) error {
	return c.making(e, func(a *app.App) error {
		secret, err := a.OAuth.AddClient(e.ctx, oauth.Client{ID: c.ID, Name: c.Name, RedirectURIs: c.RedirectURI, LogoutURIs: c.LogoutURI,
			Scopes: scopes(c.Scope), Audiences: c.Audience, IDTokenAlg: c.IDTokenAlg, Device: c.Device}, c.Confidential)
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

// scopes are the scopes of flags, each of which may name several (RFC 6749 §3.3).
func scopes(flags []string) []string { return strings.Fields(strings.Join(flags, " ")) }

type clientUpdateCmd struct {
	ID          string   `arg:"" help:"client_id, as client list shows it."`
	Name        *string  `help:"Name that users see when they sign in." placeholder:"NAME"`
	RedirectURI []string `name:"redirect-uri" help:"Where codes may be sent; may be repeated." placeholder:"URI" sep:"none"`
	Scope       []string `help:"All that the client may ever ask for. If that is less than before, the sessions that it started end." placeholder:"SCOPE" sep:"none"`
	Audience    []string `help:"The APIs that its access tokens are for; may be repeated. If one is left out, the sessions that it started end." placeholder:"URL" sep:"none"`
	LogoutURI   []string `name:"logout-uri" help:"Where the browser may go after signing out; may be repeated." placeholder:"URI" sep:"none"`
	IDTokenAlg  *string  `name:"id-token-alg" help:"What ID tokens of the client are signed with: RS256, ES256 or EdDSA." placeholder:"ALG"`
	Device      *bool    `negatable:"" help:"Allow the device grant (RFC 8628)."`
	dataFlags
}

func (c *clientUpdateCmd) Run(e *env) error {
	return c.withClients(e, func(s *oauth.Server) error {
		ended, err := s.UpdateClient(e.ctx, c.ID, c.change)
		if err := clientError(c.ID, err); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "client %s is changed\n", c.ID)
		if ended {
			fmt.Fprintln(e.stdout, "it may have less than before, so the sessions that it started are ended")
		}
		return nil
	})
}

func (c *clientUpdateCmd) change(k *oauth.Client) {
	if c.Name != nil {
		k.Name = *c.Name
	}
	if c.IDTokenAlg != nil {
		k.IDTokenAlg = *c.IDTokenAlg
	}
	if c.Device != nil {
		k.Device = *c.Device
	}
	if c.Scope != nil {
		k.Scopes = scopes(c.Scope)
	}
	for _, list := range []struct {
		given []string
		field *[]string
	}{{c.RedirectURI, &k.RedirectURIs}, {c.LogoutURI, &k.LogoutURIs}, {c.Audience, &k.Audiences}} {
		if list.given != nil {
			*list.field = list.given
		}
	}
}

type clientSecretCmd struct {
	Rotate clientRotateCmd `cmd:"" help:"Give a client a new secret, which is printed once. The one before stays good for a while."`
}

type clientRotateCmd struct {
	ID      string        `arg:"" help:"client_id, as client list shows it."`
	Overlap time.Duration `help:"How long the secret before stays good." default:"24h"`
	dataFlags
}

func (c *clientRotateCmd) Run(e *env) error {
	return c.withClients(e, func(s *oauth.Server) error {
		secret, err := s.RotateSecret(e.ctx, c.ID, max(c.Overlap, 0))
		if errors.Is(err, oauth.ErrPublic) {
			return fmt.Errorf("client %s has no secret: only a confidential client has one, and a client is made so when it is added", c.ID)
		}
		if err := clientError(c.ID, err); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "its new secret, which is not shown again: %s\n", secret)
		fmt.Fprintf(e.stdout, "the one before is good for another %s\n", max(c.Overlap, 0))
		return nil
	})
}

// clientError says what to do about an error of a call that names a client.
func clientError(id string, err error) error {
	var wrong *oauth.InvalidError
	switch {
	case errors.As(err, &wrong):
		return &usageError{err}
	case errors.Is(err, oauth.ErrNotFound):
		return fmt.Errorf("there is no client %q: tacet client list shows them", id)
	}
	return err
}

type clientRemoveCmd struct {
	ID string `arg:"" help:"client_id, as client list shows it."`
	dataFlags
}

func (c *clientRemoveCmd) Run(e *env) error {
	return c.withClients(e, func(s *oauth.Server) error {
		err := clientError(c.ID, s.RemoveClient(e.ctx, c.ID))
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
			Scopes       []string `json:"scopes"`
			Audiences    []string `json:"audiences"`
			CreatedAt    string   `json:"created_at"`
		}
		entries := make([]entry, 0, len(list))
		rows := make([][]string, 0, len(list))
		for _, k := range list {
			entries = append(entries, entry{k.ID, k.Name, !k.Public(), k.Device, append([]string{}, k.RedirectURIs...), append([]string{}, k.LogoutURIs...),
				append([]string{}, k.Scopes...), append([]string{}, k.Audiences...), when(k.CreatedAt)})
			rows = append(rows, []string{k.ID, k.Name, yesNo(!k.Public()), yesNo(k.Device), strings.Join(k.Scopes, " "), strings.Join(k.RedirectURIs, " ")})
		}
		return c.list(e.stdout, []string{"CLIENT", "NAME", "CONFIDENTIAL", "DEVICE", "SCOPES", "REDIRECT URIS"}, rows, entries)
	})
}

func (d dataFlags) withClients(e *env, f func(*oauth.Server) error) error {
	return d.with(e, func(a *app.App) error { return f(a.OAuth) })
}
