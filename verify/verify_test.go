package verify_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/verify"
)

const (
	issuer   = "https://auth.example.com"
	audience = "https://api.example.com"
)

var (
	t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

	edPublic, edPrivate, _ = ed25519.GenerateKey(rand.Reader)
	ecPrivate, _           = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	keys                   = verify.StaticKeys{"ed": edPublic, "ec": &ecPrivate.PublicKey}
)

type object = map[string]any

// header and claims of a good token, with changes; a nil value takes a member out.
func header(changes object) object {
	return changed(object{"alg": "EdDSA", "typ": "at+jwt", "kid": "ed"}, changes)
}

func claims(changes object) object {
	return changed(object{
		"iss": issuer, "aud": audience, "sub": "usr_1", "client_id": "web", "jti": "tok_1", "sid": "ses_1",
		"iat": t0.Unix(), "exp": t0.Add(15 * time.Minute).Unix(),
		"roles": []string{"clerk"}, "scope": "orders:* users:read", "grants_version": 7,
	}, changes)
}

func changed(o, changes object) object {
	for k, v := range changes {
		if o[k] = v; v == nil {
			delete(o, k)
		}
	}
	return o
}

func encode(v any) string {
	b, ok := v.([]byte)
	if s, isText := v.(string); isText {
		b = []byte(s)
	} else if !ok {
		b, _ = json.Marshal(v)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// signEd and signEC sign whatever they are given, objects or raw JSON text.
func signEd(header, payload any) string {
	in := encode(header) + "." + encode(payload)
	return in + "." + encode(ed25519.Sign(edPrivate, []byte(in)))
}

func signEC(header, payload any) string {
	in := encode(header) + "." + encode(payload)
	digest := sha256.Sum256([]byte(in))
	r, s, err := ecdsa.Sign(rand.Reader, ecPrivate, digest[:])
	if err != nil {
		panic(err)
	}
	return in + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func goodToken() string { return signEd(header(nil), claims(nil)) }

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: t0} }
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}
func (c *clock) Add(d time.Duration) { c.Set(c.Now().Add(d)) }
func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func newVerifier(t testing.TB, c verify.Config) *verify.Verifier {
	t.Helper()
	if c.Issuer == "" {
		c.Issuer = issuer
	}
	if c.Audience == "" {
		c.Audience = audience
	}
	if c.Keys == nil {
		c.Keys = keys
	}
	if c.Clock == nil {
		c.Clock = newClock().Now
	}
	v, err := verify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifyReadsTheClaims(t *testing.T) {
	for name, raw := range map[string]string{
		"EdDSA": goodToken(),
		"ES256": signEC(header(object{"alg": "ES256", "kid": "ec"}), claims(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, verify.Config{})
			for range 2 { // new, and seen before
				tok, err := v.Verify(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				if tok.Subject() != "usr_1" || tok.SessionID() != "ses_1" || tok.ClientID() != "web" || tok.ID() != "tok_1" ||
					tok.Issuer() != issuer || tok.GrantsVersion() != 7 ||
					!tok.IssuedAt().Equal(t0) || !tok.ExpiresAt().Equal(t0.Add(15*time.Minute)) ||
					strings.Join(tok.Roles(), " ") != "clerk" || strings.Join(tok.Permissions(), " ") != "orders:* users:read" {
					t.Errorf("wrong claims: %+v", tok)
				}
				if !tok.Can("orders:read") || !tok.Can("users:read") || tok.Can("users:write") || !tok.HasRole("clerk") || tok.HasRole("admin") {
					t.Error("wrong grants")
				}
				tok.Roles()[0], tok.Permissions()[0] = "admin", "*" // copies
				if tok.HasRole("admin") || tok.Can("x") {
					t.Error("a caller could change the token")
				}
			}
		})
	}
}

func TestVerifyAcceptsWhatTheStandardsAllow(t *testing.T) {
	for name, raw := range map[string]string{
		"typ with application/ and in capitals": signEd(header(object{"typ": "Application/AT+JWT"}), claims(nil)),
		"several audiences":                     signEd(header(nil), claims(object{"aud": []string{"other", audience}})),
		"unknown header members":                signEd(header(object{"x5t": "abc", "n": object{"a": []int{1}}}), claims(nil)),
		"unknown claims":                        signEd(header(nil), claims(object{"email": "a@b", "deep": object{"exp": 1, "l": []any{object{}, "]}", 1.5, nil}}})),
		"dates with fractions":                  signEd(header(nil), claims(object{"iat": float64(t0.Unix()) + .5})),
		"no roles, no scope":                    signEd(header(nil), claims(object{"roles": nil, "scope": nil, "grants_version": nil})),
		"white space and escapes":               signEd(" {\n\"alg\" :\t\"EdDSA\", \"t\\u0079p\":\"at+jwt\",\"kid\":\"\\u0065d\" }\r\n", claims(nil)),
		"not before, in the past":               signEd(header(nil), claims(object{"nbf": t0.Unix()})),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newVerifier(t, verify.Config{}).Verify(t.Context(), raw); err != nil {
				t.Error(err)
			}
		})
	}
}

