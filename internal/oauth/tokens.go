package oauth

import (
	"context"
	"errors"

	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// ErrInactive is what Config.Access returns for a token that is not good.
var ErrInactive = errors.New("oauth: the access token is not good")

// State is the answer to an introspection (RFC 7662 §2.2). Of a token that is
// not active it says nothing else.
type State struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"`
	SessionID string `json:"sid,omitempty"`
	// How and when the user signed in (RFC 9470 §6.2), where the session remembers it.
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	// Confirmation is of a token that is bound to a key (RFC 9449 §6.2).
	Confirmation *wire.Confirmation `json:"cnf,omitempty"`
}

// Introspect says what a token is worth now. Only clients that authenticate may
// ask (RFC 7662 §2.1): about any access token, because they may be resource
// servers, and about their own refresh tokens.
func (s *Server) Introspect(ctx context.Context, client *Client, p form.Params) (State, error) {
	if client == nil || client.Public() {
		return State{}, form.Refuse(form.CodeInvalidClient, "introspection is for clients that authenticate")
	}
	raw, err := p.Need("token")
	if err != nil {
		return State{}, err
	}
	t, err := s.Sessions.Open(ctx, raw)
	if err == nil {
		return s.refreshState(ctx, *client, t)
	}
	if !errors.Is(err, session.ErrNotAuthentic) {
		return State{}, settle(err)
	}
	c, err := s.Access(ctx, raw)
	if errors.Is(err, ErrInactive) {
		return State{}, nil
	} else if err != nil {
		return State{}, settle(err)
	}
	user, err := s.user(ctx, c.SessionID)
	if err != nil || user.ID == "" {
		return State{}, err
	}
	key := ""
	if c.Confirmation != nil {
		key = c.Confirmation.KeyThumbprint
	}
	return State{Active: true, Scope: c.Scope, ClientID: c.ClientID, Username: user.Username, TokenType: session.TokenType(key), Confirmation: c.Confirmation,
		ExpiresAt: c.ExpiresAt, IssuedAt: c.IssuedAt, Subject: c.Subject, Audience: c.Audience, Issuer: c.Issuer,
		ID: c.ID, SessionID: c.SessionID, ACR: c.ACR, AMR: c.AMR, AuthTime: c.AuthTime}, nil
}

func (s *Server) refreshState(ctx context.Context, client Client, t rotation.Token) (State, error) {
	sess, err := s.Sessions.Peek(ctx, t)
	var refused *session.Refusal
	if errors.As(err, &refused) || err == nil && sess.ClientID != client.ID {
		return State{}, nil
	} else if err != nil {
		return State{}, settle(err)
	}
	user, err := s.user(ctx, sess.ID.String())
	if err != nil || user.ID == "" {
		return State{}, err
	}
	var bound *wire.Confirmation
	if key := sess.Constraint.ProofKey(); key != "" {
		bound = &wire.Confirmation{KeyThumbprint: key}
	}
	return State{Active: true, Confirmation: bound, ClientID: sess.ClientID, Username: user.Username, Subject: user.ID, Issuer: s.Sessions.Issuer(),
		ExpiresAt: unix(s.Sessions.ExpiresAt(sess)), IssuedAt: sess.State.CreatedAt.Unix(), SessionID: sess.ID.String()}, nil
}

// user is whose living session this is; the zero user if there is none.
func (s *Server) user(ctx context.Context, sessionID string) (session.User, error) {
	id, err := rotation.ParseSessionID(sessionID)
	if err != nil {
		return session.User{}, nil
	}
	sess, err := s.Sessions.Living(ctx, id)
	var refused *session.Refusal
	if errors.As(err, &refused) {
		return session.User{}, nil
	} else if err != nil {
		return session.User{}, settle(err)
	}
	user, err := s.Sessions.User(ctx, sess.UserID)
	if errors.Is(err, session.ErrNoUser) {
		return session.User{}, nil
	}
	return user, settle(err)
}

// Revoke ends the session of a token (RFC 7009 §2.1). A token that is nobody's
// or over is no error (§2.2). client is as in [Server.Token]: whoever has the
// token of a public client may revoke it.
func (s *Server) Revoke(ctx context.Context, client *Client, p form.Params) error {
	raw, err := p.Need("token")
	if err != nil {
		return err
	}
	id, err := s.sessionOf(ctx, raw)
	if err != nil || id == (rotation.SessionID{}) {
		return err
	}
	return client.refused(s.Sessions.Revoke(ctx, id, client.session()))
}

// sessionOf is the session that a token belongs to, zero if to none.
func (s *Server) sessionOf(ctx context.Context, raw string) (rotation.SessionID, error) {
	t, err := s.Sessions.Open(ctx, raw)
	if err == nil {
		return t.Session, nil
	}
	if !errors.Is(err, session.ErrNotAuthentic) {
		return rotation.SessionID{}, settle(err)
	}
	c, err := s.Access(ctx, raw)
	if errors.Is(err, ErrInactive) {
		return rotation.SessionID{}, nil
	} else if err != nil {
		return rotation.SessionID{}, settle(err)
	}
	id, err := rotation.ParseSessionID(c.SessionID)
	if err != nil {
		return rotation.SessionID{}, nil
	}
	return id, nil
}
