package verify

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/wire"
)

// Defaults of [Config].
const (
	DefaultLeeway        = 60 * time.Second
	DefaultRemember      = 8192
	DefaultMaxTokenBytes = 8192
)

// Config is what a [Verifier] needs to know. Issuer, Audience and Keys are
// required.
type Config struct {
	// Issuer must be the token's iss, byte for byte.
	Issuer string
	// Audience must be the token's aud or one of them: the name of this
	// resource server.
	Audience string
	// Keys are the issuer's: a [KeySet], [StaticKeys] or [KeysFunc].
	Keys Keys
	// Liveness is asked on every request after the token was found good. Nil:
	// ended sessions and old grants end with the token's life.
	Liveness Liveness
	// Grants are the grants of a token's user now, if its session lives; otherwise the
	// error is one of Liveness. A token that keeps its grants (wire.AccessClaims), whose
	// grants have changed, is then good for what both allow. Nil: it is refused, as
	// every other one.
	Grants func(ctx context.Context, t *Token) (Grants, error)
	// Leeway allows for clocks that differ: on exp, iat and nbf. Zero:
	// DefaultLeeway; negative: none, as is right in the issuer's own process.
	// With a Feed, leeway and the error of the clocks together must stay below
	// wire.FeedMargin seconds.
	Leeway time.Duration
	// Ahead allows for issuers whose clock is ahead of ours, on iat and nbf alone.
	// Zero: as much as Leeway.
	Ahead time.Duration
	// Clock is the time. Nil: time.Now.
	Clock func() time.Time
	// Remember is how many verified tokens are remembered, rounded up to a power
	// of two; each takes about 1 KB (measured with a token of 450 bytes). Zero:
	// DefaultRemember; negative: none.
	Remember int
	// MaxTokenBytes refuses longer tokens unread. Zero: DefaultMaxTokenBytes.
	MaxTokenBytes int
	// Origin is the scheme and authority by which clients know this server,
	// "https://api.example.com": what proofs of possession are made for (RFC 9449
	// §4.3). Empty: as the request has it, which is right where no proxy is in
	// between that ends TLS or changes Host.
	Origin string
	// Realm is the realm of the challenge (RFC 9110 §11.5). Empty: none.
	Realm string
	// ResourceMetadata is the URL of [Verifier.ResourceMetadata], for the challenge
	// (RFC 9728 §5.1). Empty: none.
	ResourceMetadata string
	// WriteProblem writes the body of a refusal in the house style of the API.
	// Status-independent headers, WWW-Authenticate among them, are set; it sets
	// Content-Type and writes p.Status and the body. Nil: application/problem+json.
	WriteProblem func(w http.ResponseWriter, r *http.Request, p wire.Problem)
}

// Liveness knows which sessions have ended and whose grants have changed.
type Liveness interface {
	// Live returns nil, ErrSessionEnded, ErrStaleGrants, or an error that wraps
	// ErrUnavailable (as any other error is treated). It is called on every
	// request and should not wait for anything.
	Live(ctx context.Context, t *Token) error
}

// Grants are what a user may do.
type Grants struct {
	Roles, Permissions []string
	Version            int64
}

// LivenessFunc is a function as [Liveness].
type LivenessFunc func(ctx context.Context, t *Token) error

// Live calls f.
func (f LivenessFunc) Live(ctx context.Context, t *Token) error { return f(ctx, t) }

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	issuer, audience, realm string
	metadata                string
	origin                  string
	proofs                  *dpop.Replays
	keys                    Keys
	live                    Liveness
	grants                  func(context.Context, *Token) (Grants, error)
	leeway, ahead           time.Duration
	now                     func() time.Time
	seen                    *remembered // nil: none
	maxBytes                int
	writeProblem            func(http.ResponseWriter, *http.Request, wire.Problem)
}

