package oauth

import (
	"errors"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/httpapi/form"
)

func TestRFC6749_3_3_Scopes(t *testing.T) {
	for requested, want := range map[string]string{
		"": "", "openid": "openid", "openid openid email": "openid email", "orders:read openid": "openid",
		"  openid \t profile ": "openid profile", "OPENID": "", "openid,profile": "", "offline_access": "offline_access",
	} {
		if got := strings.Join(granted(requested), " "); got != want {
			t.Errorf("%q grants %q, want %q", requested, got, want)
		}
		// A renewal with the scope that the grant answered is never refused.
		if _, err := renewed(want); err != nil {
			t.Errorf("renewal with %q: %v", want, err)
		}
	}
	for _, beyond := range []string{"orders:read", "openid orders:read", "OPENID"} {
		var refused *form.Error
		if _, err := renewed(beyond); !errors.As(err, &refused) || refused.Code != form.CodeInvalidScope {
			t.Errorf("renewal with %q: %v", beyond, err)
		}
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
