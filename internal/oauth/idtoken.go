package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// IDClaims is the payload of an ID token (OpenID Connect Core §2) and, without
// what is about the token, of the UserInfo response (§5.3).
type IDClaims struct {
	Issuer    string `json:"iss,omitempty"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"` // seconds since the epoch
	IssuedAt  int64  `json:"iat,omitempty"`
	AuthTime  int64  `json:"auth_time,omitempty"` // when the user signed in
	Nonce     string `json:"nonce,omitempty"`     // not in that of a renewal
	Party     string `json:"azp,omitempty"`
	SessionID string `json:"sid,omitempty"`
	// AccessTokenHash binds the ID token to the access token beside it.
	AccessTokenHash string `json:"at_hash,omitempty"`

	Username string `json:"preferred_username,omitempty"` // scope profile
	Name     string `json:"name,omitempty"`               // scope profile

	Email         string `json:"email,omitempty"` // scope email
	EmailVerified *bool  `json:"email_verified,omitempty"`

	Roles  []string `json:"roles,omitempty"`  // scope roles
	Groups []string `json:"groups,omitempty"` // the same, under the name that most clients know
}

// idToken makes the ID token of a grant, if the scope of its session has openid
// (OpenID Connect Core §3.1.3.3, §12.2).
func (s *Server) idToken(ctx context.Context, g session.Grant, nonce string) (string, error) {
	d, err := session.DecodeDetails(g.Session.Details)
	if err != nil || !hasScope(d.Scope, wire.ScopeOpenID) {
		return "", settle(err)
	}
	// That of the grant may leave out what only ID tokens tell.
	user, err := s.Sessions.User(ctx, g.Session.UserID)
	if err != nil {
		return "", invalidGrant(err)
	}
	now := s.now()
	c := IDClaims{
		Issuer: s.Sessions.Issuer(), Subject: user.ID, Audience: g.Session.ClientID, Party: g.Session.ClientID,
		ExpiresAt: now.Unix() + g.ExpiresIn, IssuedAt: now.Unix(), AuthTime: unix(d.AuthTime), Nonce: nonce, SessionID: g.Session.ID.String(),
	}
	c.about(user, d.Scope)
	client, err := s.client(ctx, g.Session.ClientID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", settle(err)
	}
	alg := client.idTokenAlg()
	c.AccessTokenHash = halfHash(alg, g.AccessToken)
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	token, err := s.Tokens.SignJWT(ctx, alg, payload)
	return token, settle(err)
}

// halfHash is at_hash: the left half of the hash that an algorithm uses (OpenID
// Connect Core §3.1.3.6), which is SHA-512 for Ed25519.
func halfHash(alg, token string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
}

// about adds what a scope tells of a user.
func (c *IDClaims) about(u session.User, scope string) {
	if hasScope(scope, wire.ScopeProfile) {
		c.Username, c.Name = u.Username, u.DisplayName
	}
	if hasScope(scope, wire.ScopeEmail) && u.Email != "" {
		verified := true // by whoever keeps the users: nobody sets an address of their own
		c.Email, c.EmailVerified = u.Email, &verified
	}
	if hasScope(scope, wire.ScopeRoles) {
		c.Roles, c.Groups = u.Roles, u.Roles
	}
}

// UserInfo is what the UserInfo endpoint tells of a user by this scope (OpenID
// Connect Core §5.3).
func UserInfo(u session.User, scope string) IDClaims {
	c := IDClaims{Subject: u.ID}
	c.about(u, scope)
	return c
}

// hint are the claims of an id_token_hint, which may have expired; false: it is no ID
// token of this server, or not for the client that is named (if one is).
func (s *Server) hint(raw, clientID string) (c IDClaims, ok bool) {
	payload, ok := s.Tokens.VerifyJWT(raw)
	if !ok || json.Unmarshal(payload, &c) != nil {
		return IDClaims{}, false
	}
	return c, c.Issuer == s.Sessions.Issuer() && (clientID == "" || c.Audience == clientID)
}

// SignOut ends the session that an ID token names, also one that has expired,
// and returns the client that it was for. ok is false if the hint is not an ID
// token of this server, or not for the client that is named (if one is); then
// nothing ends. OpenID Connect RP-Initiated Logout §2.
func (s *Server) SignOut(ctx context.Context, hint, clientID string) (c Client, ok bool, err error) {
	claims, ok := s.hint(hint, clientID)
	if !ok {
		return Client{}, false, nil
	}
	id, err := rotation.ParseSessionID(claims.SessionID)
	if err != nil {
		return Client{}, false, nil
	}
	sess, err := s.Sessions.Living(ctx, id)
	var over *session.Refusal
	switch {
	case err == nil && sess.ClientID == claims.Audience:
		err = s.Sessions.End(ctx, id, wire.ReasonSignedOut)
	case errors.As(err, &over):
		err = nil
	}
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return Client{}, false, settle(err)
	}
	c, err = s.client(ctx, claims.Audience)
	if errors.Is(err, ErrNotFound) {
		return Client{ID: claims.Audience}, true, nil
	}
	return c, true, settle(err)
}

// LogoutClient is the client that wants to know when its user is signed out,
// without an ID token; unknown ones have no LogoutURIs.
func (s *Server) LogoutClient(ctx context.Context, id string) (Client, error) {
	c, err := s.client(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Client{}, nil
	}
	return c, settle(err)
}

// unix is for claims that are left out where there is no time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// algorithms are those of ID tokens that are in use, and the default.
func (s *Server) algorithms() []string {
	list := []string{DefaultIDTokenAlg}
	for _, alg := range s.Tokens.IDTokenAlgorithms() {
		if alg != DefaultIDTokenAlg {
			list = append(list, alg)
		}
	}
	return list
}
