package directory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/tacet-dev/tacet/wire"
)

// Limits of what is stored, in characters unless they say bytes.
const (
	MaxName        = 128
	MaxDisplayName = 128
	MaxEmail       = 254
	MaxRole        = 64
	MaxPermission  = 128
	MinPassword    = 8
	MaxPassword    = 1024 // bytes
)

// InvalidError says which input is not acceptable and why. What and Why are from
// a fixed list, so that they can be translated.
type InvalidError struct {
	What string // "user name", "password", …
	Why  string // format of Args
	Args []any
}

func (e *InvalidError) Error() string { return e.What + ": " + fmt.Sprintf(e.Why, e.Args...) }

func invalid(what, why string, args ...any) error { return &InvalidError{what, why, args} }

// NormalizeName returns the form of a user name under which it is stored and
// found: without space around it, in Unicode form NFKC, case-folded. Names that
// only differ in that are one: "Alice", "alice" and "ＡＬＩＣＥ". The error is an
// [*InvalidError].
func NormalizeName(name string) (string, error) {
	const what = "user name"
	if len(name) > 8*MaxName || !utf8.ValidString(name) {
		return "", invalid(what, "must be at most %d characters of valid UTF-8", MaxName)
	}
	// Folding can undo the composition, so compose again. Lower case after it is
	// for Cherokee, whose two cases the folding of x/text swaps: what is stored
	// must normalise to itself.
	folded := strings.ToLower(cases.Fold().String(norm.NFKC.String(name)))
	n := strings.TrimSpace(norm.NFKC.String(folded))
	switch count := utf8.RuneCountInString(n); {
	case count == 0:
		return "", invalid(what, "must not be empty")
	case count > MaxName:
		return "", invalid(what, "has %d characters, at most %d are allowed", count, MaxName)
	}
	for _, r := range n {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune("._-+@", r) {
			return "", invalid(what, "must not contain %q; use letters, digits and . _ - + @", r)
		}
	}
	return n, nil
}

// checkText is for what is shown to people: display names and e-mail addresses.
func checkText(what, s string, limit int) error {
	if n := utf8.RuneCountInString(s); n > limit || !utf8.ValidString(s) {
		return invalid(what, "must be at most %d characters of valid UTF-8", limit)
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		return invalid(what, "must not contain control characters")
	}
	return nil
}

func checkEmail(s string) error {
	if s == "" {
		return nil
	}
	local, host, ok := strings.Cut(s, "@")
	if !ok || local == "" || host == "" || strings.ContainsFunc(s, unicode.IsSpace) {
		return invalid("e-mail address", "%q is none; it looks like name@example.com", s)
	}
	return checkText("e-mail address", s, MaxEmail)
}

// checkRole and checkPermission keep to ASCII that needs no escaping anywhere:
// both travel in tokens, scopes and headers.

func checkRole(name string) error {
	if name == "" || len(name) > MaxRole {
		return invalid("role", "the name must have 1 to %d characters", MaxRole)
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return !plain(r) }); i >= 0 {
		return invalid("role", "the name %q must consist of letters, digits and . _ - only", name)
	}
	return nil
}

func checkPermission(p string) error {
	if len(p) > MaxPermission {
		return invalid("permission", "at most %d characters are allowed", MaxPermission)
	}
	for segment := range strings.SplitSeq(p, ":") {
		if segment != "*" && strings.ContainsFunc(segment, func(r rune) bool { return !plain(r) }) {
			return invalid("permission", "%q must be segments of letters, digits and . _ - with colons between them, or * for any segment, as in orders:read or orders:*", p)
		}
	}
	if !wire.ValidPermission(p) {
		return invalid("permission", "%q is empty or has an empty segment; it looks like orders:read or orders:*", p)
	}
	return nil
}

func plain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r)
}
