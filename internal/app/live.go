package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// What this process commits it enforces itself before the call that did it
// returns; what others commit, when the hub has read it. Both go through
// enforce, and to hear of something twice changes nothing.

// enforce takes in one committed event.
func (a *App) enforce(e events.Event) {
	switch e.Kind {
	case wire.EventSessionEnded:
		a.Live.SessionEnded(e.SessionID, e.At)
		a.Gateway.SessionEnded(e.SessionID)
	case wire.EventGrantsChanged:
		var d wire.GrantsChange
		if err := json.Unmarshal(e.Data, &d); err != nil {
			a.Config.Logger.Error("an event can't be read; the grants that it is about are enforced at the next renewal", "number", e.Seq, "error", err)
			return
		}
		a.forget() // first: who is refused renews at once, and must get the new grants
		a.Live.GrantsChanged(e.UserID, d.GrantsVersion, e.At)
		a.Gateway.GrantsChanged(e.UserID, d.GrantsVersion)
	}
}

// heard is enforce for what the hub reads, which may come from another process.
func (a *App) heard(e events.Event) {
	a.enforce(e)
	if e.Kind != wire.EventKeysRotated || a.Events == nil {
		return // at the start the ring has just been read
	}
	// Before resource servers are told and come for the new key set.
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	if err := a.Keys.Refresh(ctx); err != nil {
		a.Config.Logger.Warn("the keys have changed and could not be read; the keys at hand stay in use for now", "error", err)
	}
}

// userOf is whom the events of an end are about.
func userOf(ev []events.Event) string {
	for _, e := range ev {
		if e.UserID != "" {
			return e.UserID
		}
	}
	return ""
}

// ended is bounded.Config.Ended: ends are counted and logged where they are made.
func (a *App) ended(id rotation.SessionID, e session.End, ev []events.Event) {
	a.Metrics.Ended(e.Reason)
	a.Config.Logger.Info("a session has ended", "event", wire.EventSessionEnded, "session", id.String(), "user", userOf(ev), "reason", e.Reason)
}

// committed is the stores' hook: what this process commits is enforced before the
// call returns that did it.
func (a *App) committed(ev []events.Event) {
	for _, e := range ev {
		a.enforce(e)
	}
}

// GrantsChanged tells that a user of a directory other than the embedded one has
// new grants: tokens with an older version are refused from now on, here when
// it returns, elsewhere when the event has been read.
func (a *App) GrantsChanged(ctx context.Context, userID string, version int64) error {
	data, err := json.Marshal(wire.GrantsChange{GrantsVersion: version})
	if err != nil {
		return err
	}
	e := events.Event{At: a.Config.Clock().UTC(), Kind: wire.EventGrantsChanged, UserID: userID, Data: data}
	err = a.documents.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Append(e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("tell that the grants of user %s have changed: %w", userID, err)
	}
	return nil
}

// minSecret is how many bytes a secret between systems has at least.
const minSecret = 16

// feedToken is the secret of the feed, from the setting or its file; empty if
// there is neither.
func (c *Config) feedToken() (string, error) {
	if c.FeedToken != "" {
		return c.FeedToken, checkSecret("feed-token", c.FeedToken)
	}
	return secretFile("feed-token-file", c.FeedTokenFile)
}

// secretFile reads a secret that another system presents, or is presented; empty
// if no file is named.
func secretFile(setting, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s can't be read: %w", setting, err)
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" {
		return "", fmt.Errorf("%s %s is empty: put a random text of at least %d characters in it", setting, path, minSecret)
	}
	return secret, checkSecret(setting+" "+path, secret)
}

func checkSecret(where, secret string) error {
	if len(secret) < minSecret || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return fmt.Errorf("%s: must be at least %d printable ASCII characters without spaces, quotes and backslashes; make one with: openssl rand -hex 32", where, minSecret)
	}
	return nil
}

// grantsNow is verify.Config.Grants.
func (a *App) grantsNow(ctx context.Context, t *verify.Token) (verify.Grants, error) {
	id, err := rotation.ParseSessionID(t.SessionID())
	if err != nil {
		return verify.Grants{}, verify.ErrInvalidToken
	}
	sess, err := a.Sessions.Living(ctx, id)
	if errors.As(err, new(*session.Refusal)) {
		return verify.Grants{}, verify.ErrSessionEnded
	}
	if err != nil {
		return verify.Grants{}, errors.Join(verify.ErrUnavailable, err)
	}
	u, err := a.users.Grants(ctx, sess.UserID)
	if errors.Is(err, session.ErrNoUser) {
		return verify.Grants{}, verify.ErrSessionEnded
	}
	if err != nil {
		return verify.Grants{}, errors.Join(verify.ErrUnavailable, err)
	}
	return verify.Grants{Roles: u.Roles, Permissions: u.Permissions, Version: u.GrantsVersion}, nil
}
