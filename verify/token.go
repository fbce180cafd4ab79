package verify

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// Token is a verified access token. Only a [Verifier] can make one, so a
// *Token in hand is proof that verification took place. It is immutable and may
// be shared between goroutines.
type Token struct {
	subject, session, client, id string
	audience, roles, permissions []string
	grantsVersion                int64
	keepsGrants                  bool
	issuedAt, expiresAt          time.Time
	notBefore                    time.Time // zero: none
	issuer                       string
	kid                          string
	encryptionKey                string
	chain                        string
	proofKey                     string
	acr                          string
	amr                          []string
	authTime                     time.Time // zero: unknown
	by                           *Verifier
}

// Subject is the user's id (sub).
func (t *Token) Subject() string { return t.subject }

// SessionID names the session (sid). Empty: the issuer is not Tacet, and names none.
func (t *Token) SessionID() string { return t.session }

// ClientID is the client that the token was issued to (client_id).
func (t *Token) ClientID() string { return t.client }

// ID is unique to this token (jti).
func (t *Token) ID() string { return t.id }

// Issuer is who issued the token (iss); always the verifier's.
func (t *Token) Issuer() string { return t.issuer }

// Audience returns a copy of who the token is meant for (aud).
func (t *Token) Audience() []string { return slices.Clone(t.audience) }

// IssuedAt is when the token was issued (iat), by the issuer's clock.
func (t *Token) IssuedAt() time.Time { return t.issuedAt }

// ExpiresAt is the end of the token's life (exp), by the issuer's clock.
func (t *Token) ExpiresAt() time.Time { return t.expiresAt }

// GrantsVersion is the version of the user's grants that roles and permissions
// are from; it moves with every effective change.
func (t *Token) GrantsVersion() int64 { return t.grantsVersion }

// narrowed is the token with what both it and g allow.
func (t *Token) narrowed(g Grants) *Token {
	n := *t
	n.grantsVersion, n.roles, n.permissions = g.Version, nil, nil
	for _, r := range t.roles {
		if slices.Contains(g.Roles, r) {
			n.roles = append(n.roles, r)
		}
	}
	covered := func(by []string, p string) bool {
		return slices.ContainsFunc(by, func(b string) bool { return wire.Covers(b, p) })
	}
	for _, p := range t.permissions {
		if covered(g.Permissions, p) {
			n.permissions = append(n.permissions, p)
		}
	}
	for _, p := range g.Permissions {
		if covered(t.permissions, p) && !slices.Contains(n.permissions, p) {
			n.permissions = append(n.permissions, p)
		}
	}
	return &n
}

// EncryptionKey is the thumbprint of the key that the token is bound to: it is
// good only for requests that are encrypted under it (see [Encryption]). Empty:
// it is not bound.
func (t *Token) EncryptionKey() string { return t.encryptionKey }

// ProofKey is the thumbprint of the key that whoever uses the token must prove to
// have (cnf.jkt, RFC 9449 §6.1). Empty: it is a bearer token.
func (t *Token) ProofKey() string { return t.proofKey }

// ACR is the class of the sign-in (acr, RFC 9068 §2.2.1). Empty: unknown.
func (t *Token) ACR() string { return t.acr }

// AMR returns a copy of the methods of the sign-in (amr, RFC 8176), like "otp".
func (t *Token) AMR() []string { return slices.Clone(t.amr) }

// AuthTime is when the user signed in (auth_time). Zero: unknown.
func (t *Token) AuthTime() time.Time { return t.authTime }

// Chain is the refresh token that the token carries (the claim chain) for clients
// that know only one token. Empty: none.
func (t *Token) Chain() string { return t.chain }

// Roles returns a copy of the user's roles.
func (t *Token) Roles() []string { return slices.Clone(t.roles) }

// HasRole reports whether the user holds the role. Prefer [Token.Can]: what a
// role may do can then be changed without changing code.
func (t *Token) HasRole(role string) bool { return slices.Contains(t.roles, role) }

// Permissions returns a copy of what is granted (the scope claim), wildcards
// included.
func (t *Token) Permissions() []string { return slices.Clone(t.permissions) }

// Can reports whether the token grants the permission, by the rule of
// [wire.Covers]: "orders:*" grants "orders:read".
func (t *Token) Can(permission string) bool {
	for _, p := range t.permissions {
		if wire.Covers(p, permission) {
			return true
		}
	}
	return false
}

// String names the token without showing anything that could be used.
func (t *Token) String() string {
	return strings.Join([]string{"access token", t.id, "of", t.subject}, " ")
}

type contextKey struct{}

// FromContext returns the token that the middleware found. There is none (nil,
// false) if the request was anonymous ([Verifier.Optional]) or passed no
// middleware.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(contextKey{}).(*Token)
	return t, ok && t != nil
}

// NewContext returns a context that carries t for [FromContext], for routers
// that build their own requests.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}
