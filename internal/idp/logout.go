package idp

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
	"github.com/tacet-dev/tacet/wire/jose"
)

// logoutTypes are the typ of a logout token. Back-Channel Logout 1.0 §2.4
// recommends the first; many providers still send the type of every JWT, or none.
var logoutTypes = []string{"logout+jwt", "application/logout+jwt", "jwt", ""}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// maxLogoutToken bounds what is looked at, in bytes.
const maxLogoutToken = 16 << 10

// Logout ends the sessions that a logout token names (OpenID Connect
// Back-Channel Logout 1.0 §2.6, §2.7) and returns how many it ended. The error
// is ErrUnknown, an *InvalidError, a *DownError or an outage; after the last two
// the provider may send the same token again.
func (s *Service) Logout(ctx context.Context, id, raw string) (ended int, err error) {
	p, err := s.provider(id)
	if err != nil {
		return 0, err
	}
	if raw == "" || len(raw) > maxLogoutToken {
		return 0, invalid("the logout token is missing or too long")
	}
	if j, ok := jose.ParseJWS(raw); !ok || !slices.Contains(logoutTypes, strings.ToLower(j.Type)) {
		return 0, invalid("the logout token is no JWT, or one of another type (typ)")
	}
	k, err := p.discover(ctx)
	if err != nil {
		return 0, err
	}
	if err := k.keys.prepare(ctx, raw, k.algorithms); err != nil {
		return 0, &DownError{p.Name, err}
	}
	t, err := k.tokens.VerifyLogout(ctx, raw)
	if err != nil {
		return 0, invalid("the logout token is not good: %v", err)
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return 0, invalid("the logout token can't be read: %v", err)
	}
	var events map[string]json.RawMessage
	switch {
	case json.Unmarshal(c["events"], &events) != nil || !isObject(events[logoutEvent]):
		return 0, invalid("the logout token has no events claim with the object %s", logoutEvent)
	case t.IssuedAt.IsZero() || t.IssuedAt.After(s.Clock().Add(leeway)):
		return 0, invalid("the logout token is from the future, or does not say when it was made: compare the clocks")
	case !storable(t.Subject) || !storable(t.SessionID):
		return 0, invalid("the logout token has a sub or sid that is too long or no text")
	}
	note := session.NoteOf("logout token", p.ID, p.Issuer, t.TokenID)
	switch again, err := s.Sessions.Noted(ctx, note); {
	case err != nil:
		return 0, err
	case !again.IsZero():
		return 0, invalid("the logout token has been used already (jti)")
	}
	ended, err = s.Sessions.EndFrom(ctx, session.Origin{Issuer: p.Issuer, Subject: t.Subject, SID: t.SessionID, Vouched: t.IssuedAt}, wire.ReasonProvider)
	if err != nil {
		return ended, err
	}
	// Last, so that a token whose work could not be done may come again.
	if err := s.Sessions.Note(ctx, note, t.Expiry.Add(time.Minute)); err != nil {
		return ended, err
	}
	s.Logger.Info("signed out by the provider", "provider", p.ID, "sessions", ended)
	return ended, nil
}

func isObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
}
