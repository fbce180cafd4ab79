package jose

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Why not json.Unmarshal into a struct: it takes names in any case and the last
// of duplicates, so that two readers of one token could see two different
// claims sets (RFC 8725 §2.4), and it costs twice as much.

// maxMembers bounds the members of an object.
const maxMembers = 64

// Members calls f for each member of the JSON object in data, with the value as it
// is written (see [String], [Strings] and [Date]), as long as f returns true. It
// reports whether f took all of them. Names are compared exactly after unescaping;
// an object with a name twice or more than 64 members is refused, as is anything
// that is not one object in UTF-8.
func Members(data []byte, f func(name, value string) bool) bool {
	if !utf8.Valid(data) || !json.Valid(data) {
		return false
	}
	s := strings.TrimRight(string(data), " \t\r\n")
	i := skipSpace(s, 0)
	if s[i] != '{' {
		return false
	}
	// From here on the text is known to be valid, so walking needs no checks.
	var seen [maxMembers]string
	for n := 0; ; n++ {
		i = skipSpace(s, i+1) // after '{' or ','
		if s[i] == '}' {
			return true
		}
		if n == maxMembers {
			return false
		}
		end := endOfString(s, i)
		name, ok := String(s[i:end])
		if !ok || slices.Contains(seen[:n], name) {
			return false
		}
		seen[n] = name
		i = skipSpace(s, end) + 1 // after ':'
		i = skipSpace(s, i)
		end = endOfValue(s, i)
		if !f(name, s[i:end]) {
			return false
		}
		if i = skipSpace(s, end); s[i] == '}' {
			return true
		}
	}
}

func skipSpace(s string, i int) int {
	for s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n' {
		i++
	}
	return i
}

// endOfString returns the index after the string that starts at i.
func endOfString(s string, i int) int {
	for i++; s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// endOfValue returns the index after the value that starts at i.
func endOfValue(s string, i int) int {
	for depth := 0; ; {
		switch s[i] {
		case '"':
			i = endOfString(s, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // a number or word before the end of the object
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
}

// String decodes a JSON string; false: it is another value.
func String(v string) (string, bool) {
	if v[0] != '"' {
		return "", false
	}
	if !strings.Contains(v, `\`) {
		return v[1 : len(v)-1], true
	}
	var s string
	err := json.Unmarshal([]byte(v), &s)
	return s, err == nil
}

// Strings decodes an array of strings; false: it is another value.
func Strings(v string) ([]string, bool) {
	if v[0] != '[' {
		return nil, false
	}
	list := make([]string, 0, strings.Count(v, ",")+1)
	i := skipSpace(v, 1)
	for v[i] != ']' {
		if v[i] != '"' {
			return nil, false
		}
		end := endOfString(v, i)
		s, ok := String(v[i:end])
		if !ok {
			return nil, false
		}
		list = append(list, s)
		if i = skipSpace(v, end); v[i] == ',' {
			i = skipSpace(v, i+1)
		}
	}
	return list, true
}

// maxDate is the last second of the year 9999: beyond it lie mistakes such as
// milliseconds, which would make a token live for ever.
const maxDate = 253402300799

// Date decodes a NumericDate (RFC 7519 §2); fractions are cut off.
func Date(v string) (time.Time, bool) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || f < 0 || f > maxDate {
			return time.Time{}, false
		}
		n = int64(math.Floor(f))
	}
	if n < 0 || n > maxDate {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}
