package directory

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tacet-dev/tacet/wire"
)

func TestNormalizeName(t *testing.T) {
	for _, same := range [][]string{
		{"alice", "Alice", "ALICE", "  alice\t", "ａｌｉｃｅ", "ＡＬＩＣＥ"},
		{"strasse", "Straße", "STRASSE", "STRAẞE"},
		{"é", "e\u0301", "É", "E\u0301"},
		{"σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ"},
		{"张伟", " 张伟 "},
		{"bob@example.com", "Bob@Example.COM"},
		{"a.b_c-d+e", "A.B_C-D+E"},
		{"Ꭰ", "ꭰ"}, // Cherokee
	} {
		want, err := NormalizeName(same[0])
		if err != nil {
			t.Error(err)
		}
		for _, s := range same {
			if got, err := NormalizeName(s); err != nil || got != want {
				t.Errorf("%q is %q (%v), want %q", s, got, err, want)
			}
		}
	}
	for _, bad := range []string{"", " ", "a b", "a\x00b", "a/b", "a:b", "a\u200db", "a\u202eb", "<b>", "\xff", "a,b", strings.Repeat("é", MaxName+1), strings.Repeat("x", 1<<20)} {
		var e *InvalidError
		if got, err := NormalizeName(bad); !errors.As(err, &e) || e.What != "user name" || got != "" {
			t.Errorf("%.20q: %q, %v", bad, got, err)
		}
	}
	if _, err := NormalizeName(strings.Repeat("é", MaxName)); err != nil {
		t.Error(err)
	}
}

// For every letter, alone and under the marks that move when case is folded.
func TestNormalizedNamesStay(t *testing.T) {
	for r := range rune(0x20000) {
		if !unicode.In(r, unicode.L, unicode.N) {
			continue
		}
		for _, s := range []string{string(r), string(r) + "\u0345\u0301", string(r) + "\u0307"} {
			n, err := NormalizeName(s)
			if err != nil {
				continue // it decomposes to something that is not allowed
			}
			if again, err := NormalizeName(n); err != nil || again != n {
				t.Errorf("%+q becomes %+q, and that %+q (%v)", s, n, again, err)
			}
			if swapped, err := NormalizeName(strings.ToUpper(s)); r < 0x250 && s == string(r) && r != 'ı' && (err != nil || swapped != n) {
				t.Errorf("%+q becomes %+q, its upper case %+q (%v)", s, n, swapped, err)
			}
		}
	}
}

func FuzzNormalizeName(f *testing.F) {
	for _, s := range []string{"Alice", "ß", "ﬃ", "İ", "ŉ", "ͅΑ", "\u0345\u0391", "Ⅷ", "ſ", "e\u0301\u0345", "\u1fb3", "a b", "\xff", "㎏"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := NormalizeName(s)
		if err != nil {
			return
		}
		if again, err := NormalizeName(n); err != nil || again != n {
			t.Errorf("%q becomes %q, and that %q (%v)", s, n, again, err)
		}
		if n == "" || utf8.RuneCountInString(n) > MaxName || strings.ContainsAny(n, " \t\r\n\x00/:\"<>") {
			t.Errorf("%q becomes %q", s, n)
		}
	})
}

// What is accepted as a permission works where it is checked and fits into a
// scope.
func FuzzPermission(f *testing.F) {
	for _, s := range []string{"orders:read", "orders:*", "*", "*:read", "a:b:c", "", ":", "a:", "a b", "a*", "Abp.Identity:Users.Create", "é", "a\"b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if checkPermission(p) != nil {
			return
		}
		if !wire.ValidPermission(p) || !wire.Covers(p, p) || !wire.Covers("*", p) || strings.ContainsAny(p, " ,\"\\") {
			t.Errorf("%q is accepted", p)
		}
		if !strings.Contains(p, "*") && !wire.Covers(p[:strings.LastIndexByte(p, ':')+1]+"*", p) {
			t.Errorf("the wildcard beside %q does not cover it", p)
		}
	})
}
