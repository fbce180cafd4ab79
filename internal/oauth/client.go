package oauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// clientID is what ids may look like: safe in logs, URLs and Basic credentials.
var clientID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// InvalidError says what is wrong with a client that was to be added.
type InvalidError struct{ Problem string }

func (e *InvalidError) Error() string { return e.Problem }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// check is the rule for clients.
func (c Client) check(confidential bool) error {
	if !clientID.MatchString(c.ID) {
		return invalid("client id %q: use up to 128 letters, digits, dots, dashes and underscores, and begin with a letter or digit", c.ID)
	}
	if n := utf8.RuneCountInString(c.Name); n > 100 || !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return invalid("client name: at most 100 printable characters")
	}
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri, confidential); err != nil {
			return err
		}
	}
	for _, uri := range c.LogoutURIs {
		if err := checkRedirectURI(uri, confidential); err != nil {
			return err
		}
	}
	return c.checkGrants()
}

// checkGrants is the rule for what a client may have.
func (c Client) checkGrants() error {
	if len(c.Scopes) == 0 {
		return invalid("client %s has no scope: --scope says all that it may ever ask for, like \"openid profile orders:read\"", c.ID)
	}
	for _, s := range c.Scopes {
		if !wire.ValidPermission(s) {
			return invalid("scope %q: use the identity scopes %s, and permissions like orders:read", s, strings.Join(wire.IdentityScopes, ", "))
		}
	}
	for _, a := range c.Audiences {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.Contains(a, "#") {
			return invalid("audience %q: give the URL of an API, without a fragment (RFC 8707 §2)", a)
		}
	}
	if c.IDTokenAlg != "" && !slices.Contains(idTokenAlgs, c.IDTokenAlg) {
		return invalid("algorithm of ID tokens %q: use %s", c.IDTokenAlg, strings.Join(idTokenAlgs, ", "))
	}
	return nil
}

// DefaultIDTokenAlg is what every client of OpenID Connect knows (Core §15.1).
const DefaultIDTokenAlg = "RS256"

var idTokenAlgs = []string{DefaultIDTokenAlg, "ES256", "EdDSA"}

func (c Client) idTokenAlg() string { return cmp.Or(c.IDTokenAlg, DefaultIDTokenAlg) }

// Credentials are how a request says which client it is from.
type Credentials struct {
	ID     string
	Secret string // empty: none was sent
}

// Client returns the client with these credentials, or refuses it with
// invalid_client. It says the same of an unknown client and a wrong secret.
func (s *Server) Client(ctx context.Context, cred Credentials) (Client, error) {
	c, err := s.client(ctx, cred.ID)
	sum := sha256.Sum256([]byte(cred.Secret))
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return Client{}, settle(err)
	case c.Public() && cred.Secret == "":
		return c, nil
	case !c.Public() && subtle.ConstantTimeCompare(sum[:], c.SecretHash) == 1,
		s.now().Before(c.OldSecretUntil) && subtle.ConstantTimeCompare(sum[:], c.OldSecretHash) == 1:
		return c, nil
	}
	return Client{}, form.Refuse(form.CodeInvalidClient, "the client is unknown or its authentication is wrong")
}

// client looks a client up. The one of the native surface is always there.
func (s *Server) client(ctx context.Context, id string) (Client, error) {
	c, err := s.Store.Client(ctx, id)
	if errors.Is(err, ErrNotFound) && id == s.NativeClient {
		return Client{ID: id}, nil
	}
	return c, err
}

// SessionClient is a registered client as sessions see it, as if it had
// authenticated, and what the access tokens of its sessions are limited to: all
// that it may ask for, for its first audience.
func (s *Server) SessionClient(ctx context.Context, id string) (session.Client, session.Details, error) {
	c, err := s.client(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return session.Client{}, session.Details{}, err
	}
	if err != nil {
		return session.Client{}, session.Details{}, settle(err)
	}
	audience, err := s.audience(c, "")
	return c.session(), session.Details{Limited: true, Scope: strings.Join(c.Scopes, " "), Audience: audience}, err
}

// session is the client of a request as sessions see it; c is nil if the request
// names none. [Server.Client] has checked the secret.
func (c *Client) session() session.Client {
	if c == nil {
		return session.Client{}
	}
	return session.Client{ID: c.ID, Authenticated: !c.Public()}
}

// refused is what the client of a request, which may be nil, is told of an error
// of package session.
func (c *Client) refused(err error) error {
	switch {
	case errors.Is(err, session.ErrScope):
		return form.Refuse(form.CodeInvalidScope, "the scope exceeds what was granted at the sign-in")
	case errors.Is(err, session.ErrAudience):
		return form.Refuse(form.CodeInvalidTarget, "resource is not that of the session")
	case !errors.Is(err, session.ErrClient):
		return invalidGrant(err)
	case c == nil:
		return form.Refuse(form.CodeInvalidClient, "the client must authenticate")
	}
	return form.Refuse(form.CodeInvalidGrant, "the token was issued to another client")
}

