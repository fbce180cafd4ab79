package form

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse: what is read is what was sent, once; what could be read in
// two ways is refused as the client's mistake.
func FuzzParse(f *testing.F) {
	for _, raw := range []string{"", "a=1&b=%E4%BD%A0", "a=1&a=2", "a=&b", "a=%zz", "a=%ff", "a=1;b=2", "&&=x", "resource=a&resource=b", "a=%00", strings.Repeat("a=1&", 100)} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := Parse(raw)
		var refused *Error
		if err != nil {
			if !errors.As(err, &refused) || refused.Code != CodeInvalidRequest {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q was read, and is malformed: %v", raw, err)
		}
		for name, v := range p {
			if name == Resource {
				continue // TestResources
			}
			if v == "" || !utf8.ValidString(v) || len(values[name]) != 1 || values[name][0] != v {
				t.Fatalf("%q: %q is %q, was sent as %q", raw, name, v, values[name])
			}
		}
		for name, v := range values {
			if name != Resource && name != ignored && (len(v) != 1 || v[0] != p[name]) {
				t.Fatalf("%q: %q was sent as %q and is %q", raw, name, v, p[name])
			}
		}
	})
}

func TestResources(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "resource=": "", "resource=https%3A%2F%2Fa.example": "https://a.example",
		"resource=a&resource=&resource=b": "a b", "resource=a&audience=b&audience=c": "a",
	} {
		if p, err := Parse(raw); err != nil || p[Resource] != want || p["audience"] != "" {
			t.Errorf("%q: %q, %v", raw, p[Resource], err)
		}
	}
}
