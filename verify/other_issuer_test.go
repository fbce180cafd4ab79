package verify_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire/jose"
)

// Access tokens of other providers (RFC 9068) have no session, and RS256 is what most
// sign with.
func TestRFC9068_TokensOfOtherIssuers(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jose.NewKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk.ID, jwk.Algorithm, jwk.Use = "rsa", jose.RS256, "sig"
	keys, err := verify.ParseJWKS(jose.MarshalKeys(jwk))
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, verify.Config{Keys: keys})
	sign := func(head jose.Header, changes object) string {
		t.Helper()
		payload, err := json.Marshal(claims(changes))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jose.Sign(key, head.Encode(), payload)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	head := jose.Header{Algorithm: jose.RS256, KeyID: "rsa", Type: "at+jwt"}
	good := sign(head, object{"sid": nil, "grants_version": nil, "roles": nil})
	for range 2 { // the second time it is remembered
		got, err := v.Verify(t.Context(), good)
		if err != nil {
			t.Fatal(err)
		}
		if got.SessionID() != "" || got.Subject() != "usr_1" || got.GrantsVersion() != 0 {
			t.Errorf("%+v", got)
		}
	}
	for name, c := range map[string]struct {
		raw  string
		want error
		says string
	}{
		"another signature":    {good[:len(good)-6] + "AAAAAA", verify.ErrSignature, "signature"},
		"RS512":                {sign(jose.Header{Algorithm: "RS512", KeyID: "rsa", Type: "at+jwt"}, nil), verify.ErrMalformed, ""},
		"EdDSA for an RSA key": {signEd(header(object{"kid": "rsa"}), claims(nil)), verify.ErrAlgorithm, "algorithm"},
		"an ID token":          {sign(jose.Header{Algorithm: jose.RS256, KeyID: "rsa", Type: "JWT"}, nil), verify.ErrType, "typ at+jwt"},
		"no client_id":         {sign(head, object{"client_id": nil}), verify.ErrMalformed, "no claim client_id"},
		"no jti":               {sign(head, object{"jti": nil}), verify.ErrMalformed, "no claim jti"},
		"no iat":               {sign(head, object{"iat": nil}), verify.ErrMalformed, "no claim iat"},
		"another audience":     {sign(head, object{"aud": "https://other.example"}), verify.ErrAudience, "audience"},
	} {
		w := httptest.NewRecorder()
		_, err := v.Verify(t.Context(), c.raw)
		v.WriteError(w, httptest.NewRequest("GET", "/", nil), err)
		if challenge := w.Header().Get("WWW-Authenticate"); !errors.Is(err, c.want) || w.Code != 401 || !strings.Contains(challenge, c.says) {
			t.Errorf("%s: %v; the challenge says %s", name, err, challenge)
		}
	}
}

func TestRFC9728_ResourceMetadata(t *testing.T) {
	const at = "https://api.example.com" + verify.PathResourceMetadata
	v := newVerifier(t, verify.Config{ResourceMetadata: at})
	w := httptest.NewRecorder()
	h := v.ResourceMetadata(verify.Resource{Name: "Orders", Scopes: []string{"orders:read"}})
	h.ServeHTTP(w, httptest.NewRequest("GET", verify.PathResourceMetadata, nil))
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	issuers, _ := m["authorization_servers"].([]any)
	if m["resource"] != audience || len(issuers) != 1 || issuers[0] != issuer || m["resource_name"] != "Orders" ||
		w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s, %v", w.Body, w.Header())
	}
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	// §5.1: the challenge says where it is.
	w = httptest.NewRecorder()
	v.Middleware(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	if c := w.Header().Get("WWW-Authenticate"); w.Code != 401 || !strings.Contains(c, `resource_metadata="`+at+`"`) {
		t.Errorf("challenge %q", c)
	}
	if _, err := verify.New(verify.Config{Issuer: issuer, Audience: audience, Keys: verify.StaticKeys{}, ResourceMetadata: `x"y`}); err == nil {
		t.Error("a URL that can't be quoted is taken")
	}
}
