package idp

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
)

// PendingLifetime is how long somebody may take at the provider.
const PendingLifetime = 15 * time.Minute

// leeway is how much a provider's clock may be ahead.
const leeway = 5 * time.Minute

// pending is a sign-in under way, as it is left with the browser.
type pending struct {
	Provider string
	State    string
	Nonce    string
	Verifier string // RFC 7636 §4.1
	Then     string
	Until    int64 // milliseconds since 1970
}

const pendingLabel = "tacet sign-in at a provider v1"

// Began is where the browser goes, and what it must bring back.
type Began struct {
	Location string // of the provider
	State    string
	Sealed   string // for Finish; of this browser only, and secret from others
}

// Begin begins a sign-in. then is handed back by Finish, authenticated. The
// error is ErrUnknown or a *DownError.
func (s *Service) Begin(ctx context.Context, id, then string) (Began, error) {
	p, err := s.provider(id)
	if err != nil {
		return Began{}, err
	}
	k, err := p.discover(ctx)
	if err != nil {
		return Began{}, err
	}
	text := base64.RawURLEncoding.EncodeToString
	w := pending{Provider: id, State: text(s.random(32)), Nonce: text(s.random(32)), Verifier: text(s.random(32)),
		Then: then, Until: s.Clock().Add(PendingLifetime).UnixMilli()}
	plain, err := json.Marshal(w)
	if err != nil {
		return Began{}, err
	}
	return Began{
		Location: k.oauth.AuthCodeURL(w.State, oidc.Nonce(w.Nonce), oauth2.S256ChallengeOption(w.Verifier)),
		State:    w.State,
		Sealed:   s.Sealer.SealLabelled(pendingLabel, plain),
	}, nil
}

// Arrival is somebody who has come back from a provider.
type Arrival struct {
	UserID string
	Origin session.Origin
	Then   string // as Begin was given it; also beside an error, if it is known
}

// Finish takes the provider's response, which the browser brought as parameters,
// with what Begin left there. The error is ErrUnknown, ErrState, a
// *RefusedError, an *InvalidError, a *DownError, ErrDisabled, ErrNoRole or an
// outage.
func (s *Service) Finish(ctx context.Context, id string, answer map[string]string, sealed string) (Arrival, error) {
	p, err := s.provider(id)
	if err != nil {
		return Arrival{}, err
	}
	w, ok := s.open(ctx, sealed)
	if !ok || w.Provider != id || subtle.ConstantTimeCompare([]byte(w.State), []byte(answer["state"])) != 1 {
		return Arrival{}, ErrState
	}
	a := Arrival{Then: w.Then}
	// Who answers is not who was asked: a mix-up (RFC 9207 §2.4).
	if iss, ok := answer["iss"]; ok && iss != p.Issuer {
		return a, invalid("the response is from another issuer than %s", p.Issuer)
	}
	if code := answer["error"]; code != "" {
		return a, &RefusedError{code}
	}
	k, err := p.discover(ctx)
	if err != nil {
		return a, err
	}
	if k.answersIss && answer["iss"] == "" {
		return a, invalid("the response does not say who gives it, which this provider always does (RFC 9207)")
	}
	if answer["code"] == "" {
		return a, invalid("the response has neither a code nor an error")
	}
	token, c, err := p.redeem(ctx, k, answer["code"], w)
	if err != nil {
		return a, err
	}
	a.Origin = session.Origin{Issuer: p.Issuer, Subject: token.Subject, Vouched: token.IssuedAt.UTC()}
	if sid := c.text("sid"); sid != nil && storable(*sid) {
		a.Origin.SID = *sid
	}
	a.UserID, err = s.receive(ctx, p, token.Subject, c)
	return a, err
}

func (s *Service) open(ctx context.Context, sealed string) (w pending, ok bool) {
	plain, ok := s.Sealer.OpenLabelled(ctx, pendingLabel, sealed)
	if !ok || json.Unmarshal(plain, &w) != nil || w.State == "" {
		return w, false
	}
	return w, s.Clock().UnixMilli() < w.Until
}

