package oauth

import (
	"errors"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/httpapi/form"
)

func TestRFC6749_3_3_Scopes(t *testing.T) {
	c := Client{Scopes: []string{"openid", "email", "orders:*", "reports:read"}}
	for asked, want := range map[string]string{
		"": "orders:* reports:read", "openid": "openid", "openid openid email": "openid email", "orders:read openid": "orders:read openid",
		"  openid \t profile ": "openid", "OPENID": "", "openid,email": "", "offline_access": "", "*": "orders:* reports:read",
		"reports:*": "reports:read", "admin:users:write openid": "openid", "admin:*": "",
	} {
		got, err := c.scope(asked)
		var refused *form.Error
		if got != want || (want == "") != (err != nil) || err != nil && (!errors.As(err, &refused) || refused.Code != form.CodeInvalidScope) {
			t.Errorf("%q grants %q, %v; want %q", asked, got, err, want)
		}
	}
	// No wildcard stands for what is told of a user.
	if got, err := (Client{Scopes: []string{"*"}}).scope("openid a:b"); got != "a:b" || err != nil {
		t.Errorf("a wildcard grants %q, %v", got, err)
	}
	if _, err := (Client{Scopes: []string{"openid"}}).scope(""); err == nil {
		t.Error("nothing was asked for, and something is granted")
	}
}

// The example of RFC 7636, appendix B, and the bounds of §4.1.
func TestRFC7636_B_S256(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if !proves(verifier, challenge) {
		t.Error("the example is refused")
	}
	for _, v := range []string{"", verifier[1:], verifier + "=", strings.Repeat("a", 129), challenge} {
		if proves(v, challenge) {
			t.Errorf("%q is taken for the verifier", v)
		}
	}
	if proves(challenge, challenge) || proves(verifier, verifier) {
		t.Error("the method plain is accepted")
	}
}

func TestUserCodes(t *testing.T) {
	for typed, want := range map[string]string{"BDFG-HJKL": "BDFGHJKL", "bdfg hjkl": "BDFGHJKL", " b d-f.g_hjkl\n": "BDFGHJKL", "AEIOU01": "", "ＢＤ": ""} {
		if got := normalUserCode(typed); got != want {
			t.Errorf("%q means %q, want %q", typed, got, want)
		}
	}
}
