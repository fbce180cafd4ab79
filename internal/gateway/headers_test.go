package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/rotation"
)

func TestOwnCookiesStayHere(t *testing.T) {
	for in, want := range map[string]string{
		"tacet_refresh=r":                               "",
		"__Host-tacet_refresh=r; tacet_csrf=x":          "",
		"XSRF-TOKEN=of another app; tacet_csrf=x":       "XSRF-TOKEN=of another app",
		"a=1; tacet_refresh=r; b=2":                     "a=1; b=2",
		"a=1;tacet_refresh=r;b=2":                       "a=1; b=2",
		" tacet_refresh =r; a=\"q;":                     "a=\"q; ",
		"TACET_REFRESH=r; a=1":                          "a=1",
		"tacet_refresh; a=1":                            "a=1",
		"my_tacet_refresh=1; tacet=2":                   "my_tacet_refresh=1; tacet=2",
		"__Host-tacet_form=f; __Host-tacet_oidc_sso=o":  "",
		"tacet_form=f; a=1; tacet_oidc_x=o":             "a=1",
		"__Host-tacet_csrf=c; __Secure-tacet_new=n":     "",
		"__HOST-Tacet_Anything=c; __Host-other=1":       "__Host-other=1",
		"tacet_kept=k; tacet_refresh2=2":                "",
		"a=b=c; tacet_csrf=1.x":                         "a=b=c",
		"single=value with spaces, left as they are":    "single=value with spaces, left as they are",
		"a=tacet_refresh=not a cookie of ours; other=1": "a=tacet_refresh=not a cookie of ours; other=1",
	} {
		h := http.Header{"Cookie": {in}}
		strip(h)
		if got := h.Get("Cookie"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	h := http.Header{"Cookie": {"a=1", "tacet_refresh=r", "b=2; tacet_csrf=c"}}
	strip(h)
	if got := strings.Join(h["Cookie"], "|"); got != "a=1|b=2" {
		t.Errorf("several lines: %q", got)
	}
	set := http.Header{"Set-Cookie": {"tacet_refresh=evil; Path=/auth", "own=1", "__Host-tacet_refresh=evil", "tacet_csrf=evil; Path=/"}}
	withoutOwnSet(set)
	if got := strings.Join(set["Set-Cookie"], "|"); got != "own=1" {
		t.Errorf("an upstream sets %q", got)
	}
}

// A value that any front-end's decodeURIComponent gives back, and that can't end
// a header or an item of a list.
func TestEncodeComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		e := encode(s)
		if strings.ContainsFunc(e, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }) {
			t.Fatalf("%q", e)
		}
		if d, err := url.PathUnescape(e); err != nil || d != s {
			t.Fatalf("%q came back as %q, %v", s, d, err)
		}
	})
	if got := list([]string{"orders:read", "a,b", "é%"}); got != "orders:read,a%2Cb,%C3%A9%25" {
		t.Error(got)
	}
}

func TestProtocolsAreUnwrapped(t *testing.T) {
	for in, want := range map[string]struct {
		token, rest string
		plain       bool
	}{
		"chat":                             {"", "chat", false},
		"tacet, tacet.bearer.a.b.c":        {"a.b.c", "", true},
		"tacet.bearer.a.b.c,chat ,  chat2": {"a.b.c", "chat, chat2", false},
		"chat, tacet":                      {"", "chat", true},
		"tacet.bearer., x":                 {"", "x", false},
	} {
		h := http.Header{protocolHeader: {in}}
		token, plain := unwrapProtocols(h)
		if token != want.token || plain != want.plain || h.Get(protocolHeader) != want.rest {
			t.Errorf("%q: %q, %v, %v", in, token, plain, h)
		}
	}
}

// Profiles keep refresh tokens under names of their own.
func TestRefreshTokensUnderAnyNameStayHere(t *testing.T) {
	if got := withoutOwn("jwt=" + rotation.Prefix + "AQ; theme=dark; tacet_kept=\"" + rotation.Prefix + "AQ\""); strings.Contains(got, rotation.Prefix) || !strings.Contains(got, "theme=dark") {
		t.Errorf("passed on: %q", got)
	}
	if got := withoutOwn("jwt=an.upstream.token"); got != "jwt=an.upstream.token" {
		t.Errorf("another's cookie became %q", got)
	}
}
