package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/dpop"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func keys(t *testing.T) map[string]crypto.Signer {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ES256": ec, "EdDSA": ed}
}

var request = dpop.Request{Method: "POST", URI: "https://server.example.com/token"}

// The proof of RFC 9449 §4.1 and the thumbprint of §6.1.
func TestRFC9449_4_1_Example(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	p, err := dpop.Parse([]string{proof}, request, time.Unix(1562262616, 0))
	if err != nil || p.Key != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("%q, %v", p.Key, err)
	}
	if got := dpop.Hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"); got != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" {
		t.Errorf("the hash of §7.1 is %s", got)
	}
}

func TestAProofOfOurOwnIsAccepted(t *testing.T) {
	for alg, key := range keys(t) {
		r := request
		r.AccessToken = "a token"
		first, last := "", ""
		for i := range 2 {
			raw, err := dpop.Sign(key, r, now)
			if err != nil {
				t.Fatal(err)
			}
			p, err := dpop.Parse([]string{raw}, r, now)
			if err != nil || len(p.Key) != 43 {
				t.Fatalf("%s: %q, %v", alg, p.Key, err)
			}
			if first, last = last, p.Key; i == 1 && first != last {
				t.Errorf("%s: two thumbprints of one key", alg)
			}
		}
	}
}

