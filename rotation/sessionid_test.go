package rotation_test

import (
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/rotation"
	"pgregory.net/rapid"
)

// TestSessionIDText: an id has one spelling, and nothing else is read as an id.
func TestSessionIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rotation.SessionID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		s := id.String()
		if got, err := rotation.ParseSessionID(s); err != nil || got != id {
			t.Fatalf("%s is read as %v, %v", s, got, err)
		}
		at, c := rapid.IntRange(0, 35).Draw(t, "at"), rapid.Byte().Draw(t, "byte")
		other := s[:at] + string([]byte{c}) + s[at+1:]
		if got, err := rotation.ParseSessionID(other); (err == nil) != (got.String() == other) || err != nil && got != (rotation.SessionID{}) {
			t.Fatalf("%q is read as %v, %v", other, got, err)
		}
	})
	const good = "00010203-0405-0607-0809-0a0b0c0d0e0f"
	if sample.Session.String() != good {
		t.Errorf("written as %s", sample.Session)
	}
	for _, bad := range []string{"", good[:35], good + "0", strings.ToUpper(good), strings.ReplaceAll(good, "-", ""), strings.ReplaceAll(good, "-", "_"), "{" + good[:34] + "}"} {
		if _, err := rotation.ParseSessionID(bad); err == nil {
			t.Errorf("%q is read as a session id", bad)
		}
	}
}
