package security_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"hash"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

var b64 = base64.RawURLEncoding

// jwt is a token taken apart, to be put together otherwise.
type jwt struct {
	header, payload, signature string // as they came, without base64url
	key                        ed25519.PublicKey
	jwk                        string
}

func (w *world) jwt(token string) jwt {
	w.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		w.Fatalf("%q is no JWT", token)
	}
	for i, p := range parts {
		b, err := b64.DecodeString(p)
		if err != nil {
			w.Fatal(err)
		}
		parts[i] = string(b)
	}
	j := jwt{header: parts[0], payload: parts[1], signature: parts[2]}
	for _, raw := range w.published() {
		var k struct{ Kid, X string }
		if err := json.Unmarshal(raw, &k); err != nil {
			w.Fatal(err)
		}
		if x, err := b64.DecodeString(k.X); err == nil && strings.Contains(j.header, `"`+k.Kid+`"`) {
			j.key, j.jwk = x, string(raw)
		}
	}
	if j.key == nil {
		w.Fatalf("the key of %s is not published", j.header)
	}
	return j
}

// published are the keys of the server, which it makes callers wait for.
var published = map[string][]json.RawMessage{}

func (w *world) published() []json.RawMessage {
	w.Helper()
	if published[w.addr] == nil {
		var set struct{ Keys []json.RawMessage }
		w.json(w.send("GET", wire.PathJWKS, ""), &set)
		published[w.addr] = set.Keys
	}
	return published[w.addr]
}

func (j jwt) signed() string {
	return b64.EncodeToString([]byte(j.header)) + "." + b64.EncodeToString([]byte(j.payload))
}
func (j jwt) String() string { return j.signed() + "." + b64.EncodeToString([]byte(j.signature)) }

// with replaces text in the header.
func (j jwt) with(pairs ...string) jwt {
	j.header = strings.NewReplacer(pairs...).Replace(j.header)
	return j
}

// member adds a member to the header.
func (j jwt) member(text string) jwt {
	j.header = strings.TrimSuffix(j.header, "}") + "," + text + "}"
	return j
}

// alg replaces the algorithm.
func (j jwt) alg(text string) jwt { return j.with(`"EdDSA"`, text) }

func (j jwt) claim(name string, value any) jwt {
	var claims map[string]any
	if err := json.Unmarshal([]byte(j.payload), &claims); err != nil {
		panic(err)
	}
	claims[name] = value
	j.payload = body(claims)
	return j
}

// hs signs with what everybody knows, as if it were a secret.
func (j jwt) hs(h func() hash.Hash, alg string, key []byte) jwt {
	j = j.alg(`"` + alg + `"`)
	m := hmac.New(h, key)
	m.Write([]byte(j.signed()))
	j.signature = string(m.Sum(nil))
	return j
}

var _, evilKey, _ = ed25519.GenerateKey(rand.Reader)

// by signs with a key of the attacker's.
func (j jwt) by(key ed25519.PrivateKey) jwt {
	j.signature = string(ed25519.Sign(key, []byte(j.signed())))
	return j
}

func evilJWK() string {
	return `{"kty":"OKP","crv":"Ed25519","x":"` + b64.EncodeToString(evilKey.Public().(ed25519.PublicKey)) + `"}`
}

// plusOrder adds the order of the group to S (RFC 8032 §5.1.7, strict check).
func plusOrder(signature string) string {
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := []byte(signature[32:])
	slices.Reverse(s)
	out := new(big.Int).Add(new(big.Int).SetBytes(s), l).FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return signature[:32] + string(out)
}

