package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
)

// The key, its thumbprint and the signature of RFC 8037, appendices A.2 to A.5.
func TestRFC8037_A_Ed25519(t *testing.T) {
	const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	const raw = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	k, err := ParseKey([]byte(`{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}`))
	if err != nil || k.Thumbprint() != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Fatalf("%s, %v", k.Thumbprint(), err)
	}
	public, err := k.Public()
	if err != nil {
		t.Fatal(err)
	}
	j, ok := ParseJWS(raw)
	payload, ok2 := j.Payload()
	if !ok || !ok2 || j.Verify(public) != nil || string(payload) != "Example of Ed25519 signing" {
		t.Errorf("%v %v %q %v", ok, ok2, payload, j.Verify(public))
	}
	seed, _ := Decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if again, err := Sign(ed25519.NewKeyFromSeed(seed), Header{Algorithm: EdDSA}.Encode(), payload); err != nil || again != raw {
		t.Errorf("signed %s, %v", again, err)
	}
}

// remote is a signer whose key is somewhere else, as in a hardware module.
type remote struct{ crypto.Signer }

func signers(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"EdDSA": ed, "EdDSA remote": remote{ed}, "ES256": ec, "ES256 remote": remote{ec}}
}

// What is signed and published here, go-jose reads in the same way.
func TestGoJoseAgrees(t *testing.T) {
	for name, key := range signers(t) {
		alg, _, _ := strings.Cut(name, " ")
		k, err := NewKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		k.ID, k.Use, k.Algorithm = k.Thumbprint(), "sig", alg
		var set gojose.JSONWebKeySet
		if err := json.Unmarshal(MarshalKeys(k), &set); err != nil || len(set.Keys) != 1 || !set.Keys[0].Valid() {
			t.Fatalf("%s: %s, %v", name, MarshalKeys(k), err)
		}
		if sum, err := set.Keys[0].Thumbprint(crypto.SHA256); err != nil || Base64.EncodeToString(sum) != k.ID {
			t.Errorf("%s: another thumbprint, %v", name, err)
		}
		for range 20 { // numbers of ES256 with leading zeros are among them
			raw, err := Sign(key, Header{Algorithm: alg, KeyID: k.ID, Type: "x+jwt"}.Encode(), []byte("content"))
			if err != nil {
				t.Fatal(err)
			}
			jws, err := gojose.ParseSignedCompact(raw, []gojose.SignatureAlgorithm{gojose.EdDSA, gojose.ES256})
			if err != nil {
				t.Fatal(name, err)
			}
			if payload, err := jws.Verify(set.Keys[0]); err != nil || string(payload) != "content" {
				t.Fatalf("%s: %q, %v", name, payload, err)
			}
			if j, ok := ParseJWS(raw); !ok || j.Verify(key.Public()) != nil || !j.IsType("X+JWT") || !bytes.Equal(UnverifiedPayload(raw), []byte("content")) {
				t.Fatalf("%s: our own is refused", name)
			}
		}
	}
	if got := string(MarshalKeys()); got != `{"keys":[]}` {
		t.Errorf("the set of no keys is %s", got)
	}
}

func TestKeysOfOtherKindsSignNothing(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := Sign(other, Header{Algorithm: ES256}.Encode(), nil); err == nil {
		t.Errorf("signed %s with a key on P-384", raw)
	}
	if _, err := NewKey(&other.PublicKey); !errors.Is(err, ErrKind) {
		t.Errorf("a JWK of a key on P-384: %v", err)
	}
}