// A value that json.Marshal cannot write twice into one object.
func twice(payload object, name, first string) string {
	b, _ := json.Marshal(payload)
	return `{"` + name + `":` + first + `,` + string(b[1:])
}

func TestVerifyRefuses(t *testing.T) {
	good := goodToken()
	parts := strings.Split(good, ".")
	in := encode(header(object{"alg": "HS256"})) + "." + encode(claims(nil))
	mac := hmac.New(sha256.New, edPublic)
	mac.Write([]byte(in))
	otherPublic, otherPrivate, _ := ed25519.GenerateKey(rand.Reader)
	byOther := func(h object) string {
		in := encode(h) + "." + encode(claims(nil))
		return in + "." + encode(ed25519.Sign(otherPrivate, []byte(in)))
	}
	flip := []byte(good)
	flip[len(parts[0])+20] ^= 1
	none := encode(header(object{"alg": "none"})) + "." + encode(claims(nil)) + "."
	own := object{"kty": "OKP", "crv": "Ed25519", "x": encode([]byte(otherPublic))}
	many := object{}
	for i := range 100 {
		many["m"+encode([]byte{byte(i)})] = 1
	}
	lastChar := good[:len(good)-1] + string(good[len(good)-1]+1) // same bytes, other text: bits that do not count

	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"empty":                                {"", verify.ErrMalformed},
		"one dot":                              {parts[0] + "." + parts[1], verify.ErrMalformed},
		"three dots":                           {good + ".x", verify.ErrMalformed},
		"no signature":                         {parts[0] + "." + parts[1] + ".", verify.ErrMalformed},
		"short signature":                      {good[:len(good)-2], verify.ErrMalformed},
		"long signature":                       {good + "AA", verify.ErrMalformed},
		"signature not base64url":              {good[:len(good)-2] + "+/", verify.ErrMalformed},
		"base64 with bits that do not count":   {lastChar, verify.ErrMalformed},
		"line break":                           {parts[0] + "." + parts[1] + "\n." + parts[2], verify.ErrMalformed},
		"space":                                {good + " ", verify.ErrMalformed},
		"too long":                             {good + strings.Repeat("A", verify.DefaultMaxTokenBytes), verify.ErrMalformed},
		"payload changed":                      {string(flip), verify.ErrSignature},
		"signature of another token":           {parts[0] + "." + encode(claims(object{"sub": "usr_2"})) + "." + parts[2], verify.ErrSignature},
		"zero signature":                       {parts[0] + "." + parts[1] + "." + encode(make([]byte, 64)), verify.ErrSignature},
		"zero signature ES256":                 {encode(header(object{"alg": "ES256", "kid": "ec"})) + "." + parts[1] + "." + encode(make([]byte, 64)), verify.ErrSignature},
		"alg none":                             {none, verify.ErrMalformed},
		"alg none, with a signature":           {none + parts[2], verify.ErrAlgorithm},
		"alg None":                             {signEd(header(object{"alg": "None"}), claims(nil)), verify.ErrAlgorithm},
		"alg HS256 with the public key":        {in + "." + encode(mac.Sum(nil)), verify.ErrMalformed},
		"alg HS256, 64 bytes":                  {in + "." + encode(append(mac.Sum(nil), mac.Sum(nil)...)), verify.ErrAlgorithm},
		"alg RS256":                            {signEd(header(object{"alg": "RS256"}), claims(nil)), verify.ErrAlgorithm},
		"alg missing":                          {signEd(header(object{"alg": nil}), claims(nil)), verify.ErrAlgorithm},
		"alg a list":                           {signEd(header(object{"alg": []string{"EdDSA"}}), claims(nil)), verify.ErrMalformed},
		"ES256 under the EdDSA key":            {signEC(header(object{"alg": "ES256"}), claims(nil)), verify.ErrAlgorithm},
		"EdDSA under the ES256 key":            {signEd(header(object{"kid": "ec"}), claims(nil)), verify.ErrAlgorithm},
		"typ JWT":                              {signEd(header(object{"typ": "JWT"}), claims(nil)), verify.ErrType},
		"typ of an ID token":                   {signEd(header(object{"typ": "id+jwt"}), claims(nil)), verify.ErrType},
		"typ missing":                          {signEd(header(object{"typ": nil}), claims(nil)), verify.ErrType},
		"kid missing":                          {signEd(header(object{"kid": nil}), claims(nil)), verify.ErrMalformed},
		"kid a number":                         {signEd(header(object{"kid": 1}), claims(nil)), verify.ErrMalformed},
		"kid too long":                         {signEd(header(object{"kid": strings.Repeat("k", 300)}), claims(nil)), verify.ErrMalformed},
		"kid unknown":                          {signEd(header(object{"kid": "../../dev/null"}), claims(nil)), verify.ErrUnknownKey},
		"crit":                                 {signEd(header(object{"crit": []string{"exp"}}), claims(nil)), verify.ErrMalformed},
		"crit empty":                           {signEd(header(object{"crit": []string{}}), claims(nil)), verify.ErrMalformed},
		"b64":                                  {signEd(header(object{"b64": false}), claims(nil)), verify.ErrMalformed},
		"own key in jwk":                       {byOther(header(object{"jwk": own})), verify.ErrSignature},
		"own key in jwk, no kid":               {byOther(header(object{"jwk": own, "kid": nil})), verify.ErrMalformed},
		"own key at jku":                       {byOther(header(object{"jku": "http://127.0.0.1:1/jwks", "x5u": "http://127.0.0.1:1/"})), verify.ErrSignature},
		"own key in x5c":                       {byOther(header(object{"x5c": []string{"MIIB"}})), verify.ErrSignature},
		"header twice":                         {signEd(twice(header(nil), "alg", `"none"`), claims(nil)), verify.ErrMalformed},
		"header twice, escaped":                {signEd(twice(header(nil), `k\u0069d`, `"ec"`), claims(nil)), verify.ErrMalformed},
		"header in capitals":                   {signEd(`{"ALG":"EdDSA","typ":"at+jwt","kid":"ed"}`, claims(nil)), verify.ErrAlgorithm},
		"header an array":                      {signEd(`["EdDSA"]`, claims(nil)), verify.ErrMalformed},
		"header with rubbish behind":           {signEd(`{"alg":"EdDSA","typ":"at+jwt","kid":"ed"}{}`, claims(nil)), verify.ErrMalformed},
		"header not UTF-8":                     {signEd("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"ed\",\"x\":\"\xff\"}", claims(nil)), verify.ErrMalformed},
		"header too long":                      {signEd(header(object{"x": strings.Repeat("x", 2000)}), claims(nil)), verify.ErrMalformed},
		"payload empty":                        {signEd(header(nil), ""), verify.ErrMalformed},
		"payload null":                         {signEd(header(nil), "null"), verify.ErrMalformed},
		"payload cut off":                      {signEd(header(nil), `{"iss":`), verify.ErrMalformed},
		"payload deep":                         {signEd(header(nil), `{"a":`+strings.Repeat("[", 3000)), verify.ErrMalformed},
		"payload with many members":            {signEd(header(nil), claims(many)), verify.ErrMalformed},
		"sub twice":                            {signEd(header(nil), twice(claims(nil), "sub", `"root"`)), verify.ErrMalformed},
		"unknown claim twice":                  {signEd(header(nil), twice(claims(object{"x": 1}), "x", `2`)), verify.ErrMalformed},
		"iss other":                            {signEd(header(nil), claims(object{"iss": "https://auth.example.com.evil.example"})), verify.ErrIssuer},
		"iss with a slash more":                {signEd(header(nil), claims(object{"iss": issuer + "/"})), verify.ErrIssuer},
		"iss missing":                          {signEd(header(nil), claims(object{"iss": nil})), verify.ErrIssuer},
		"aud other":                            {signEd(header(nil), claims(object{"aud": "other"})), verify.ErrAudience},
		"aud others":                           {signEd(header(nil), claims(object{"aud": []string{"other", audience + "/"}})), verify.ErrAudience},
		"aud missing":                          {signEd(header(nil), claims(object{"aud": nil})), verify.ErrAudience},
		"aud empty list":                       {signEd(header(nil), claims(object{"aud": []string{}})), verify.ErrAudience},
		"aud with a number":                    {signEd(header(nil), claims(object{"aud": []any{audience, 1}})), verify.ErrMalformed},
		"sub missing":                          {signEd(header(nil), claims(object{"sub": nil})), verify.ErrMalformed},
		"sub empty":                            {signEd(header(nil), claims(object{"sub": ""})), verify.ErrMalformed},
		"sub a number":                         {signEd(header(nil), claims(object{"sub": 1})), verify.ErrMalformed},
		"jti missing":                          {signEd(header(nil), claims(object{"jti": nil})), verify.ErrMalformed},
		"client_id missing":                    {signEd(header(nil), claims(object{"client_id": nil})), verify.ErrMalformed},
		"iat missing":                          {signEd(header(nil), claims(object{"iat": nil})), verify.ErrMalformed},
		"exp missing":                          {signEd(header(nil), claims(object{"exp": nil})), verify.ErrMalformed},
		"exp a string":                         {signEd(header(nil), claims(object{"exp": "9999999999"})), verify.ErrMalformed},
		"exp null":                             {signEd(header(nil), twice(claims(object{"exp": nil}), "exp", "null")), verify.ErrMalformed},
		"exp in milliseconds":                  {signEd(header(nil), claims(object{"exp": t0.UnixMilli()})), verify.ErrMalformed},
		"exp huge":                             {signEd(header(nil), twice(claims(object{"exp": nil}), "exp", "1e400")), verify.ErrMalformed},
		"exp negative":                         {signEd(header(nil), claims(object{"exp": -1})), verify.ErrMalformed},
		"exp zero":                             {signEd(header(nil), claims(object{"exp": 0})), verify.ErrExpired},
		"iat in the future":                    {signEd(header(nil), claims(object{"iat": t0.Add(time.Hour).Unix()})), verify.ErrNotYetValid},
		"nbf in the future":                    {signEd(header(nil), claims(object{"nbf": t0.Add(time.Hour).Unix()})), verify.ErrNotYetValid},
		"roles a string":                       {signEd(header(nil), claims(object{"roles": "admin"})), verify.ErrMalformed},
		"roles with an array":                  {signEd(header(nil), claims(object{"roles": []any{[]string{"admin"}}})), verify.ErrMalformed},
		"scope a list":                         {signEd(header(nil), claims(object{"scope": []string{"*"}})), verify.ErrMalformed},
		"grants_version a fraction":            {signEd(header(nil), claims(object{"grants_version": 1.5})), verify.ErrMalformed},
		"grants_version negative":              {signEd(header(nil), claims(object{"grants_version": -1})), verify.ErrMalformed},
		"JSON serialization":                   {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, verify.ErrMalformed},
		"a JWE of five parts":                  {"a.b.c.d.e", verify.ErrMalformed},
		"another key under the id of ours":     {byOther(header(nil)), verify.ErrSignature},
		"Bearer before it":                     {"Bearer " + good, verify.ErrMalformed},
		"header and payload in the wrong case": {strings.ToUpper(parts[0]) + "." + parts[1] + "." + parts[2], verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, verify.Config{})
			for range 2 {
				tok, err := v.Verify(t.Context(), c.raw)
				if tok != nil || !errors.Is(err, c.want) || !errors.Is(err, verify.ErrInvalidToken) {
					t.Fatalf("got %v, %v; want %v", tok, err, c.want)
				}
			}
			if _, err := v.Verify(t.Context(), good); err != nil {
				t.Errorf("and the good token: %v", err)
			}
		})
	}
}

