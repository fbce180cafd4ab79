package keys

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/wire"
)

func TestClaimsAreEncodedAsJSONDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,40}`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		number := rapid.Int64()
		c := wire.AccessClaims{
			Issuer: text.Draw(t, "iss"), Subject: text.Draw(t, "sub"), Audience: text.Draw(t, "aud"),
			ExpiresAt: number.Draw(t, "exp"), IssuedAt: number.Draw(t, "iat"), ID: text.Draw(t, "jti"),
			ClientID: text.Draw(t, "client_id"), SessionID: text.Draw(t, "sid"),
			Roles: rapid.SliceOfN(text, 0, 3).Draw(t, "roles"), Scope: text.Draw(t, "scope"),
			GrantsVersion: number.Draw(t, "grants_version"), Chain: text.Draw(t, "chain"), KeepsGrants: rapid.Bool().Draw(t, "keeps_grants"),
			ACR: text.Draw(t, "acr"), AMR: rapid.SliceOfN(text, 0, 3).Draw(t, "amr"), AuthTime: number.Draw(t, "auth_time"),
		}
		want, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendClaims(nil, &c); string(got) != string(want) {
			t.Fatalf("\n%s, want\n%s", got, want)
		}
	})
}

// A claim that is new must be added to appendClaims as well.
func TestEveryClaimIsEncoded(t *testing.T) {
	var c wire.AccessClaims
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Int64:
			f.SetInt(1)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"x"}))
		case reflect.Pointer:
			f.Set(reflect.ValueOf(&wire.Confirmation{KeyThumbprint: "x"}))
		default:
			t.Fatalf("the claim %s is of a kind that this test does not know", v.Type().Field(i).Name)
		}
	}
	want, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := appendClaims(nil, &c); string(got) != string(want) {
		t.Fatalf("\n%s, want\n%s", got, want)
	}
}