// New returns a Verifier, or an error that says what is missing in c.
func New(c Config) (*Verifier, error) {
	switch {
	case c.Issuer == "":
		return nil, errors.New("verify: Config.Issuer is empty; it must be the iss of the tokens, e.g. https://auth.example.com")
	case c.Audience == "":
		return nil, errors.New("verify: Config.Audience is empty; it must be the aud that the tokens for this server carry")
	case c.Keys == nil:
		return nil, errors.New("verify: Config.Keys is nil; use NewKeySet with the issuer's JWKS")
	case c.MaxTokenBytes < 0:
		return nil, fmt.Errorf("verify: Config.MaxTokenBytes is %d; it cannot be negative", c.MaxTokenBytes)
	case !quotable(c.ResourceMetadata):
		return nil, errors.New("verify: Config.ResourceMetadata must be a URL")
	case !quotable(c.Realm):
		return nil, errors.New("verify: Config.Realm must be printable ASCII without quote and backslash")
	}
	v := &Verifier{
		issuer: c.Issuer, audience: c.Audience, realm: c.Realm, metadata: c.ResourceMetadata, origin: strings.TrimSuffix(c.Origin, "/"),
		keys: c.Keys, live: c.Liveness, grants: c.Grants, now: c.Clock, writeProblem: c.WriteProblem,
		leeway: c.Leeway, maxBytes: c.MaxTokenBytes, proofs: &dpop.Replays{},
	}
	if v.now == nil {
		v.now = time.Now
	}
	if c.Leeway == 0 {
		v.leeway = DefaultLeeway
	}
	v.leeway = max(v.leeway, 0)
	if v.ahead = c.Ahead; c.Ahead == 0 {
		v.ahead = v.leeway
	}
	if v.maxBytes == 0 {
		v.maxBytes = DefaultMaxTokenBytes
	}
	if c.Remember == 0 {
		c.Remember = DefaultRemember
	}
	if c.Remember > 0 {
		v.seen = newRemembered(c.Remember)
	}
	if v.writeProblem == nil {
		v.writeProblem = writeProblem
	}
	return v, nil
}

// ForAnyAudience is the verifier for tokens of the issuer whoever they are meant
// for: what an authorization server itself needs, to tell about its tokens and to
// revoke them. A resource server must not use it.
func (v *Verifier) ForAnyAudience() *Verifier {
	w := *v
	w.audience, w.seen = "", nil // what is remembered has been checked for an audience
	return &w
}

// Verify checks a token, as it stands after "Bearer ". The error is of the family
// ErrInvalidToken or ErrUnavailable, or the context's; or ErrEncryptionRequired
// for a token that is bound to a key which the request of this context is not
// encrypted under; or ErrBound for one that is good only with a proof of
// possession ([Verifier.Authenticate] looks at those).
func (v *Verifier) Verify(ctx context.Context, raw string) (*Token, error) {
	t, err := v.verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if err := holds(ctx, t); err != nil {
		return nil, err
	}
	return t, nil
}

// VerifySignature checks a token as [Verifier.Verify] does, but for what time
// changes: it may have expired, and its session may be over. It is for those who
// end something with a token, such as sign-out, and grant nothing.
func (v *Verifier) VerifySignature(ctx context.Context, raw string) (*Token, error) {
	t, _, err := v.authentic(ctx, raw)
	if err != nil {
		return nil, err
	}
	if err := holds(ctx, t); err != nil {
		return nil, err
	}
	return t, nil
}

// holds returns an error if a token is bound to a key that the request of this
// context has nothing of.
func holds(ctx context.Context, t *Token) error {
	if t.proofKey != "" && !possessed(ctx, t.proofKey) {
		return ErrBound
	}
	if t.encryptionKey != "" {
		if key, _ := EncryptedWith(ctx); key != t.encryptionKey {
			return ErrEncryptionRequired
		}
	}
	return nil
}

// authentic checks the signature of a token and what does not change with time,
// and returns the key that it was signed with.
func (v *Verifier) authentic(ctx context.Context, raw string) (*Token, crypto.PublicKey, error) {
	if len(raw) > v.maxBytes {
		return nil, nil, ErrMalformed
	}
	c, err := parseCompact(raw)
	if err != nil {
		return nil, nil, err
	}
	key, err := v.keys.Key(ctx, c.KeyID)
	if err != nil {
		return nil, nil, err
	}
	if err := checkSignature(&c, key); err != nil {
		return nil, nil, err
	}
	t, err := v.parseClaims(&c)
	return t, key, err
}

func (v *Verifier) verify(ctx context.Context, raw string) (*Token, error) {
	if v.seen != nil {
		if s := v.seen.get(raw); s != nil {
			// A key that was withdrawn takes its tokens with it.
			key, err := v.keys.Key(ctx, s.token.kid)
			if err != nil {
				return nil, err
			}
			if sameKey(s.key, key) {
				return v.current(ctx, s.token)
			}
		}
	}
	t, key, err := v.authentic(ctx, raw)
	if err != nil {
		return nil, err
	}
	// One that has expired would take a place from one that lives.
	if v.seen != nil && v.checkTimes(t, v.now()) == nil {
		v.seen.put(seen{raw: raw, token: t, key: key})
	}
	return v.current(ctx, t)
}

// current checks what can change while a token lives.
func (v *Verifier) current(ctx context.Context, t *Token) (*Token, error) {
	if err := v.checkTimes(t, v.now()); err != nil {
		return nil, err
	}
	if v.live != nil {
		err := v.live.Live(ctx, t)
		if t.keepsGrants && v.grants != nil && errors.Is(err, ErrStaleGrants) {
			g, err := v.grants(ctx, t)
			if err != nil {
				return nil, err
			}
			return t.narrowed(g), nil
		}
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}
