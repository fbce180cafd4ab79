package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// FuzzUserKey: every id comes back, no two share what is stored, and the ids
// that the directory makes are stored short.
func FuzzUserKey(f *testing.F) {
	const made = "usr_p6s6bwx6miqbzld5uiv6rcqvzq"
	ids := []string{"", "=", "_", "usr", "usr_", "=usr", made, "=" + made, "x" + made, strings.ToUpper(made), made + "a", made[3:], "a_" + made,
		strings.TrimSuffix(made, "q") + "r", // bits that base32 does not use
		"0194c9f1-5b0e-7cc3-98c4-dc0c0c07398f", "0194C9F1-5B0E-7CC3-98C4-DC0C0C07398F", "用户-Ünïcode-🦊"}
	for _, a := range ids {
		for _, b := range ids {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		keyA, formA := userKey(a)
		keyB, formB := userKey(b)
		if got := userID(keyA, formA); got != a {
			t.Errorf("%q came back as %q", a, got)
		}
		if same := keyA == keyB && formA == formB; same != (a == b) {
			t.Errorf("%q and %q are stored alike: %v", a, b, same)
		}
		if a == made && formA != "usr" || !keyA.Valid || keyA == (pgtype.UUID{}) {
			t.Errorf("%q has key %v, %q", a, keyA, formA)
		}
	})
}