// The attacks on signatures in compact serialization (RFC 8725 §2, §3).
func TestJWSAttacks(t *testing.T) {
	all := signers(t)
	ed, ec := all["EdDSA"], all["ES256"]
	good, err := Sign(ed, Header{Algorithm: EdDSA}.Encode(), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	under := func(header string) string {
		raw, err := Sign(ed, Base64.EncodeToString([]byte(header)), []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, raw := range map[string]string{
		"empty": "", "one part": "a", "two parts": "a.b", "four parts": good + ".x", "padding": good + "=",
		"a line break": good[:3] + "\n" + good[3:], "a space": good + " ",
		"crit": under(`{"alg":"EdDSA","crit":["exp"]}`), "b64": under(`{"alg":"EdDSA","b64":false}`),
		"alg twice": under(`{"alg":"EdDSA","alg":"none"}`), "alg twice, escaped": under(`{"alg":"EdDSA","\u0061lg":"none"}`),
		"alg no text": under(`{"alg":1}`), "no object": under(`["EdDSA"]`), "two objects": under(`{"alg":"EdDSA"}{}`),
	} {
		if _, ok := ParseJWS(raw); ok {
			t.Errorf("%s: taken for a JWS", name)
		}
	}
	for name, c := range map[string]struct {
		raw  string
		key  crypto.PublicKey
		want error
	}{
		"good":                    {good, ed.Public(), nil},
		"the second name":         {under(`{"alg":"Ed25519"}`), ed.Public(), nil},
		"alg none":                {under(`{"alg":"none"}`), ed.Public(), ErrAlgorithm},
		"alg in another case":     {under(`{"alg":"eddsa"}`), ed.Public(), ErrAlgorithm},
		"alg missing":             {under(`{}`), ed.Public(), ErrAlgorithm},
		"alg of another key":      {under(`{"alg":"ES256"}`), ed.Public(), ErrAlgorithm},
		"key of another alg":      {good, ec.Public(), ErrAlgorithm},
		"no key":                  {good, nil, ErrAlgorithm},
		"a short key":             {good, ed.Public().(ed25519.PublicKey)[:31], ErrAlgorithm},
		"no pointer to a key":     {good, (*ecdsa.PublicKey)(nil), ErrAlgorithm},
		"a key that was not used": {good, signers(t)["EdDSA"].Public(), ErrSignature},
		"no signature":            {good[:strings.LastIndexByte(good, '.')+1], ed.Public(), ErrSignature},
		"a short signature":       {good[:len(good)-2], ed.Public(), ErrSignature},
		"a long signature":        {good + "AAAA", ed.Public(), ErrSignature},
		"ES256 of zeros": {Header{Algorithm: ES256}.Encode() + ".." + Base64.EncodeToString(make([]byte, 64)),
			ec.Public(), ErrSignature}, // CVE-2022-21449
	} {
		j, ok := ParseJWS(c.raw)
		if err := j.Verify(c.key); !ok || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, %v; want %v", name, ok, err, c.want)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	for name, c := range map[string]struct {
		jwk  string
		want error
	}{
		"no JSON":            {`{`, ErrKey},
		"null":               {`null`, ErrKey},
		"a list":             {`[]`, ErrKey},
		"x no text":          {`{"kty":"OKP","crv":"Ed25519","x":1}`, ErrKey},
		"x missing":          {`{"kty":"OKP","crv":"Ed25519"}`, ErrKey},
		"x short":            {`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, ErrKey},
		"x with a break":     {`{"kty":"OKP","crv":"Ed25519","x":"` + x[:4] + `\n` + x[4:] + `"}`, ErrKey},
		"x twice":            {`{"kty":"OKP","crv":"Ed25519","x":"` + x + `","x":"` + x + `"}`, ErrKey},
		"names in capitals":  {`{"KTY":"OKP","CRV":"Ed25519","X":"` + x + `"}`, ErrKind},
		"y missing":          {`{"kty":"EC","crv":"P-256","x":"` + x + `"}`, ErrKey},
		"off the curve":      {`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + x + `"}`, ErrKey},
		"another curve":      {`{"kty":"OKP","crv":"X25519","x":"` + x + `"}`, ErrKind},
		"RSA":                {`{"kty":"RSA","n":"AQAB","e":"AQAB"}`, ErrKind},
		"private":            {`{"kty":"OKP","crv":"Ed25519","x":"` + x + `","d":"` + x + `"}`, ErrSecret},
		"private, empty":     {`{"kty":"OKP","crv":"Ed25519","x":"` + x + `","d":null}`, ErrSecret},
		"symmetric":          {`{"kty":"oct","k":"c2VjcmV0"}`, ErrSecret},
		"private part of it": {`{"kty":"RSA","n":"AQAB","e":"AQAB","qi":"AQAB"}`, ErrSecret},
	} {
		k, err := ParseKey([]byte(c.jwk))
		if err == nil {
			_, err = k.Public()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Members takes what encoding/json takes, and reads the same, but for duplicates.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":[{"c":"}"}],"\u0063":null}`, ` { "a" : "\"" , "b" : -1e5 } `, `{"a":1,"a":2}`, `[]`, `null`, `{"a":"` + "\xff" + `"}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]string{}
		if !Members(data, func(name, value string) bool {
			if _, twice := got[name]; twice {
				t.Fatalf("%q: %q comes twice", data, name)
			}
			got[name] = value
			return true
		}) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil || want == nil || len(want) != len(got) {
			t.Fatalf("%q: %d members, encoding/json has %d, %v", data, len(got), len(want), err)
		}
		for name, value := range got {
			if string(want[name]) != value {
				t.Fatalf("%q: %q is %q, not %q", data, name, value, want[name])
			}
		}
	})
}