// made signs a proof whose header and claims were changed; nil takes a member out.
func made(t *testing.T, key crypto.Signer, header, claims map[string]any) string {
	t.Helper()
	r := request
	r.AccessToken = "a token"
	raw, err := dpop.Sign(key, r, now)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(raw, ".")
	for i, changes := range []map[string]any{header, claims} {
		b, _ := base64.RawURLEncoding.DecodeString(parts[i])
		var members map[string]any
		if err := json.Unmarshal(b, &members); err != nil {
			t.Fatal(err)
		}
		maps.Copy(members, changes)
		maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
		b, _ = json.Marshal(members)
		parts[i] = base64.RawURLEncoding.EncodeToString(b)
	}
	signature, err := key.Sign(rand.Reader, []byte(parts[0]+"."+parts[1]), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Every refusal of RFC 9449 §4.3, by its points.
func TestRFC9449_4_3_Refusals(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	jwk := func(more map[string]any) map[string]any {
		k := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": x}
		maps.Copy(k, more)
		return map[string]any{"jwk": k}
	}
	type m = map[string]any
	good := made(t, key, nil, nil)
	r := request
	r.AccessToken = "a token"
	if _, err := dpop.Parse([]string{good}, r, now); err != nil {
		t.Fatal(err)
	}
	if _, err := dpop.Parse([]string{made(t, key, m{"alg": "Ed25519"}, nil)}, r, now); err != nil {
		t.Errorf("the newer name of EdDSA: %v", err)
	}
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct {
		values []string
		want   error
	}{
		"1: none":                          {nil, dpop.ErrMissing},
		"1: two":                           {[]string{good, good}, dpop.ErrMissing},
		"2: empty":                         {[]string{""}, dpop.ErrMalformed},
		"2: no JWT":                        {[]string{"a.b"}, dpop.ErrMalformed},
		"2: no base64url":                  {[]string{parts[0] + "." + parts[1] + "." + parts[2] + "="}, dpop.ErrMalformed},
		"2: no JSON":                       {[]string{parts[0] + ".YQ." + parts[2]}, dpop.ErrMalformed},
		"2: a line break":                  {[]string{good[:9] + "\n" + good[9:]}, dpop.ErrMalformed},
		"2: too long":                      {[]string{made(t, key, nil, m{"x": strings.Repeat("x", 5000)})}, dpop.ErrMalformed},
		"2: a critical extension":          {[]string{made(t, key, m{"crit": []string{"x"}}, nil)}, dpop.ErrMalformed},
		"3: jti missing":                   {[]string{made(t, key, nil, m{"jti": nil})}, dpop.ErrMalformed},
		"3: jti too long":                  {[]string{made(t, key, nil, m{"jti": strings.Repeat("x", 300)})}, dpop.ErrMalformed},
		"3: htm missing":                   {[]string{made(t, key, nil, m{"htm": nil})}, dpop.ErrMethod},
		"3: htu missing":                   {[]string{made(t, key, nil, m{"htu": nil})}, dpop.ErrURI},
		"3: iat missing":                   {[]string{made(t, key, nil, m{"iat": nil})}, dpop.ErrMalformed},
		"3: iat is a text":                 {[]string{made(t, key, nil, m{"iat": "soon"})}, dpop.ErrMalformed},
		"3: iat without end":               {[]string{made(t, key, nil, m{"iat": 1e30})}, dpop.ErrMalformed},
		"4: typ missing":                   {[]string{made(t, key, m{"typ": nil}, nil)}, dpop.ErrType},
		"4: typ of another":                {[]string{made(t, key, m{"typ": "at+jwt"}, nil)}, dpop.ErrType},
		"5: alg none":                      {[]string{made(t, key, m{"alg": "none"}, nil)}, dpop.ErrAlgorithm},
		"5: alg symmetric":                 {[]string{made(t, key, m{"alg": "HS256"}, nil)}, dpop.ErrAlgorithm},
		"5: alg missing":                   {[]string{made(t, key, m{"alg": nil}, nil)}, dpop.ErrAlgorithm},
		"5: alg of another kind of key":    {[]string{made(t, key, m{"alg": "ES256"}, nil)}, dpop.ErrKey},
		"6: signed with another key":       {[]string{made(t, other, jwk(nil), nil)}, dpop.ErrSignature},
		"6: altered":                       {[]string{parts[0] + "." + strings.Split(made(t, key, nil, nil), ".")[1] + "." + parts[2]}, dpop.ErrSignature},
		"6: a short signature":             {[]string{parts[0] + "." + parts[1] + ".AAAA"}, dpop.ErrSignature},
		"6: jwk missing":                   {[]string{made(t, key, m{"jwk": nil}, nil)}, dpop.ErrKey},
		"6: jwk is a text":                 {[]string{made(t, key, m{"jwk": "x"}, nil)}, dpop.ErrKey},
		"6: a short coordinate":            {[]string{made(t, key, jwk(m{"x": "AAAA"}), nil)}, dpop.ErrKey},
		"6: another curve":                 {[]string{made(t, key, jwk(m{"crv": "X25519"}), nil)}, dpop.ErrKey},
		"7: a private key":                 {[]string{made(t, key, jwk(m{"d": "AAAA"}), nil)}, dpop.ErrKey},
		"8: another method":                {[]string{made(t, key, nil, m{"htm": "GET"})}, dpop.ErrMethod},
		"8: methods have case":             {[]string{made(t, key, nil, m{"htm": "post"})}, dpop.ErrMethod},
		"9: another path":                  {[]string{made(t, key, nil, m{"htu": "https://server.example.com/tokens"})}, dpop.ErrURI},
		"9: another host":                  {[]string{made(t, key, nil, m{"htu": "https://server.example.org/token"})}, dpop.ErrURI},
		"9: another scheme":                {[]string{made(t, key, nil, m{"htu": "http://server.example.com/token"})}, dpop.ErrURI},
		"9: relative":                      {[]string{made(t, key, nil, m{"htu": "/token"})}, dpop.ErrURI},
		"9: credentials":                   {[]string{made(t, key, nil, m{"htu": "https://a@server.example.com/token"})}, dpop.ErrURI},
		"11: too old":                      {[]string{made(t, key, nil, m{"iat": now.Add(-dpop.MaxAge - time.Second).Unix()})}, dpop.ErrTime},
		"11: in the future":                {[]string{made(t, key, nil, m{"iat": now.Add(dpop.MaxAhead + time.Second).Unix()})}, dpop.ErrTime},
		"12: hash of another access token": {[]string{made(t, key, nil, m{"ath": dpop.Hash("another token")})}, dpop.ErrToken},
		"12: no hash":                      {[]string{made(t, key, nil, m{"ath": nil})}, dpop.ErrToken},
	} {
		_, err := dpop.Parse(c.values, r, now)
		if c.want == dpop.ErrSignature && name == "6: altered" && err == nil {
			t.Errorf("%s: accepted", name)
		} else if !errors.Is(err, c.want) || !errors.Is(err, dpop.ErrProof) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if text := dpop.Describe(err); strings.ContainsAny(text, "\"\\\n") || text == "" {
			t.Errorf("%s: described as %q", name, text)
		}
	}
}

func TestURIsAreComparedAsRFC3986Has(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	for _, c := range []struct {
		htu, uri string
		same     bool
	}{
		{"https://a.example/x", "https://a.example/x?y=1#z", true},
		{"https://a.example/x?y=2", "https://a.example/x?y=1", true},
		{"HTTPS://A.example:443/x", "https://a.example/x", true},
		{"http://a.example:80", "http://a.example/", true},
		{"https://a.example:8443/x", "https://a.example/x", false},
		{"https://a.example/X", "https://a.example/x", false},
		{"https://a.example/x/", "https://a.example/x", false},
		{"https://a.example/a%2Fb", "https://a.example/a/b", false},
		{"https://a.example/%E4%BD%A0", "https://a.example/%E4%BD%A0", true},
	} {
		raw, err := dpop.Sign(key, dpop.Request{Method: "GET", URI: c.htu}, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dpop.Parse([]string{raw}, dpop.Request{Method: "GET", URI: c.uri}, now); (err == nil) != c.same {
			t.Errorf("%s and %s: %v", c.htu, c.uri, err)
		}
	}
}

func TestRFC9449_11_1_Replay(t *testing.T) {
	var r dpop.Replays
	proofs := map[string]dpop.Proof{}
	for alg, key := range keys(t) {
		raw, err := dpop.Sign(key, request, now)
		if err != nil {
			t.Fatal(err)
		}
		if proofs[alg], err = dpop.Parse([]string{raw}, request, now); err != nil {
			t.Fatal(err)
		}
	}
	for alg, p := range proofs {
		if err := r.Use(p, now); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	for alg, p := range proofs {
		// For as long as Parse lets it pass, wherever the clock of its maker was.
		if err := r.Use(p, now.Add(dpop.MaxAge+dpop.MaxAhead)); !errors.Is(err, dpop.ErrReplay) {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// What is remembered has a bound, and what is old goes.
func TestReplaysAreBounded(t *testing.T) {
	var r dpop.Replays
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	proof := func() dpop.Proof {
		raw, err := dpop.Sign(key, request, now)
		if err != nil {
			t.Fatal(err)
		}
		p, err := dpop.Parse([]string{raw}, request, now)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := proof()
	if err := r.Use(first, now); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err := r.Use(proof(), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Use(first, now.Add(time.Minute)); !errors.Is(err, dpop.ErrReplay) {
		t.Errorf("%v", err)
	}
	if err := r.Use(first, now.Add(time.Hour)); err != nil {
		t.Errorf("an hour later, Parse refuses it by its age, and nothing is kept: %v", err)
	}
}

// What one key does changes nothing for another, however often it does it.
func TestAKeyMakesRoomForItsOwnReplaysOnly(t *testing.T) {
	var r dpop.Replays
	of := dpop.ProofOf
	if err := r.Use(of("victim", "1"), now); err != nil {
		t.Fatal(err)
	}
	for i := range 300_000 {
		if err := r.Use(of("busy", strconv.Itoa(i)), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Use(of("victim", "1"), now); !errors.Is(err, dpop.ErrReplay) {
		t.Errorf("another key made room for a replay: %v", err)
	}
	if err := r.Use(of("busy", "299999"), now); !errors.Is(err, dpop.ErrReplay) {
		t.Errorf("its own latest: %v", err)
	}
	if n := r.Remembered(); n > 10_000 {
		t.Errorf("%d proofs of two keys are remembered", n)
	}
	// Many keys, too, are bounded, and those that use several give way first.
	for i := range 40 {
		for j := range 8000 {
			if err := r.Use(of("key "+strconv.Itoa(i), strconv.Itoa(j)), now); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := r.Remembered(); n > 1<<18 {
		t.Errorf("%d proofs are remembered", n)
	}
	if err := r.Use(of("victim", "1"), now); !errors.Is(err, dpop.ErrReplay) {
		t.Errorf("other keys made room for a replay: %v", err)
	}
	if _ = r.Use(of("victim", "2"), now.Add(time.Hour)); r.Remembered() != 1 {
		t.Errorf("after an hour %d proofs are remembered", r.Remembered())
	}
}

func TestWhatIsReleasedIsNotRemembered(t *testing.T) {
	var r dpop.Replays
	for i := range 100 {
		p := dpop.ProofOf("key "+strconv.Itoa(i%3), strconv.Itoa(i))
		if err := r.Use(p, now); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			r.Release(p)
			r.Release(p)
		}
	}
	if n := r.Remembered(); n != 1 {
		t.Errorf("%d are remembered", n)
	}
	if err := r.Use(dpop.ProofOf("key 0", "0"), now); !errors.Is(err, dpop.ErrReplay) {
		t.Errorf("%v", err)
	}
	r.Release(dpop.ProofOf("never seen", "0"))
}

func FuzzParse(f *testing.F) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	good, err := dpop.Sign(key, request, now)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, "", "..", "a.b.c", good[:50], "e30.e30.AAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := dpop.Parse([]string{raw}, request, now)
		if (err == nil) == (p.Key == "") || err != nil && !errors.Is(err, dpop.ErrProof) {
			t.Errorf("%q, %v", p.Key, err)
		}
	})
}