// Clients returns all registered clients in order of id.
func (s *Server) Clients(ctx context.Context) ([]Client, error) {
	list, err := s.Store.Clients(ctx)
	return list, settle(err)
}

// AddClient registers a client. A confidential one gets a secret, which is
// returned and not kept. The error may be an *InvalidError or ErrExists.
func (s *Server) AddClient(ctx context.Context, c Client, confidential bool) (secret string, err error) {
	if err := c.check(confidential); err != nil {
		return "", err
	}
	c.SecretHash = nil
	if confidential {
		secret, c.SecretHash = s.secret()
	}
	c.CreatedAt = s.now()
	// A client that reads the key set as soon as it is there finds its key.
	if err := s.Tokens.Ensure(ctx, c.idTokenAlg()); err != nil {
		return "", settle(err)
	}
	err = s.Store.AddClient(ctx, c)
	if errors.Is(err, ErrExists) {
		return "", err
	}
	return secret, settle(err)
}

// secret is a new secret and what is stored of it.
func (s *Server) secret() (secret string, hash []byte) {
	secret = s.random()
	sum := sha256.Sum256([]byte(secret))
	return secret, sum[:]
}

// UpdateClient changes a registered client (but for its id and its secrets). If that
// takes scopes or audiences away, the sessions that it started end, and ended is
// true: they were granted more than it may have. The error may be an *InvalidError
// or ErrNotFound.
func (s *Server) UpdateClient(ctx context.Context, id string, change func(*Client)) (ended bool, err error) {
	var alg string
	err = s.Store.UpdateClient(ctx, id, func(c *Client) error {
		before := *c
		change(c)
		c.ID, c.SecretHash = before.ID, before.SecretHash
		alg = c.idTokenAlg()
		ended = lacks(before.Scopes, c.Scopes) || lacks(before.Audiences, c.Audiences)
		return c.check(!c.Public())
	})
	var wrong *InvalidError
	switch {
	case errors.Is(err, ErrNotFound), errors.As(err, &wrong):
		return false, err
	case err != nil:
		return false, settle(err)
	}
	if err = s.Tokens.Ensure(ctx, alg); err != nil {
		err = settle(err)
	} else if ended {
		err = s.endSessions(ctx, id)
	}
	return ended, err
}

// lacks reports whether something of before is not in after.
func lacks(before, after []string) bool {
	return slices.ContainsFunc(before, func(b string) bool { return !slices.Contains(after, b) })
}

// ErrPublic is for a client that has no secret.
var ErrPublic = errors.New("oauth: the client has no secret")

// RotateSecret gives a confidential client a new secret, which is returned and not
// kept. The one before is good for as long as overlap says. The error may be
// ErrNotFound or ErrPublic.
func (s *Server) RotateSecret(ctx context.Context, id string, overlap time.Duration) (secret string, err error) {
	secret, hash := s.secret()
	err = s.Store.UpdateClient(ctx, id, func(c *Client) error {
		if c.Public() {
			return ErrPublic
		}
		c.OldSecretHash, c.OldSecretUntil = c.SecretHash, s.now().Add(overlap)
		c.SecretHash = hash
		return nil
	})
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrPublic):
		return "", err
	case err != nil:
		return "", settle(err)
	}
	return secret, nil
}

// RemoveClient removes a client and ends the sessions that it started.
func (s *Server) RemoveClient(ctx context.Context, id string) error {
	if err := s.Store.RemoveClient(ctx, id); errors.Is(err, ErrNotFound) {
		return err
	} else if err != nil {
		return settle(err)
	}
	return s.endSessions(ctx, id)
}

// endSessions ends the sessions that a client started.
func (s *Server) endSessions(ctx context.Context, id string) error {
	const page = 500
	var before rotation.SessionID
	for {
		list, err := s.Sessions.Page(ctx, "", before, page)
		if err != nil {
			return err
		}
		for _, sess := range list {
			if sess.ClientID != id {
				continue
			}
			if err := s.Sessions.End(ctx, sess.ID, wire.ReasonEndedByAdmin); err != nil && !errors.Is(err, session.ErrNotFound) {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		before = list[len(list)-1].ID
	}
}

// random is 256 random bits as text.
func (s *Server) random() string {
	var b [32]byte
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		panic(fmt.Sprintf("oauth: random source failed: %v", err)) // crypto/rand never fails
	}
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// now is the clock in the resolution that stores keep.
func (s *Server) now() time.Time { return s.Sessions.Now() }