// redeem trades the code for an ID token (OpenID Connect Core §3.1.3) and checks
// it; its claims come with those of the UserInfo endpoint, if those are needed.
func (p *Provider) redeem(ctx context.Context, k *known, code string, w pending) (*oidc.IDToken, claims, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.http), 2*callTimeout)
	defer cancel()
	grant, err := k.oauth.Exchange(ctx, code, oauth2.VerifierOption(w.Verifier))
	if err != nil {
		return nil, nil, p.exchangeError(err)
	}
	raw, _ := grant.Extra("id_token").(string)
	if err := k.keys.prepare(ctx, raw, k.algorithms); err != nil {
		return nil, nil, &DownError{p.Name, err}
	}
	token, err := k.tokens.Verify(ctx, raw)
	if err != nil {
		return nil, nil, invalid("its ID token is not good: %v", err)
	}
	var c claims
	if err := token.Claims(&c); err != nil {
		return nil, nil, invalid("its ID token can't be read: %v", err)
	}
	if err := p.check(token, c, grant, w); err != nil {
		return nil, nil, err
	}
	if p.enough(c) || k.oidc.UserInfoEndpoint() == "" {
		return token, c, nil
	}
	info, err := k.oidc.UserInfo(ctx, oauth2.StaticTokenSource(grant))
	if err != nil {
		return nil, nil, &DownError{p.Name, err}
	}
	if info.Subject != token.Subject { // Core §5.3.2
		return nil, nil, invalid("its UserInfo endpoint answered about somebody else")
	}
	more := claims{}
	if err := info.Claims(&more); err != nil {
		return nil, nil, invalid("the response of its UserInfo endpoint can't be read: %v", err)
	}
	for name, v := range c { // what is signed goes first
		more[name] = v
	}
	return token, more, nil
}

// check is what Core §3.1.3.7 and §3.1.3.8 ask for beyond signature, issuer,
// audience and expiry.
func (p *Provider) check(token *oidc.IDToken, c claims, grant *oauth2.Token, w pending) error {
	azp := c.text("azp")
	switch {
	case !storable(token.Subject) || token.Subject == "":
		return invalid("its ID token has a subject that is empty, too long or no text")
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(w.Nonce)) != 1:
		return invalid("its ID token has another nonce: it was made for another sign-in")
	case azp != nil && *azp != p.ClientID, azp == nil && len(token.Audience) > 1:
		return invalid("its ID token was made for another client (azp)")
	case token.IssuedAt.IsZero() || token.IssuedAt.After(p.clock().Add(leeway)):
		return invalid("its ID token is from the future, or does not say when it was made: compare the clocks")
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(grant.AccessToken); err != nil {
			return invalid("its ID token belongs to another access token (at_hash)")
		}
	}
	return nil
}

// enough reports whether the ID token says all that is wanted. With the code
// flow providers may keep it for the UserInfo endpoint (Core §5.4).
func (p *Provider) enough(c claims) bool {
	named := c["name"] != nil || c["preferred_username"] != nil
	return named && c["email"] != nil && (len(p.Roles) == 0 || c.find(p.RolesClaim) != nil)
}

// exchangeError: a provider that says no has an opinion, all else is an outage.
func (p *Provider) exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil || refused.Response.StatusCode >= http.StatusInternalServerError ||
		refused.Response.StatusCode == http.StatusTooManyRequests {
		return &DownError{p.Name, err}
	}
	if refused.ErrorCode == "" {
		return invalid("it refused the code with status %d", refused.Response.StatusCode)
	}
	return invalid("it refused the code with %q", printable(refused.ErrorCode))
}

// receive makes the person that the claims are about a user.
func (s *Service) receive(ctx context.Context, p *Provider, subject string, c claims) (userID string, err error) {
	roles := p.rolesOf(c)
	if p.RequireRole && len(roles) == 0 {
		return "", ErrNoRole
	}
	who := directory.Person{Issuer: p.Issuer, Subject: subject, Provider: p.ID, DisplayName: c.text("name"), Roles: roles}
	if name := c.text("preferred_username"); name != nil {
		who.Username = *name
	}
	// An address that is not known to be theirs is one that anybody may have given.
	if email := c.text("email"); email != nil && c.yes("email_verified") {
		who.Email = email
		if who.Username == "" {
			who.Username = *email
		}
	} else if email != nil {
		none := ""
		who.Email = &none
	}
	u, err := s.Users.Receive(ctx, who)
	if err != nil {
		return "", err
	}
	for _, role := range roles {
		if !strings.Contains(" "+strings.Join(u.Roles, " ")+" ", " "+role+" ") {
			s.Logger.Warn("a provider maps to a role that does not exist; nobody gets it", "provider", p.ID, "role", role)
		}
	}
	return u.ID, nil
}

// maxSubject is the limit of OpenID Connect Core §2.
const maxSubject = 255

// storable reports whether a sub or sid can be kept and looked for.
func storable(s string) bool {
	return len(s) <= maxSubject && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 64)]
}
