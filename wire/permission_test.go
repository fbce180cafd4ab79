package wire_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/wire"
	"pgregory.net/rapid"
)

type coversCase struct {
	Granted string `json:"granted"`
	Wanted  string `json:"wanted"`
	Covers  bool   `json:"covers"`
}

var coversCases = []coversCase{
	{"orders:read", "orders:read", true},
	{"orders:read", "orders:write", false},
	{"orders:read", "Orders:read", false},
	{"orders", "orders:read", false},
	{"orders:read", "orders", false},
	{"orders:*", "orders:read", true},
	{"orders:*", "orders:lines:read", true},
	{"orders:*", "orders", false},
	{"orders:*", "orders:*", true},
	{"orders:*", "ordersx:read", false},
	{"*", "orders:read", true},
	{"*", "orders", true},
	{"*", "*", true},
	{"*:read", "orders:read", true},
	{"*:read", "orders:write", false},
	{"*:read", "orders:lines:read", false},
	{"a:*:c", "a:b:c", true},
	{"a:*:c", "a:c", false},
	{"a:*:c", "a:*:c", true},
	{"a:*:c", "a:b:*", false},
	{"*:*", "a", false},
	{"*:*", "a:b", true},
	{"*:*", "*", false},
	{"orders:read", "orders:*", false},
	{"orders:r*", "orders:read", false}, // no wildcard inside a segment
	{"", "orders:read", false},
	{"*", "", false},
	{"", "", false},
	{"orders:", "orders:", false},
	{"*", "orders:", false},
	{"*", ":read", false},
	{"orders::read", "orders::read", false},
	{"*", "a b", false},
}

func TestCovers(t *testing.T) {
	for _, c := range coversCases {
		if got := wire.Covers(c.Granted, c.Wanted); got != c.Covers {
			t.Errorf("Covers(%q, %q) = %v, want %v", c.Granted, c.Wanted, got, c.Covers)
		}
	}
}

// The vectors are for the rule's other implementations, the browser's first: the
// cases above and all pairs of patterns up to three segments of a and *.
func TestPermissionVectors(t *testing.T) {
	cases := slices.Clone(coversCases)
	patterns := []string{"a", "*"}
	for i := 0; len(patterns) < 14; i++ {
		patterns = append(patterns, patterns[i]+":a", patterns[i]+":*")
	}
	for _, g := range patterns {
		for _, w := range patterns {
			cases = append(cases, coversCase{g, w, wire.Covers(g, w)})
		}
	}
	made := []byte("[\n")
	for i, c := range cases {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			made = append(made, ",\n"...)
		}
		made = append(append(made, "  "...), line...)
	}
	made = append(made, "\n]\n"...)
	const path = "../spec/vectors/permissions.json"
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, made) {
		t.Errorf("%s is not what the code makes; go test ./wire -update writes it, if that is meant", path)
	}
}

// A wildcard in the wanted permission stands for a set: covered means that every
// member is. The members up to four segments over a small alphabet show it.
func TestCoversAgreesWithTheSetsThatPatternsStandFor(t *testing.T) {
	var words []string
	var grow func(prefix string, depth int)
	grow = func(prefix string, depth int) {
		for _, s := range []string{"a", "b"} {
			words = append(words, prefix+s)
			if depth > 1 {
				grow(prefix+s+":", depth-1)
			}
		}
	}
	grow("", 5)
	pattern := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*"}), 1, 4).Draw(t, "segments"), ":")
	})
	rapid.Check(t, func(t *rapid.T) {
		granted, wanted := pattern.Draw(t, "granted"), pattern.Draw(t, "wanted")
		all := true
		for _, w := range words {
			all = all && (!wire.Covers(wanted, w) || wire.Covers(granted, w))
		}
		if got := wire.Covers(granted, wanted); got != all {
			t.Fatalf("Covers(%q, %q) = %v, but the sets say %v", granted, wanted, got, all)
		}
	})
}
