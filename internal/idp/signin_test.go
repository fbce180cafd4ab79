package idp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/idp/idptest"
	"github.com/tacet-dev/tacet/internal/session"
)

type settings = idptest.Settings

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	got, err := w.signIn()
	must(t, err)
	want := idp.Arrival{UserID: "user of 248289761001", Then: "then", Origin: session.Origin{Issuer: w.provider.URL, Subject: "248289761001", SID: "sid-1", Vouched: w.clock()}}
	if got != want {
		t.Errorf("%+v", got)
	}
	name, email := "Jane Doe", "jane@example.com"
	if who := w.users.seen(); !reflect.DeepEqual(who, directory.Person{Issuer: w.provider.URL, Subject: "248289761001", Provider: "company",
		Username: "j.doe", DisplayName: &name, Email: &email, Roles: []string{"viewer"}}) {
		t.Errorf("person %+v", who)
	}
	if n := w.provider.Called(idptest.PathUserInfo); n != 0 {
		t.Errorf("the UserInfo endpoint was asked for what the ID token says, %d times", n)
	}
}

func claim(name string, value any) func(*settings) {
	return func(s *settings) {
		s.Claims = func(c map[string]any) {
			if value == nil {
				delete(c, name)
			} else {
				c[name] = value
			}
		}
	}
}

// Every way in which what a provider sends can be wrong is refused: as what it is.
func TestDefectsOfProviders(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var refused *idp.RefusedError
	var distrusted *idp.InvalidError
	var down *idp.DownError
	for name, c := range map[string]struct {
		defect func(*settings)
		want   any // target of errors.As, or an error
	}{
		"iss of another":      {claim("iss", "https://evil.example"), &distrusted},
		"iss missing":         {claim("iss", nil), &distrusted},
		"aud of another":      {claim("aud", "somebody"), &distrusted},
		"aud missing":         {claim("aud", nil), &distrusted},
		"two aud, no azp":     {claim("aud", []string{idptest.ClientID, "somebody"}), &distrusted},
		"azp of another":      {claim("azp", "somebody"), &distrusted},
		"nonce of another":    {claim("nonce", "another"), &distrusted},
		"nonce missing":       {claim("nonce", nil), &distrusted},
		"expired":             {claim("exp", now.Add(-time.Second).Unix()), &distrusted},
		"exp missing":         {claim("exp", nil), &distrusted},
		"iat missing":         {claim("iat", nil), &distrusted},
		"iat in the future":   {claim("iat", now.Add(time.Hour).Unix()), &distrusted},
		"nbf in the future":   {claim("nbf", now.Add(time.Hour).Unix()), &distrusted},
		"at_hash of another":  {claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), &distrusted},
		"sub missing":         {claim("sub", nil), &distrusted},
		"sub empty":           {claim("sub", ""), &distrusted},
		"sub no text":         {claim("sub", 7), &distrusted},
		"sub too long":        {claim("sub", strings.Repeat("x", 256)), &distrusted},
		"sub with a line end": {claim("sub", "a\nb"), &distrusted},
		"unsigned":            {func(s *settings) { s.Sign = idptest.Unsigned }, &distrusted},
		"signed with another key": {func(s *settings) {
			s.Sign = func(c map[string]any, typ string) string { return idptest.Sign(jose.ES256, other, c, typ) }
		}, &distrusted},
		"another key, same kid": {func(s *settings) {
			s.Sign = func(c map[string]any, typ string) string {
				return idptest.Sign(jose.ES256, jose.JSONWebKey{Key: other, KeyID: "key-1"}, c, typ)
			}
		}, &distrusted},
		"no JWT at all":     {func(s *settings) { s.Sign = func(map[string]any, string) string { return "eyJ" } }, &distrusted},
		"no ID token":       {func(s *settings) { s.Sign = func(map[string]any, string) string { return "" } }, &distrusted},
		"iss of the answer": {func(s *settings) { s.Iss = "https://evil.example" }, &distrusted},
		"no iss though announced": {func(s *settings) {
			s.Metadata = func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = true }
		}, &distrusted},
		"UserInfo about another":   {func(s *settings) { s.AtUserInfo, s.UserInfo = true, func(c map[string]any) { c["sub"] = "somebody" } }, &distrusted},
		"UserInfo without sub":     {func(s *settings) { s.AtUserInfo, s.UserInfo = true, func(c map[string]any) { delete(c, "sub") } }, &distrusted},
		"UserInfo broken":          {func(s *settings) { s.AtUserInfo, s.Status = true, map[string]int{idptest.PathUserInfo: 500} }, &down},
		"code refused":             {func(s *settings) { s.Status = map[string]int{idptest.PathToken: 400} }, &distrusted},
		"token endpoint broken":    {func(s *settings) { s.Status = map[string]int{idptest.PathToken: 502} }, &down},
		"token endpoint throttles": {func(s *settings) { s.Status = map[string]int{idptest.PathToken: 429} }, &down},
		"keys broken":              {func(s *settings) { s.Status = map[string]int{idptest.PathKeys: 500} }, &down},
		"refused":                  {func(s *settings) { s.Error = "access_denied" }, &refused},
		"disabled": {func(s *settings) {
			s.Person = map[string]any{"sub": "disabled", "name": "x", "email": "x", "groups": 1}
		}, idp.ErrDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.provider.Change(c.defect)
			a, err := w.signIn()
			target, isError := c.want.(error)
			if err == nil || isError && !errors.Is(err, target) || !isError && !errors.As(err, c.want) {
				t.Fatalf("%v (%T)", err, err)
			}
			if a.UserID != "" || a.Then != "then" {
				t.Errorf("beside the error: %+v", a)
			}
			if strings.Contains(err.Error(), "access-") || strings.Contains(err.Error(), "code-") || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("a secret in the error: %v", err)
			}
			// And it can do better again.
			w.provider.Change(func(s *settings) {
				*s = settings{Person: map[string]any{"sub": "1", "name": "x", "email": "x@example.com", "groups": "staff"}}
			})
			w.advance(2 * time.Hour) // metadata are read anew
			if _, err := w.signIn(); err != nil {
				t.Errorf("the provider is in order again: %v", err)
			}
		})
	}
}