// Ahead is for the beginning of a token only; its end stays what it was.
func TestAheadAllowsForAnIssuersClock(t *testing.T) {
	for at, want := range map[time.Duration]error{
		-time.Minute - time.Nanosecond:   verify.ErrNotYetValid,
		-time.Minute:                     nil,
		15*time.Minute - time.Nanosecond: nil,
		15 * time.Minute:                 verify.ErrExpired,
	} {
		k := newClock()
		v := newVerifier(t, verify.Config{Leeway: -1, Ahead: time.Minute, Clock: k.Now})
		k.Set(t0.Add(at))
		if _, err := v.Verify(t.Context(), goodToken()); !errors.Is(err, want) {
			t.Errorf("at %v: %v, want %v", at, err, want)
		}
	}
}

// The edges of time, for a token that is new and for one that is remembered.
func TestVerifyAppliesTimeToTheSecond(t *testing.T) {
	for _, leeway := range []time.Duration{-1, 0, 10 * time.Second} {
		allowed := leeway
		switch leeway {
		case -1:
			allowed = 0
		case 0:
			allowed = 60 * time.Second
		}
		for _, c := range []struct {
			at   time.Time
			want error
		}{
			{t0.Add(-allowed - time.Nanosecond), verify.ErrNotYetValid},
			{t0.Add(-allowed), nil},
			{t0, nil},
			{t0.Add(15*time.Minute + allowed - time.Nanosecond), nil},
			{t0.Add(15*time.Minute + allowed), verify.ErrExpired},
			{t0.Add(1000 * time.Hour), verify.ErrExpired},
		} {
			for _, remembered := range []bool{false, true} {
				k := newClock()
				v := newVerifier(t, verify.Config{Leeway: leeway, Clock: k.Now})
				raw := goodToken()
				if remembered {
					if _, err := v.Verify(t.Context(), raw); err != nil {
						t.Fatal(err)
					}
				}
				k.Set(c.at)
				if _, err := v.Verify(t.Context(), raw); !errors.Is(err, c.want) {
					t.Errorf("leeway %v, remembered %v, at %v: %v, want %v", leeway, remembered, c.at.Sub(t0), err, c.want)
				}
			}
		}
	}
}

