package verify_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"

	"github.com/tacet-dev/tacet/verify"
)

// What this package accepts, go-jose must accept too and read in the same way.
func FuzzVerify(f *testing.F) {
	good := goodToken()
	for _, seed := range []string{
		good, signEC(header(object{"alg": "ES256", "kid": "ec"}), claims(nil)), good[:len(good)-1], good + ".", "..", "",
		strings.ReplaceAll(good, ".", "\n."), encode(header(object{"alg": "none"})) + "." + encode(claims(nil)) + ".",
	} {
		f.Add(seed)
	}
	v := newVerifier(f, verify.Config{})
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := v.Verify(t.Context(), raw)
		if (tok == nil) == (err == nil) || err != nil && !errors.Is(err, verify.ErrInvalidToken) {
			t.Fatalf("%v, %v", tok, err)
		}
		if tok != nil {
			agrees(t, raw, tok)
		}
	})
}

// FuzzVerifySigned signs whatever header and payload the fuzzer makes up, so that
// it gets past the signature.
func FuzzVerifySigned(f *testing.F) {
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	f.Add(text(header(nil)), text(claims(nil)))
	f.Add(` { "alg" : "EdDSA" , "typ":"at+jwt","k\u0069d":"ed", "x":[{"a":"\"}"},1e5,null,true] } `, text(claims(object{"aud": []string{"x", audience}})))
	f.Add(twice(header(nil), "alg", `"none"`), twice(claims(nil), "sub", `"x"`))
	f.Add(text(header(object{"crit": []string{"b64"}, "b64": false})), text(claims(object{"exp": 1e300})))
	f.Add("{}", "[]")
	f.Add("{\"alg\":\"EdDSA\"", "\xff")
	v := newVerifier(f, verify.Config{Remember: -1})
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := signEd(header, payload)
		if tok, err := v.Verify(t.Context(), raw); err == nil {
			agrees(t, raw, tok)
		} else if !errors.Is(err, verify.ErrInvalidToken) {
			t.Fatal(err)
		}
	})
}

// agrees checks a token against go-jose's reading of it.
func agrees(t *testing.T, raw string, tok *verify.Token) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.RS256})
	if err != nil {
		t.Fatalf("accepted what go-jose cannot parse: %v\n%s", err, raw)
	}
	payload, err := jws.Verify(keys[jws.Signatures[0].Header.KeyID])
	if err != nil {
		t.Fatalf("accepted what go-jose refuses: %v\n%s", err, raw)
	}
	var c struct {
		Subject string `json:"sub"`
		Session string `json:"sid"`
		Issuer  string `json:"iss"`
		ID      string `json:"jti"`
		Scope   string `json:"scope"`
	}
	if err := josejson.Unmarshal(payload, &c); err != nil {
		t.Fatalf("accepted claims that go-jose cannot parse: %v\n%s", err, payload)
	}
	if c.Subject != tok.Subject() || c.Session != tok.SessionID() || c.Issuer != issuer || c.ID != tok.ID() ||
		strings.Join(strings.Fields(c.Scope), " ") != strings.Join(tok.Permissions(), " ") {
		t.Fatalf("read %+v, go-jose %+v", tok, c)
	}
}

// Every key taken from a key set is one that go-jose reads in the same way.
func FuzzParseJWKS(f *testing.F) {
	f.Add(publish(map[string]any{"ed": edPublic, "ec": &ecPrivate.PublicKey}))
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + encode([]byte(edPublic)) + `","use":"enc"}]}`)
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA","key_ops":["verify"]}]}`)
	f.Add(`{"keys":[null,{},[]]}`)
	f.Add(`{"KEYS":[]}`)
	f.Fuzz(func(t *testing.T, data string) {
		set, err := verify.ParseJWKS([]byte(data))
		if (err == nil) != (len(set) > 0) {
			t.Fatalf("%d keys, %v", len(set), err)
		}
		for kid, key := range set {
			jwk := jose.JSONWebKey{Key: key, KeyID: kid}
			switch k := key.(type) {
			case ed25519.PublicKey, *ecdsa.PublicKey, *rsa.PublicKey:
				if !jwk.Valid() || !jwk.IsPublic() {
					t.Fatalf("go-jose does not think that %v is a key", k)
				}
			default:
				t.Fatalf("a %T", key)
			}
		}
	})
}

func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  abc ", "Bearer", "Bearer null", "Basic abc", "", "Bearer\tabc", "Bearer a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := verify.Bearer(http.Header{"Authorization": {value}})
		switch {
		case errors.Is(err, verify.ErrNoCredential) && token == "":
		case err != nil:
			t.Fatal(err)
		case token == "" || token == "null" || token == "undefined" || strings.HasPrefix(token, " ") || !strings.HasSuffix(strings.TrimRight(value, " \t"), token):
			t.Fatalf("%q from %q", token, value)
		}
	})
}
