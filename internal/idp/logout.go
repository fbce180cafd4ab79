package idp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
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
	if !slices.Contains(logoutTypes, typeOf(raw)) {
		return 0, invalid("the JWT is of another type (typ) than a logout token")
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

// typeOf is the typ of a JWS, in lower case (RFC 7515 §4.1.9); "" without one.
func typeOf(raw string) string {
	head, _, _ := strings.Cut(raw, ".")
	b, _ := base64.RawURLEncoding.DecodeString(head)
	var h struct {
		Type string `json:"typ"`
	}
	_ = json.Unmarshal(b, &h) // what is not JSON fails as a JWS
	return strings.ToLower(h.Type)
}

func isObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
}