func pemOf(key ed25519.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// lax encodes with the unused last bits set: another spelling of the same bytes.
func lax(part []byte) string {
	s := []byte(b64.EncodeToString(part))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	s[len(s)-1] = alphabet[strings.IndexByte(alphabet, s[len(s)-1])|1]
	return string(s)
}

// forgeries are tokens made of bob's good one. Who holds one wants to be alice, to
// be bob for ever, or to be let in at all.
var forgeries = []struct {
	name  string
	forge func(j jwt) string
}{
	{"alg none and no signature", func(j jwt) string { j = j.alg(`"none"`); j.signature = ""; return j.String() }},
	{"alg None", func(j jwt) string { j = j.alg(`"None"`); j.signature = ""; return j.String() }},
	{"alg NONE", func(j jwt) string { j = j.alg(`"NONE"`); j.signature = ""; return j.String() }},
	{"alg nOnE", func(j jwt) string { j = j.alg(`"nOnE"`); j.signature = ""; return j.String() }},
	{"alg none with the old signature", func(j jwt) string { return j.alg(`"none"`).String() }},
	{"alg none, signature cut off with its dot", func(j jwt) string { return j.alg(`"none"`).signed() }},
	{"alg none, two dots at the end", func(j jwt) string { return j.alg(`"none"`).signed() + ".." }},
	{"alg empty", func(j jwt) string { return j.alg(`""`).String() }},
	{"alg null", func(j jwt) string { return j.alg(`null`).String() }},
	{"alg an array", func(j jwt) string { return j.alg(`["EdDSA"]`).String() }},
	{"alg a number", func(j jwt) string { return j.alg(`0`).String() }},
	{"alg with a NUL behind it", func(j jwt) string { return j.alg(`"EdDSA\u0000"`).String() }},
	{"alg in lower case", func(j jwt) string { return j.alg(`"eddsa"`).String() }},
	{"no alg", func(j jwt) string { return j.with(`"alg":"EdDSA",`, "").String() }},
	{"HS256 with the public key's bytes", func(j jwt) string { return j.claim("sub", "alice").hs(sha256.New, "HS256", j.key).String() }},
	{"HS256 with the text of the public key", func(j jwt) string {
		return j.claim("sub", "alice").hs(sha256.New, "HS256", []byte(b64.EncodeToString(j.key))).String()
	}},
	{"HS256 with the public JWK", func(j jwt) string { return j.claim("sub", "alice").hs(sha256.New, "HS256", []byte(j.jwk)).String() }},
	{"HS256 with the public key in PEM", func(j jwt) string { return j.claim("sub", "alice").hs(sha256.New, "HS256", pemOf(j.key)).String() }},
	{"HS384 with the public key", func(j jwt) string { return j.claim("sub", "alice").hs(sha512.New384, "HS384", j.key).String() }},
	{"HS512 with the public key", func(j jwt) string { return j.claim("sub", "alice").hs(sha512.New, "HS512", j.key).String() }},
	{"HS256 with an empty key", func(j jwt) string { return j.claim("sub", "alice").hs(sha256.New, "HS256", nil).String() }},
	{"HS256 with a key id that names an empty file", func(j jwt) string {
		return j.with(`"kid":"`, `"kid":"../../../../dev/null#`).hs(sha256.New, "HS256", nil).String()
	}},
	{"ES256 with a signature of zeros", func(j jwt) string { j = j.alg(`"ES256"`); j.signature = strings.Repeat("\x00", 64); return j.String() }},
	{"ES256 with the signature of EdDSA", func(j jwt) string { return j.alg(`"ES256"`).String() }},
	{"RS256", func(j jwt) string { return j.alg(`"RS256"`).String() }},
	{"signed by a key of the attacker's, under the server's key id", func(j jwt) string { return j.claim("sub", "alice").by(evilKey).String() }},
	{"signed by a key of the attacker's, under an unknown key id", func(j jwt) string { return j.with(`"kid":"`, `"kid":"x`).by(evilKey).String() }},
	{"a key id with SQL in it", func(j jwt) string { return j.with(`"kid":"`, `"kid":"' UNION SELECT 'x`).by(evilKey).String() }},
	{"a key id that is a URL", func(j jwt) string { return j.with(`"kid":"`, `"kid":"https://evil.example/`).by(evilKey).String() }},
	{"an empty key id", func(j jwt) string { return `{"alg":"EdDSA","kid":"","typ":"at+jwt"}` }},
	{"a key id that is a number", func(j jwt) string { return j.with(`"kid":"`, `"kid":0,"x":"`).by(evilKey).String() }},
	{"no key id", func(j jwt) string { j.header = `{"alg":"EdDSA","typ":"at+jwt"}`; return j.by(evilKey).String() }},
	{"jwk: brings its own key", func(j jwt) string { return j.claim("sub", "alice").member(`"jwk":` + evilJWK()).by(evilKey).String() }},
	{"jwk without a key id", func(j jwt) string {
		j.header = `{"alg":"EdDSA","typ":"at+jwt","jwk":` + evilJWK() + `}`
		return j.claim("sub", "alice").by(evilKey).String()
	}},
	{"jku: says where its key is", func(j jwt) string { return j.member(`"jku":"https://evil.example/jwks"`).by(evilKey).String() }},
	{"x5u: says where its certificate is", func(j jwt) string { return j.member(`"x5u":"https://evil.example/c"`).by(evilKey).String() }},
	{"x5c: brings its own certificate", func(j jwt) string { return j.member(`"x5c":["MIIB"]`).by(evilKey).String() }},
	{"crit with b64 and an unencoded payload", func(j jwt) string { return j.member(`"b64":false,"crit":["b64"]`).String() }},
	{"b64 false without crit", func(j jwt) string { return j.member(`"b64":false`).String() }},
	{"crit with a name that nobody knows", func(j jwt) string { return j.member(`"crit":["x"],"x":1`).String() }},
	{"crit empty", func(j jwt) string { return j.member(`"crit":[]`).String() }},
	{"a compressed payload", func(j jwt) string { return j.member(`"zip":"DEF"`).String() }},
	{"alg twice, none last", func(j jwt) string { return j.member(`"alg":"none"`).String() }},
	{"alg twice, none first", func(j jwt) string { return j.with(`{`, `{"alg":"none",`).String() }},
	{"alg twice, once escaped", func(j jwt) string { return j.member(`"\u0061lg":"none"`).String() }},
	{"kid twice", func(j jwt) string { return j.member(`"kid":"x"`).String() }},
	{"sub twice in the payload", func(j jwt) string { j.payload = `{"sub":"alice",` + j.payload[1:]; return j.String() }},
	{"sub twice, signed by the attacker", func(j jwt) string { j.payload = `{"sub":"alice",` + j.payload[1:]; return j.by(evilKey).String() }},
	{"typ JWT", func(j jwt) string { return j.with("at+jwt", "JWT").String() }},
	{"no typ", func(j jwt) string { return j.with(`"typ":"at+jwt"`, `"y":""`).String() }},
	{"text behind the header", func(j jwt) string { j.header += "{}"; return j.String() }},
	{"sub of somebody else", func(j jwt) string { return j.claim("sub", "alice").String() }},
	{"more permissions", func(j jwt) string { return j.claim("scope", "admin:*").String() }},
	{"another audience", func(j jwt) string { return j.claim("aud", []string{origin, "*"}).String() }},
	{"another issuer", func(j jwt) string { return j.claim("iss", "https://evil.example").by(evilKey).String() }},
	{"another session", func(j jwt) string { return j.claim("sid", "01900000-0000-7000-8000-000000000000").String() }},
	{"exp in ten years", func(j jwt) string { return j.claim("exp", 2_111_111_111).String() }},
	{"exp as text", func(j jwt) string { return j.claim("exp", "never").String() }},
	{"exp that is larger than any number", func(j jwt) string {
		j.payload = strings.Replace(j.payload, `"exp":`, `"exp":1e999`, 1)
		return j.String()
	}},
	{"the key bound to is taken out", func(j jwt) string { return j.claim("cnf", nil).String() }},
	{"an empty signature", func(j jwt) string { j.signature = ""; return j.String() }},
	{"half a signature", func(j jwt) string { j.signature = j.signature[:32]; return j.String() }},
	{"a signature with a byte behind it", func(j jwt) string { j.signature += "\x00"; return j.String() }},
	{"one bit of the signature", func(j jwt) string { b := []byte(j.signature); b[5] ^= 1; j.signature = string(b); return j.String() }},
	{"a signature of zeros", func(j jwt) string { j.signature = strings.Repeat("\x00", 64); return j.String() }},
	{"a signature with R of small order", func(j jwt) string { j.signature = "\x01" + strings.Repeat("\x00", 63); return j.String() }},
	{"the same signature in another spelling (S plus the order)", func(j jwt) string { j.signature = plusOrder(j.signature); return j.String() }},
	{"signature and payload changed places", func(j jwt) string { j.payload, j.signature = j.signature, j.payload; return j.String() }},
	{"unused bits set in the signature", func(j jwt) string { return j.signed() + "." + lax([]byte(j.signature)) }},
	{"padding", func(j jwt) string { return j.String() + "==" }},
	{"the other base64 alphabet", func(j jwt) string {
		return j.signed() + "." + base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\xff", 64)))
	}},
	{"a space within", func(j jwt) string { return strings.Replace(j.String(), ".", ". ", 1) }},
	{"a fourth part", func(j jwt) string { return j.String() + ".x" }},
	{"two parts", func(j jwt) string { return j.signed() }},
	{"one part", func(j jwt) string { return b64.EncodeToString([]byte(j.payload)) }},
	{"only dots", func(jwt) string { return ".." }},
	{"a JWE of five parts", func(j jwt) string { return j.String() + ".x.y" }},
	{"the JSON serialization", func(j jwt) string {
		return body(map[string]string{"protected": b64.EncodeToString([]byte(j.header)), "payload": b64.EncodeToString([]byte(j.payload)), "signature": b64.EncodeToString([]byte(j.signature))})
	}},
	{"all in capitals", func(j jwt) string { return strings.ToUpper(j.String()) }},
	{"ten kilobytes of header", func(j jwt) string { return j.member(`"x":"` + strings.Repeat("a", 10_000) + `"`).String() }},
	{"deeply nested header", func(j jwt) string {
		return j.member(`"x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500)).String()
	}},
	{"percent-encoded dots", func(j jwt) string { return strings.ReplaceAll(j.String(), ".", "%2E") }},
}

// confusions are good things of bob's that are no access tokens, or no longer.
var confusions = []struct {
	name string
	have func(w *world) string
}{
	{"an ID token", func(w *world) string { return w.granted("bob").IDToken }},
	{"a refresh token", func(w *world) string { return w.login("bob").RefreshToken }},
	{"a CSRF token", func(w *world) string { return w.browse("bob").csrf }},
	{"an authorization code", func(w *world) string { return w.code("bob", request()) }},
	{"a device code", func(w *world) string { return w.device().DeviceCode }},
	{"a proof of possession", func(w *world) string { return w.proof(evilKey, "GET", "/auth/me", "") }},
	{"a proof that holds all claims of an access token", func(w *world) string {
		j := w.jwt(w.login("bob").AccessToken)
		j.header = `{"typ":"dpop+jwt","alg":"EdDSA","jwk":` + evilJWK() + `}`
		return j.by(evilKey).String()
	}},
	{"a logout token", func(w *world) string {
		j := w.jwt(w.login("bob").AccessToken)
		j.header = `{"typ":"logout+jwt","alg":"EdDSA"}`
		return j.by(evilKey).String()
	}},
	{"a token that has expired this second", func(w *world) string {
		t := w.login("bob").AccessToken
		w.Clock.Advance(app.DefaultAccessTTL)
		return t
	}},
	{"a token of an hour ahead", func(w *world) string {
		w.Clock.Advance(time.Hour)
		defer w.Clock.Advance(-time.Hour)
		return w.login("bob").AccessToken
	}},
	{"a token of a session that was signed out", func(w *world) string {
		t := w.login("bob")
		w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: t.RefreshToken}))
		return t.AccessToken
	}},
	{"a token of a user who is gone", func(w *world) string {
		w.People.Change(func(m map[string]session.User) { m["dora"] = session.User{User: wire.User{ID: "dora"}} })
		t := w.login("dora")
		w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: t.RefreshToken}))
		w.People.Change(func(m map[string]session.User) { delete(m, "dora") })
		return t.AccessToken
	}},
	{"a token of another server with the same name", func(w *world) string {
		other := open(w.T, apptest.NewPeople(session.User{User: wire.User{ID: "bob"}}))
		return other.login("bob").AccessToken
	}},
	{"a token bound to a key, without the proof", func(w *world) string {
		return w.bound(evilKey, "bob").AccessToken
	}},
	{"text", func(*world) string { return "null" }},
	{"nothing", func(*world) string { return "" }},
}

// places are where a good access token of bob's does not count.
var places = []struct {
	name    string
	headers func(token string) []string
	query   string
}{
	{"in the address", func(string) []string { return nil }, "?access_token="},
	{"in a cookie", func(t string) []string { return []string{"Cookie", "access_token=" + t + "; __Host-tacet_access=" + t} }, ""},
	{"as the password of Basic", func(t string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:"+t))}
	}, ""},
	{"without a scheme", func(t string) []string { return []string{"Authorization", t} }, ""},
	{"with another scheme", func(t string) []string { return []string{"Authorization", "Token " + t} }, ""},
	{"without a space", func(t string) []string { return []string{"Authorization", "Bearer" + t} }, ""},
	{"in quotes", func(t string) []string { return []string{"Authorization", `Bearer "` + t + `"`} }, ""},
	{"as a parameter", func(t string) []string { return []string{"Authorization", `Bearer token=` + t} }, ""},
	{"with another token behind a comma", func(t string) []string { return []string{"Authorization", "Bearer " + t + ", Bearer x"} }, ""},
	{"in Proxy-Authorization", func(t string) []string { return []string{"Proxy-Authorization", "Bearer " + t} }, ""},
	{"in X-Authorization", func(t string) []string { return []string{"X-Authorization", "Bearer " + t, "X-Access-Token", t} }, ""},
	{"as DPoP without a proof", func(t string) []string { return []string{"Authorization", "DPoP " + t} }, ""},
}

func joseAttacks() (all []attack) {
	for _, f := range forgeries {
		all = append(all, attack{name: "forges an access token: " + f.name, want: "401 invalid_token", try: func(w *world) reply {
			t := w.login("bob")
			w.prepared()
			return w.everywhere(f.forge(w.jwt(t.AccessToken)))
		}})
	}
	for _, c := range confusions {
		all = append(all, attack{name: "presents as access token: " + c.name, want: "401 invalid_token", try: func(w *world) reply {
			token := c.have(w)
			w.prepared()
			return w.everywhere(token)
		}})
	}
	for _, p := range places {
		all = append(all, attack{name: "presents an access token " + p.name, want: "401 invalid_token", try: func(w *world) reply {
			t := w.login("bob").AccessToken
			w.prepared()
			q := p.query
			if q != "" {
				q += t
			}
			return w.refused(p.headers(t), q)
		}})
	}
	return all
}

// everywhere presents an access token wherever one is checked.
func (w *world) everywhere(token string) reply {
	w.Helper()
	return w.refused(bearer(token), "")
}

// refused asks all places that check access tokens; they must be of one mind, and
// the API hears nothing.
func (w *world) refused(headers []string, query string) (first reply) {
	w.Helper()
	n := w.api.count()
	for i, path := range []string{"/auth/me", "/api/orders", "/auth/verify", "/oauth/userinfo", "/auth/sessions"} {
		if query != "" && path == "/auth/verify" {
			continue // its parameters are those of the request that is asked about
		}
		r := w.send("GET", path+query, "", headers...)
		if i == 0 {
			first = r
		} else if r.status != first.status {
			w.Errorf("%s: %s, not %s", path, r, first)
		}
		if r.header.Get("WWW-Authenticate") == "" {
			w.Errorf("%s: no challenge", path)
		}
	}
	if w.api.count() != n {
		w.Error("it came through the gateway")
	}
	return first
}

// proof is one of possession, for a request that may carry an access token.
func (w *world) proof(key crypto.Signer, method, path, token string) string {
	w.Helper()
	p, err := dpop.Sign(key, dpop.Request{Method: method, URI: origin + path, AccessToken: token}, w.Clock.Now())
	if err != nil {
		w.Fatal(err)
	}
	return p
}