func TestVerifyLimitsTheSize(t *testing.T) {
	raw := goodToken()
	if _, err := newVerifier(t, verify.Config{MaxTokenBytes: len(raw)}).Verify(t.Context(), raw); err != nil {
		t.Error(err)
	}
	if _, err := newVerifier(t, verify.Config{MaxTokenBytes: len(raw) - 1}).Verify(t.Context(), raw); !errors.Is(err, verify.ErrMalformed) {
		t.Error(err)
	}
	big := signEd(header(nil), claims(object{"x": strings.Repeat("x", verify.DefaultMaxTokenBytes*3/4)}))
	if _, err := newVerifier(t, verify.Config{}).Verify(t.Context(), big); !errors.Is(err, verify.ErrMalformed) {
		t.Error(err)
	}
}

func TestARememberedTokenGoesWithItsKey(t *testing.T) {
	changing := maps.Clone(keys)
	var fails error
	v := newVerifier(t, verify.Config{Keys: verify.KeysFunc(func(ctx context.Context, kid string) (crypto.PublicKey, error) {
		if fails != nil {
			return nil, fails
		}
		return changing.Key(ctx, kid)
	})})
	raw := goodToken()
	check := func(what string, want error) {
		t.Helper()
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	check("first", nil)
	check("again", nil)
	fails = verify.ErrKeysUnavailable
	check("keys lost for too long", verify.ErrUnavailable)
	fails = nil
	delete(changing, "ed")
	check("key withdrawn", verify.ErrUnknownKey)
	changing["ed"], _, _ = ed25519.GenerateKey(rand.Reader)
	check("another key under the same id", verify.ErrSignature)
	changing["ed"] = ed25519.PublicKey(append([]byte(nil), edPublic...))
	check("an equal key in another place", nil)
}

func TestLivenessIsAskedEveryTime(t *testing.T) {
	asked := 0
	var says error
	v := newVerifier(t, verify.Config{Liveness: verify.LivenessFunc(func(_ context.Context, tok *verify.Token) error {
		asked++
		if tok.SessionID() != "ses_1" {
			t.Error("asked about another token")
		}
		return says
	})})
	raw := goodToken()
	for i, want := range []error{nil, nil, verify.ErrSessionEnded, verify.ErrStaleGrants, verify.ErrFeedLost, nil} {
		says = want
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, want) || asked != i+1 {
			t.Errorf("%d: %v after %d questions, want %v", i, err, asked, want)
		}
	}
	if _, err := v.Verify(t.Context(), raw[:len(raw)-4]+"AAAA"); err == nil || asked != 6 {
		t.Error("asked about a token that is not good")
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	ok := verify.Config{Issuer: issuer, Audience: audience, Keys: keys}
	for want, change := range map[string]func(*verify.Config){
		"Issuer":        func(c *verify.Config) { c.Issuer = "" },
		"Audience":      func(c *verify.Config) { c.Audience = "" },
		"Keys":          func(c *verify.Config) { c.Keys = nil },
		"MaxTokenBytes": func(c *verify.Config) { c.MaxTokenBytes = -1 },
		"Realm":         func(c *verify.Config) { c.Realm = `a", error="x` },
	} {
		c := ok
		change(&c)
		if _, err := verify.New(c); err == nil || !strings.Contains(err.Error(), "Config."+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := verify.New(ok); err != nil {
		t.Error(err)
	}
}
