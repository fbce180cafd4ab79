package keys

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/go-jose/go-jose/v4"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

func claims(now time.Time) wire.AccessClaims {
	return wire.AccessClaims{
		Issuer: "https://id.example", Subject: "usr_1", Audience: "https://api.example", IssuedAt: now.Unix(), ExpiresAt: now.Add(15 * time.Minute).Unix(),
		ID: "IpHVPVoQ3bYb2tVwu7k1pA", ClientID: "web", SessionID: "0192f0c1-2a3b-7c4d-8e5f-6a7b8c9d0e1f",
		Roles: []string{"admin", "clerk"}, Scope: "orders:* users:read", GrantsVersion: 7,
	}
}

// verifyWith checks a token with another library against a published set.
func verifyWith(set []byte, token string, now time.Time) (*jwt.Token, error) {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(set, &keys); err != nil {
		return nil, err
	}
	return jwt.NewParser(jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithValidMethods([]string{EdDSA, ES256})).
		Parse(token, func(tok *jwt.Token) (any, error) {
			for _, k := range keys.Keys {
				if k.KeyID == tok.Header["kid"] && k.Algorithm == tok.Method.Alg() {
					return k.Key, nil
				}
			}
			return nil, jwt.ErrTokenUnverifiable
		})
}

// The first ring can sign at once, and other people's libraries agree with what
// it signs and publishes.
func TestTokensVerifyWithOtherLibraries(t *testing.T) {
	for _, alg := range []string{EdDSA, ES256} {
		t.Run(alg, func(t *testing.T) {
			c := newClock()
			cfg := config(t, &memory{}, c)
			cfg.Policy.Algorithm = alg
			r := open(t, cfg)
			for range 50 { // ES256: short r and s must be padded
				token, err := r.Sign(claims(c.now()))
				if err != nil {
					t.Fatal(err)
				}
				got, err := verifyWith(r.JWKS(), token, c.now())
				if err != nil {
					t.Fatal(err)
				}
				if got.Header["typ"] != "at+jwt" || got.Header["alg"] != alg || len(got.Header) != 3 {
					t.Fatalf("header %v", got.Header)
				}
				if sub, _ := got.Claims.GetSubject(); sub != "usr_1" {
					t.Fatalf("sub %q", sub)
				}
			}
			if keys := r.PublicKeys(); len(keys) != 1 || keys[0].Algorithm != alg {
				t.Errorf("public keys: %v", keys)
			}
		})
	}
}

func TestPublishedSetHasNoSecrets(t *testing.T) {
	r := open(t, config(t, &memory{}, newClock()))
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 {
		t.Fatalf("%d keys are published, want the signing key only: %s", len(set.Keys), r.JWKS())
	}
	for _, member := range []string{"d", "k", "p", "q"} {
		if _, ok := set.Keys[0][member]; ok {
			t.Errorf("the published key has the private member %q", member)
		}
	}
}

// Two processes on one store understand each other's tokens.
func TestTwoProcessesShareARing(t *testing.T) {
	s, c := &memory{}, newClock()
	a, b := open(t, config(t, s, c)), open(t, config(t, s, c))
	token := rotation.Seal(a.MAC(), rotation.Token{Generation: 1})
	if _, err := rotation.Open(b.MACKey, token); err != nil {
		t.Error(err)
	}
	kid, sum := a.SignLabelled("csrf", []byte("msg"))
	if !b.VerifyLabelled("csrf", kid, []byte("msg"), sum[:MinSum]) {
		t.Error("a cut labelled MAC is refused")
	}
	if string(a.JWKS()) != string(b.JWKS()) {
		t.Error("the two publish different sets")
	}
}
