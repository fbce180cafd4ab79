package oauth

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Grant types.
const (
	GrantRefreshToken = "refresh_token"
	GrantCode         = "authorization_code"
	GrantDevice       = "urn:ietf:params:oauth:grant-type:device_code"
)

// Token answers a request to the token endpoint (RFC 6749 §3.2). client is who
// [Server.Client] found, or nil if the request names none, which only renewals
// of public clients may do (RFC 6749 §6). The tokens are bound to what b says
// (RFC 9449 §5).
func (s *Server) Token(ctx context.Context, client *Client, p form.Params, c session.Contact, b session.Binding) (Answer, error) {
	grant, err := p.Need("grant_type")
	if err != nil {
		return Answer{}, err
	}
	switch grant {
	case GrantRefreshToken:
		return s.renew(ctx, client, p, c, b)
	case GrantCode, GrantDevice:
		if client == nil {
			return Answer{}, form.Refuse(form.CodeInvalidRequest, "the parameter client_id is missing")
		}
		if grant == GrantDevice {
			return s.poll(ctx, *client, p, c, b)
		}
		return s.exchange(ctx, *client, p, c, b)
	}
	return Answer{}, form.Refuse(form.CodeUnsupportedGrantType, "grant_type must be refresh_token, authorization_code or "+GrantDevice)
}

// renew is RFC 6749 §6.
func (s *Server) renew(ctx context.Context, client *Client, p form.Params, c session.Contact, b session.Binding) (Answer, error) {
	raw, err := p.Need("refresh_token")
	if err != nil {
		return Answer{}, err
	}
	t, err := s.Sessions.Open(ctx, raw)
	if err != nil {
		return Answer{}, invalidGrant(err)
	}
	g, err := s.Sessions.Refresh(ctx, session.Presentation{Token: t, Contact: c, Client: client.session(), Binding: b,
		Scope: p["scope"], Resource: p[form.Resource]})
	if err != nil {
		return Answer{}, client.refused(err)
	}
	a := answer(g)
	a.IDToken, err = s.idToken(ctx, g, "")
	return a, err
}

// exchange redeems an authorization code (RFC 6749 §4.1.3).
func (s *Server) exchange(ctx context.Context, client Client, p form.Params, c session.Contact, b session.Binding) (Answer, error) {
	code, err := p.Need("code")
	if err != nil {
		return Answer{}, err
	}
	verifier := p["code_verifier"]
	return s.redeem(ctx, KeyOf(code), client, p[form.Resource], c, b, func(f *Flow) error {
		switch {
		case f.UserCode != "" || f.ClientID != client.ID:
			return errCode
		case f.RedirectURI != p["redirect_uri"]:
			return form.Refuse(form.CodeInvalidGrant, "redirect_uri is not that of the authorization request")
		case f.Challenge != "" && verifier == "":
			return form.Refuse(form.CodeInvalidRequest, "the parameter code_verifier is missing")
		case f.Challenge == "" && verifier != "": // RFC 9700 §2.1.1: somebody may have taken the challenge away
			return form.Refuse(form.CodeInvalidGrant, "the authorization request had no code_challenge")
		case f.Challenge != "" && !proves(verifier, f.Challenge):
			return form.Refuse(form.CodeInvalidGrant, "code_verifier does not fit the code challenge")
		case f.ProofKey != "" && f.ProofKey != b.ProofKey:
			return form.Refuse(form.CodeInvalidGrant, "the code is bound to a key (dpop_jkt): send a DPoP proof of that key")
		case !f.Used && !f.ExpiresAt.After(s.now()):
			return form.Refuse(form.CodeInvalidGrant, "the code has expired")
		}
		return nil
	})
}

var errCode = form.Refuse(form.CodeInvalidGrant, "the code is not one that was issued to this client")

// redeem starts the session of a flow, once. check says whether the caller may:
// until it does, nothing changes. A second redemption by somebody who may means
// that two have the code, so the session is ended (RFC 6749 §4.1.2).
func (s *Server) redeem(ctx context.Context, k Key, client Client, resource string, c session.Contact, b session.Binding, check func(*Flow) error) (Answer, error) {
	var f Flow
	var audience string
	err := s.Store.UpdateFlow(ctx, k, func(stored *Flow) error {
		if err := check(stored); err != nil {
			return err
		}
		var err error
		if audience, err = s.redeemedFor(client, *stored, resource); err != nil {
			return err
		}
		stored.Reused = stored.Used
		stored.Used = true
		f = *stored
		return nil
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return Answer{}, errCode
	case err != nil:
		return Answer{}, settle(err)
	case f.Reused:
		return Answer{}, s.reused(ctx, f)
	}
	g, err := s.Sessions.Start(ctx, session.SignIn{UserID: f.UserID, Credentials: f.Credentials, Client: client.session(), Contact: c, Binding: b, Origin: f.Origin, Details: session.Details{
		Limited: true, Scope: session.Narrow(f.Scope, strings.Join(client.Scopes, " ")), Audience: audience, AuthTime: f.SignedInAt.Truncate(time.Second)}})
	if err != nil {
		return Answer{}, invalidGrant(err)
	}
	err = s.Store.UpdateFlow(ctx, k, func(stored *Flow) error {
		stored.Session = g.Session.ID
		f = *stored
		return nil
	})
	if err != nil {
		// Nobody could end this session if the code came again.
		_ = s.Sessions.End(ctx, g.Session.ID, wire.ReasonReuseDetected)
		return Answer{}, settle(err)
	}
	if f.Reused { // while the session was being started
		return Answer{}, s.reused(ctx, f)
	}
	s.Logger.Info("signed in", "user", f.UserID, "session", g.Session.ID.String(), "client", f.ClientID, "address", c.Address.String())
	a := answer(g)
	a.IDToken, err = s.idToken(ctx, g, f.Nonce)
	return a, err
}

// redeemedFor is the audience of the tokens that a flow is redeemed for. resource is
// that of the token request, which may not differ from that of the authorization
// request (RFC 8707 §2.2).
func (s *Server) redeemedFor(client Client, f Flow, resource string) (string, error) {
	if f.Resource != "" && resource != "" && !session.SameAudience(f.Resource, resource) {
		return "", form.Refuse(form.CodeInvalidTarget, "resource is not that of the authorization request")
	}
	return s.audience(client, cmp.Or(resource, f.Resource))
}

func (s *Server) reused(ctx context.Context, f Flow) error {
	if f.Session != (rotation.SessionID{}) {
		s.Logger.Warn("a code was redeemed twice; the session is ended", "event", "code_reused",
			"client", f.ClientID, "user", f.UserID, "session", f.Session.String())
		if err := s.Sessions.End(ctx, f.Session, wire.ReasonReuseDetected); err != nil && !errors.Is(err, session.ErrNotFound) {
			return err
		}
	}
	return form.Refuse(form.CodeInvalidGrant, "the code has been used already; the session that it was used for is ended")
}