// Signed with what everybody knows, or with what the client knows: HS256 is not
// accepted, though the metadata name it.
func TestNoSharedSecretsForSignatures(t *testing.T) {
	w := newWorld(t)
	der := w.provider.PublicKey()
	for name, secret := range map[string][]byte{
		"the public key, DER": der, "the public key, PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"the client secret": []byte(idptest.ClientSecret + strings.Repeat("\x00", 32)),
	} {
		w.provider.Change(func(s *settings) {
			s.Sign = func(c map[string]any, typ string) string { return idptest.Sign(jose.HS256, secret, c, typ) }
		})
		if _, err := w.signIn(); !errors.As(err, new(*idp.InvalidError)) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.Logout(t.Context(), "company", w.provider.LogoutToken(func(c map[string]any) { c["sub"] = "x" })); !errors.As(err, new(*idp.InvalidError)) {
			t.Errorf("logout by %s: %v", name, err)
		}
	}
}

// What is unusual and right is accepted.
func TestWhatProvidersMayDo(t *testing.T) {
	for name, c := range map[string]func(*settings){
		"two aud with azp": func(s *settings) {
			s.Claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"x", idptest.ClientID}, idptest.ClientID }
		},
		"no at_hash":             claim("at_hash", nil),
		"no sid":                 claim("sid", nil),
		"a clock that is ahead":  func(s *settings) { s.Claims = func(c map[string]any) { c["iat"] = c["iat"].(int64) + 200 } },
		"email_verified as text": func(s *settings) { s.Claims = func(c map[string]any) { c["email_verified"] = "true" } },
		"claims at UserInfo":     func(s *settings) { s.AtUserInfo = true },
		"iss in the answer":      func(s *settings) { s.AnswersIss = true },
		"no UserInfo endpoint":   func(s *settings) { s.Metadata = func(m map[string]any) { delete(m, "userinfo_endpoint") } },
		"client_secret_basic": func(s *settings) {
			s.Metadata = func(m map[string]any) {
				m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "client_secret_basic"}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.provider.Change(c)
			if _, err := w.signIn(); err != nil {
				t.Fatal(err)
			}
			if who := w.users.seen(); len(who.Roles) != 1 || who.Email == nil || *who.Email != "jane@example.com" || *who.DisplayName != "Jane Doe" {
				t.Errorf("person %+v", who)
			}
		})
	}
}

