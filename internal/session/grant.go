package session

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Grant is what a sign-in or a renewal gives.
type Grant struct {
	AccessToken string
	TokenType   string // "Bearer", or "DPoP" (RFC 9449 §5)
	ExpiresIn   int64  // seconds
	// RefreshToken is empty when the presentation was a slow duplicate: the
	// client holds a newer one already.
	RefreshToken string
	Generation   uint32 // of RefreshToken
	// Carried is whether the access token carries the refresh token; then
	// RefreshToken is empty.
	Carried   bool
	Scope     string // of the access token
	Session   Session
	ExpiresAt time.Time // zero: no limit
	User      User
}

// TokenType is the token_type of access tokens that are bound to this key by
// proofs of possession; empty: to none.
func TokenType(proofKey string) string {
	if proofKey == "" {
		return "Bearer"
	}
	return "DPoP"
}

// response is what a grant is made of. The session is as it is after the decision.
type response struct {
	session Session
	user    User
	binding Binding
	scope   string // that the request asks for; empty: all
	mints   bool   // a refresh token; else the presentation was a slow duplicate
	// presented is the token, if others present it as well.
	presented *rotation.Token
	now       time.Time
}

// grant makes the tokens: the one place where a session's tokens are signed.
func (s *Service) grant(r response) (Grant, rotation.Token, error) {
	sess := r.session
	claims, err := s.claims(sess, r.user, r.binding, r.scope)
	if err != nil {
		return Grant{}, rotation.Token{}, err
	}
	key := signingKey{duplicate: !r.mints}
	if r.mints {
		s.begin(&claims, r.now, r.binding)
	} else {
		s.beginOverlap(&claims, sess.State, r.now, r.binding)
		key.token = rotation.Token{Session: sess.ID, Generation: sess.State.Head.Generation, Tag: sess.State.Head.Tag}
	}
	g := Grant{
		TokenType: TokenType(r.binding.ProofKey),
		Carried:   r.mints && r.binding.Carried,
		Scope:     claims.Scope,
		Session:   sess,
		ExpiresAt: s.ExpiresAt(sess),
		User:      r.user,
	}
	var child rotation.Token
	if r.mints {
		var tag rotation.Tag
		s.random(tag[:])
		child = rotation.Child(sess.ID, sess.State.Head, tag)
		g.Generation = child.Generation
		if g.Carried {
			claims.Chain = carry(child)
		} else {
			g.RefreshToken = rotation.Seal(s.cfg.Keys.MAC(), child)
		}
	}
	if r.presented == nil || g.Carried {
		g.AccessToken, err = s.cfg.Keys.Sign(claims)
	} else {
		if r.mints {
			key.token = *r.presented
		}
		g.AccessToken, claims, err = s.shared.sign(key, claims, s.cfg.Keys.Sign)
	}
	if err != nil {
		return Grant{}, rotation.Token{}, unavailable(fmt.Errorf("sign access token: %w", err))
	}
	g.ExpiresIn = claims.ExpiresAt - r.now.Unix()
	return g, child, nil
}

// claims are those of an access token, but for its identifier and its times.
func (s *Service) claims(sess Session, u User, b Binding, scope string) (wire.AccessClaims, error) {
	c := wire.AccessClaims{
		Issuer:        s.cfg.Issuer,
		Subject:       u.ID,
		Audience:      s.cfg.Audience,
		ClientID:      sess.ClientID,
		SessionID:     sess.ID.String(),
		Roles:         u.Roles,
		Scope:         u.Scope,
		GrantsVersion: u.GrantsVersion,
		EncryptionKey: b.EncryptionKey,
		KeepsGrants:   b.KeepsGrants,
	}
	if b.ProofKey != "" {
		c.Confirmation = &wire.Confirmation{KeyThumbprint: b.ProofKey}
	}
	if sess.Details == "" && scope == "" {
		return c, nil
	}
	d, err := DecodeDetails(sess.Details)
	if err != nil {
		return c, unavailable(err)
	}
	d.apply(&c, scope)
	return c, nil
}

// begin gives an access token its identifier and its times.
func (s *Service) begin(c *wire.AccessClaims, now time.Time, b Binding) {
	var r [24]byte
	s.random(r[:])
	identify(c, now, r[:], s.lifetime(b))
}

func (s *Service) lifetime(b Binding) time.Duration {
	if b.Lifetime > 0 {
		return b.Lifetime
	}
	return s.cfg.Lifetimes.Access
}

// beginOverlap is begin for a slow duplicate. All presentations in one overlap get
// one and the same access token, at every node, however many tokens somebody has
// got hold of (PROTOCOL.md §9): it is made of the head, not of the moment.
func (s *Service) beginOverlap(c *wire.AccessClaims, state rotation.State, now time.Time, b Binding) {
	at := state.HeadAt
	if since := now.Sub(at); since < 0 || since > s.lifetime(b)/2 {
		at = now // the clock was set back, or the token would be at its end
	}
	seed := binary.BigEndian.AppendUint32(mustJSON(c), state.Head.Generation)
	sum := sha256.Sum256(append(seed, state.Head.Tag[:]...))
	identify(c, at, sum[:24], s.lifetime(b))
}

// identify makes the identifier of 16 bytes of r, and of 8 by how much the token
// lives less than the lifetime: up to 5 %, where that is at least a second's worth.
func identify(c *wire.AccessClaims, at time.Time, r []byte, lifetime time.Duration) {
	ttl := max(1, int64(lifetime/time.Second))
	if spread := ttl / 20; spread > 0 {
		ttl -= int64(binary.BigEndian.Uint64(r[16:]) % uint64(spread+1))
	}
	c.ID = base64.RawURLEncoding.EncodeToString(r[:16])
	c.IssuedAt, c.ExpiresAt = at.Unix(), at.Unix()+ttl // at most ttl from now, as the client is told
}

// Rebind makes an access token of a living session that is bound as b says and
// lives until the time given. Its refresh token stays what it is; chain is the
// claim of that name of the token at hand.
func (s *Service) Rebind(sess Session, u User, b Binding, chain string, until time.Time) (string, error) {
	c, err := s.claims(sess, u, b, "")
	if err != nil {
		return "", err
	}
	s.begin(&c, s.Now(), b)
	c.Chain, c.ExpiresAt = chain, until.Unix()
	token, err := s.cfg.Keys.Sign(c)
	if err != nil {
		return "", unavailable(fmt.Errorf("sign access token: %w", err))
	}
	return token, nil
}
