package suite

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Names of what the suite compares.
const (
	rawVerify  = "ed25519.Verify alone"
	jwtVerify  = "golang-jwt, EdDSA"
	jwxVerify  = "lestrrat-go/jwx, EdDSA"
	firstTime  = "verify, first time"
	seenBefore = "verify, seen before"
)

func runVerify(ctx context.Context, e *Env, sec *report.Section) error {
	f, err := newVerifyFixture()
	if err != nil {
		return err
	}
	defer f.close()
	rounds, err := e.race(ctx, sec, &f.failed,
		contender{rawVerify, f.raw}, contender{jwtVerify, f.golangJWT}, contender{jwxVerify, f.jwx}, contender{firstTime, f.firstTime}, contender{seenBefore, f.seenBefore})
	if err != nil {
		return err
	}
	t := report.Table{Header: []string{"check", "ns", "× ed25519.Verify", "allocations", "B allocated"}}
	t.Rows = rounds.rows(rawVerify, rawVerify, jwtVerify, jwxVerify, firstTime, seenBefore)
	allocs := rounds.last(seenBefore).AllocsPerOp
	sec.Tables = []report.Table{t}
	sec.Samples = rounds
	sec.Notes = []string{
		"Tokens are as Tacet issues them (RFC 9068, EdDSA). golang-jwt 5.3 and jwx 3.3 check the same: algorithm, signature, iss, aud, exp; golang-jwt into the same claims, jwx into a map.",
		"First time: each token is checked once. Seen before: 1,000 tokens in turn.",
	}
	sec.Targets = []report.Target{
		report.AtLeast("access-token check, seen before: how much faster", "golang-jwt EdDSA verify", 50,
			rounds.versus(jwtVerify, seenBefore)),
		{What: "access-token check, seen before: allocations", Reference: "–", Goal: "0", Measured: fmt.Sprint(allocs), Met: allocs == 0},
		report.AtMost("access-token check, first time", "raw Ed25519 verify", 1.2,
			rounds.versus(firstTime, rawVerify)),
	}
	return nil
}

// verifyFixture is a key set on loopback and tokens signed with its one key.
type verifyFixture struct {
	issuer string
	srv    *http.Server
	key    ed25519.PrivateKey
	keys   *verify.KeySet
	tokens []string // each differs from the others; grows as needed
	failed error
}

const verifyAudience = "orders"

func newVerifyFixture() (*verifyFixture, error) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	jwks := `{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"1","x":"` +
		base64.RawURLEncoding.EncodeToString(public) + `"}]}`
	f := &verifyFixture{issuer: "http://" + l.Addr().String(), key: key}
	f.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, jwks)
	})}
	go f.srv.Serve(l)
	if f.keys, err = verify.NewKeySet(verify.KeySetConfig{URL: f.issuer + wire.PathJWKS}); err == nil {
		err = f.keys.Refresh(context.Background())
	}
	return f, err
}

func (f *verifyFixture) close() { f.srv.Close() }

// fail ends a benchmark; b.Fatal would print to nowhere.
func (f *verifyFixture) fail(err error) bool {
	if err != nil {
		f.failed = err
	}
	return err != nil
}

// sign returns n tokens that differ in their jti.
func (f *verifyFixture) sign(n int) ([]string, error) {
	for i := len(f.tokens); i < n; i++ {
		token, err := f.signOne(i, "")
		if err != nil {
			return nil, err
		}
		f.tokens = append(f.tokens, token)
	}
	return f.tokens[:n], nil
}

// signOne signs a token, bound to an encryption key if that is not empty.
func (f *verifyFixture) signOne(n int, encryptionKey string) (string, error) {
	now := time.Now()
	payload, err := json.Marshal(wire.AccessClaims{
		Issuer: f.issuer, Subject: "usr_019ab2c4d5e6f708192a3b4c5d6e7f80", Audience: verifyAudience,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(time.Hour).Unix(), ID: fmt.Sprintf("token-%016x", n),
		ClientID: "tacet-web", SessionID: "019ab2c4-d5e6-7708-992a-3b4c5d6e7f80",
		Roles: []string{"clerk", "viewer"}, Scope: "orders:read orders:write invoices:read", GrantsVersion: 7, EncryptionKey: encryptionKey,
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","typ":"`+wire.AccessTokenType+`","kid":"1"}`)) +
		"." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.key, []byte(signed))), nil
}

func (f *verifyFixture) verifier() (*verify.Verifier, error) {
	return verify.New(verify.Config{Issuer: f.issuer, Audience: verifyAudience, Keys: f.keys})
}

func (f *verifyFixture) raw(b *testing.B) {
	tokens, err := f.sign(1000)
	if f.fail(err) {
		return
	}
	public := f.key.Public().(ed25519.PublicKey)
	messages, signatures := make([][]byte, len(tokens)), make([][]byte, len(tokens))
	for i, t := range tokens {
		dot := strings.LastIndexByte(t, '.')
		messages[i] = []byte(t[:dot])
		if signatures[i], err = base64.RawURLEncoding.DecodeString(t[dot+1:]); f.fail(err) {
			return
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if !ed25519.Verify(public, messages[i%len(tokens)], signatures[i%len(tokens)]) {
			f.fail(errors.New("a good signature was refused"))
		}
	}
}

// accessClaims are wire.AccessClaims as golang-jwt wants them.
type accessClaims struct {
	jwt.RegisteredClaims
	ClientID      string   `json:"client_id"`
	SessionID     string   `json:"sid"`
	Roles         []string `json:"roles"`
	Scope         string   `json:"scope"`
	GrantsVersion int64    `json:"grants_version"`
}

func (f *verifyFixture) golangJWT(b *testing.B) {
	tokens, err := f.sign(1000)
	if f.fail(err) {
		return
	}
	public := f.key.Public()
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(f.issuer),
		jwt.WithAudience(verifyAudience), jwt.WithExpirationRequired())
	key := func(*jwt.Token) (any, error) { return public, nil }
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		var c accessClaims
		_, err := parser.ParseWithClaims(tokens[i%len(tokens)], &c, key)
		f.fail(err)
	}
}

func (f *verifyFixture) jwx(b *testing.B) {
	tokens, err := f.sign(1000)
	if f.fail(err) {
		return
	}
	public, ctx := f.key.Public(), context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		_, err := jwxjwt.ParseString(tokens[i%len(tokens)], jwxjwt.WithKey(jwa.EdDSA(), public), jwxjwt.WithContext(ctx),
			jwxjwt.WithIssuer(f.issuer), jwxjwt.WithAudience(verifyAudience), jwxjwt.WithRequiredClaim("exp"))
		f.fail(err)
	}
}

// firstTime gives every token to a new verifier once.
func (f *verifyFixture) firstTime(b *testing.B) {
	tokens, err := f.sign(b.N)
	if f.fail(err) {
		return
	}
	v, err := f.verifier()
	if f.fail(err) {
		return
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for _, t := range tokens {
		_, err := v.Verify(ctx, t)
		f.fail(err)
	}
}

func (f *verifyFixture) seenBefore(b *testing.B) {
	tokens, err := f.sign(1000)
	if f.fail(err) {
		return
	}
	v, err := f.verifier()
	if f.fail(err) {
		return
	}
	ctx := context.Background()
	for _, t := range tokens {
		_, err := v.Verify(ctx, t)
		f.fail(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		_, err := v.Verify(ctx, tokens[i%len(tokens)])
		f.fail(err)
	}
}