// A code belongs to one sign-in of one browser at one provider.
func TestAnswersOfOtherSignIns(t *testing.T) {
	w := newWorld(t)
	mine, mySealed := w.atProvider()
	theirs, theirSealed := w.atProvider()
	with := func(answer map[string]string, name, value string) map[string]string {
		out := map[string]string{}
		for k, v := range answer {
			out[k] = v
		}
		out[name] = value
		return out
	}
	for name, c := range map[string]struct {
		answer map[string]string
		sealed string
	}{
		"nothing held":           {mine, ""},
		"another's hold":         {mine, theirSealed},
		"another's answer":       {theirs, mySealed},
		"another's state":        {with(mine, "state", theirs["state"]), mySealed},
		"no state":               {with(mine, "state", ""), mySealed},
		"changed hold":           {mine, mySealed[:40] + "A" + mySealed[41:]},
		"cut hold":               {mine, mySealed[:len(mySealed)-2]},
		"sealed for another use": {mine, w.ring.SealLabelled("another use", []byte(`{}`))},
		"a forged error":         {map[string]string{"error": "access_denied", "state": "x"}, mySealed},
	} {
		if _, err := w.Finish(t.Context(), "company", c.answer, c.sealed); !errors.Is(err, idp.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The code of another, brought by this browser: the nonce, and before it PKCE, say no.
	if _, err := w.Finish(t.Context(), "company", with(mine, "code", theirs["code"]), mySealed); !errors.As(err, new(*idp.InvalidError)) {
		t.Errorf("an injected code: %v", err)
	}
	if _, err := w.Finish(t.Context(), "nobody", mine, mySealed); !errors.Is(err, idp.ErrUnknown) {
		t.Errorf("another provider: %v", err)
	}
	if _, err := w.Finish(t.Context(), "company", mine, mySealed); err != nil {
		t.Errorf("none of this has harmed the right one: %v", err)
	}
	if _, err := w.Finish(t.Context(), "company", mine, mySealed); !errors.As(err, new(*idp.InvalidError)) {
		t.Errorf("a replayed code: %v", err)
	}
	answer, sealed := w.atProvider()
	w.advance(idp.PendingLifetime)
	if _, err := w.Finish(t.Context(), "company", answer, sealed); !errors.Is(err, idp.ErrState) {
		t.Errorf("after too long: %v", err)
	}
}

// A provider that lets codes be redeemed twice does not let anybody else in.
func TestAnInjectedCodeAtACarelessProvider(t *testing.T) {
	w := newWorld(t)
	w.provider.Change(func(s *settings) { s.Replayable = true })
	mine, mySealed := w.atProvider()
	theirs, theirSealed := w.atProvider()
	if _, err := w.Finish(t.Context(), "company", theirs, theirSealed); err != nil {
		t.Fatal(err)
	}
	mine["code"] = theirs["code"]
	if a, err := w.Finish(t.Context(), "company", mine, mySealed); err == nil {
		t.Errorf("signed in as %s", a.UserID)
	}
}

func TestKeyRotationAtTheProvider(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		if _, err := w.signIn(); err != nil {
			t.Fatal(err)
		}
		w.provider.RotateKeys()
		w.advance(10 * time.Second)
	}
	// Tokens under keys that there never were cost the provider next to nothing.
	before := w.provider.Called(idptest.PathKeys)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	for range 50 {
		raw := idptest.Sign(jose.ES256, jose.JSONWebKey{Key: other, KeyID: rand.Text()}, map[string]any{"iss": w.provider.URL}, "logout+jwt")
		if _, err := w.Logout(t.Context(), "company", raw); !errors.As(err, new(*idp.InvalidError)) {
			t.Fatal(err)
		}
	}
	if n := w.provider.Called(idptest.PathKeys) - before; n > 1 {
		t.Errorf("the keys were read %d times", n)
	}
}

func TestMetadataThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another issuer":        func(m map[string]any) { m["issuer"] = "https://evil.example" },
		"no token endpoint":     func(m map[string]any) { delete(m, "token_endpoint") },
		"keys in a file":        func(m map[string]any) { m["jwks_uri"] = "file:///etc/passwd" },
		"no signature of use":   func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"none", "HS256"} },
		"script as the address": func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
	} {
		w := newWorld(t)
		w.provider.Change(func(s *settings) { s.Metadata = change })
		if _, err := w.Begin(t.Context(), "company", ""); !errors.As(err, new(*idp.DownError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was asked of the provider.
func TestWhatTheProviderIsAsked(t *testing.T) {
	w := newWorld(t, func(s *idp.Settings) { s.Scopes = []string{"openid", "groups"} })
	began, err := w.Begin(t.Context(), "company", "")
	must(t, err)
	u, err := url.Parse(began.Location)
	must(t, err)
	q := u.Query()
	for name, want := range map[string]string{"response_type": "code", "client_id": idptest.ClientID, "scope": "openid groups",
		"redirect_uri": "https://app.example/auth/oidc/company/callback", "code_challenge_method": "S256", "state": began.State} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) != 43 { // 256 bits
			t.Errorf("%s is %q", name, q.Get(name))
		}
		if strings.Contains(began.Sealed, q.Get(name)) {
			t.Errorf("%s can be read in what is sealed", name)
		}
	}
}

func TestRolesFromClaims(t *testing.T) {
	for name, c := range map[string]struct {
		claim  string
		claims map[string]any
		want   string
	}{
		"a list":              {"groups", map[string]any{"groups": []string{"staff", "boss", "staff"}}, "admin viewer"},
		"a text":              {"groups", map[string]any{"groups": "boss"}, "admin"},
		"no claim":            {"groups", map[string]any{}, ""},
		"an empty list":       {"groups", map[string]any{"groups": []string{}}, ""},
		"what is no text":     {"groups", map[string]any{"groups": []any{1, nil, true, "staff", []string{"boss"}}}, "viewer"},
		"an object":           {"groups", map[string]any{"groups": map[string]any{"boss": true}}, ""},
		"another spelling":    {"groups", map[string]any{"groups": []string{"Boss", "boss ", "bos"}}, ""},
		"with signs in it":    {"groups", map[string]any{"groups": []string{"CN=chess,OU=x"}}, "player"},
		"a path":              {"realm_access.roles", map[string]any{"realm_access": map[string]any{"roles": []string{"boss"}}}, "admin"},
		"a name with dots":    {"https://x.example/roles", map[string]any{"https://x.example/roles": "boss"}, "admin"},
		"a path of two":       {"a.b.c", map[string]any{"a": map[string]any{"b": map[string]any{"c": "staff"}}}, "viewer"},
		"a path into nothing": {"a.b.c", map[string]any{"a": map[string]any{"b": "staff"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *idp.Settings) { s.RolesClaim = c.claim })
			w.provider.Change(func(s *settings) {
				s.Person = map[string]any{"sub": "1", "name": "x", "email": "x@example.com"}
				for k, v := range c.claims {
					s.Person[k] = v
				}
			})
			_, err := w.signIn()
			must(t, err)
			if got := strings.Join(w.users.seen().Roles, " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestRequireRole(t *testing.T) {
	w := newWorld(t, func(s *idp.Settings) { s.RequireRole = true })
	if _, err := w.signIn(); err != nil {
		t.Errorf("with a role: %v", err)
	}
	w.provider.Change(func(s *settings) { s.Person = map[string]any{"sub": "2", "name": "x", "email": "x", "groups": "chess"} })
	if _, err := w.signIn(); !errors.Is(err, idp.ErrNoRole) {
		t.Errorf("without: %v", err)
	}
	if w.users.seen().Subject == "2" {
		t.Error("who was not let in was made a user")
	}
}

// An address that nobody has verified is not kept.
func TestEmailOnlyIfVerified(t *testing.T) {
	for verified, want := range map[any]string{true: "a@example.com", "true": "a@example.com", false: "", "false": "", nil: "", 1: ""} {
		w := newWorld(t)
		w.provider.Change(func(s *settings) {
			s.Person = map[string]any{"sub": "1", "name": "x", "groups": "staff", "email": "a@example.com", "email_verified": verified}
		})
		_, err := w.signIn()
		must(t, err)
		if got := w.users.seen(); got.Email == nil || *got.Email != want || got.Username != want {
			t.Errorf("email_verified %v: %+v", verified, got)
		}
	}
}

// Two providers, one of which is hostile: what was begun at one can't be finished
// by the other, nor with its tokens (RFC 9700 §4.4).
func TestMixUpOfProviders(t *testing.T) {
	w := newWorld(t)
	hostile := idptest.New(t, map[string]any{"sub": "248289761001", "name": "Mallory", "email": "m@example.com", "groups": "boss"})
	hostile.Clock = w.clock
	two := w.Config
	two.Providers = append(two.Providers[:1:1], idp.Settings{ID: "hostile", Name: "Hostile", Issuer: hostile.URL, ClientID: idptest.ClientID, ClientSecret: idptest.ClientSecret})
	w.Service = idp.New(two)

	answer, sealed := w.atProvider()
	if _, err := w.Finish(t.Context(), "hostile", answer, sealed); !errors.Is(err, idp.ErrState) {
		t.Errorf("the answer of one at the address of the other: %v", err)
	}
	if n := hostile.Called(idptest.PathToken); n != 0 {
		t.Error("the code of one was sent to the other")
	}
	// The hostile one signs as the other, with its own key and with the other's name.
	hostile.Change(func(s *settings) { s.Claims = func(c map[string]any) { c["iss"] = w.provider.URL } })
	began, err := w.Begin(t.Context(), "hostile", "")
	must(t, err)
	answer = w.visitAs(began.Location, "hostile")
	if _, err := w.Finish(t.Context(), "hostile", answer, began.Sealed); !errors.As(err, new(*idp.InvalidError)) {
		t.Errorf("as another issuer: %v", err)
	}
	hostile.Change(func(s *settings) { s.Claims = nil })
	began, err = w.Begin(t.Context(), "hostile", "")
	must(t, err)
	a, err := w.Finish(t.Context(), "hostile", w.visitAs(began.Location, "hostile"), began.Sealed)
	if err != nil || a.Origin.Issuer != hostile.URL || w.users.seen().Provider != "hostile" {
		t.Errorf("the same sub at another issuer: %+v, %v", a, err)
	}
	// Nor does it sign the other's people out.
	id := w.session()
	for _, at := range []string{"company", "hostile"} {
		raw := hostile.LogoutToken(func(c map[string]any) { c["sub"], c["sid"] = "248289761001", "sid-1" })
		if _, err := w.Logout(t.Context(), at, raw); (err == nil) != (at == "hostile") || !w.alive(id) {
			t.Errorf("a logout token of the hostile one at %s: %v", at, err)
		}
	}
}
