package gateway

import (
	"errors"
	"iter"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// ErrPath is returned for paths that could mean another place to the server
// behind than to the rules. Refused with 400.
var ErrPath = errors.New("gateway: the path can be read in several ways")

// maxDecodings is how many layers of percent-encoding are looked through.
const maxDecodings = 4

// match decides about an escaped path as it came in. RFC 3986 is our reading;
// but who may call must not depend on the server behind reading in the same
// way. Dot segments are refused: clients resolve them before they send. All
// else is read in every way that servers are known to read it, and refused if
// one of them falls under another rule: escaped slashes and backslashes as
// separators, empty segments left out, parameters behind a semicolon cut off,
// dots and spaces at the end of a segment dropped, case ignored, escapes left
// alone or decoded several times, what follows an escaped # or ? cut off, names
// of scripts like index.php left out. Format suffixes are a matter of the rules
// (covers).
func (t *Table) match(escaped string) (decision, error) {
	if !strings.HasPrefix(escaped, "/") {
		return decision{}, ErrPath
	}
	own := strings.Split(escaped[1:], "/")
	for i, s := range own {
		d, err := url.PathUnescape(s)
		if err != nil {
			return decision{}, ErrPath
		}
		own[i] = d
	}
	d := t.decide(own, false)
	if plain, upper := simple(escaped); plain {
		if upper && t.decide(own, true) != d {
			return decision{}, ErrPath
		}
		return d, nil
	}
	layers, err := decodings(escaped)
	if err != nil || dotted(layers[len(layers)-1]) {
		return decision{}, ErrPath
	}
	for _, text := range layers {
		for segments, fold := range readings(text) {
			if t.decide(segments, fold) != d {
				return decision{}, ErrPath
			}
		}
		// The layer that came in has no ? or #: the server took them for the query.
		if end := strings.IndexAny(text, "?#"); end >= 0 {
			for segments, fold := range readings(text[:end]) {
				if t.decide(segments, fold) != d {
					return decision{}, ErrPath
				}
			}
		}
	}
	for segments, fold := range looser(own) {
		if t.decide(segments, fold) != d {
			return decision{}, ErrPath
		}
	}
	return d, nil
}

// simple reports whether there is only one way to read the path, but for case;
// upper, whether that matters.
func simple(p string) (plain, upper bool) {
	last, dot := byte('/'), false
	for i := 1; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '$' && last == ':':
			return false, false
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-_~,:@!$&'()*+=", c) >= 0:
		case c >= 'A' && c <= 'Z':
			upper = true
		case c == '.' && last != '/':
			dot = true
		case c == '/' && last != '/' && !dot: // what has a dot may be a script
		default:
			return false, false
		}
		last = c
	}
	return last != '.', upper
}

// decodings are the text, what it decodes to, what that decodes to, and so on;
// then what some servers make of letters that look like others: overlong UTF-8,
// full width and the like.
func decodings(s string) ([]string, error) {
	list := []string{s}
	for {
		next := decodeOnce(s)
		if next == s {
			next = norm.NFKC.String(shortened(s))
		}
		if next == s {
			return list, nil
		}
		if len(list) > maxDecodings {
			return nil, ErrPath
		}
		list = append(list, next)
		s = next
	}
}

// decodeOnce decodes what is a valid escape and leaves the rest, as lenient
// servers do.
func decodeOnce(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if d, err := url.PathUnescape(s[i : i+3]); err == nil {
				out = append(out, d...)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// shortened has ASCII in place of its overlong encodings in two bytes, which
// RFC 3629 §3 forbids and old decoders take.
func shortened(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i]&^1 == 0xc0 && i+1 < len(s) && s[i+1]&0xc0 == 0x80 {
			out = append(out, s[i]<<6|s[i+1]&0x3f)
			i++
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// dotted reports whether a fully decoded path has a dot segment in any reading,
// or a character that ends a path for some.
func dotted(path string) bool {
	if strings.ContainsFunc(path, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return true
	}
	for s := range strings.FieldsFuncSeq(path, isSlash) {
		for part := range strings.SplitSeq(s, ";") {
			if part = strings.TrimSpace(part); part == "." || part == ".." {
				return true
			}
		}
	}
	return false
}

func isSlash(c rune) bool { return c == '/' || c == '\\' }

// readings are the ways to cut a text into segments, with those of looser.
func readings(text string) iter.Seq2[[]string, bool] {
	return func(yield func([]string, bool) bool) {
		for segments, fold := range looser(strings.Split(text, "/")[1:]) {
			if !yield(segments, fold) {
				return
			}
		}
		if !strings.Contains(text, `\`) {
			return
		}
		for segments, fold := range looser(strings.Split(strings.ReplaceAll(text, `\`, "/"), "/")[1:]) {
			if !yield(segments, fold) {
				return
			}
		}
	}
}

// looser are the segments and what lenient servers take for the same, in every
// combination: parameters and streams of NTFS cut, ends trimmed, empty segments
// left out, scripts left out, case ignored.
func looser(segments []string) iter.Seq2[[]string, bool] {
	return func(yield func([]string, bool) bool) {
		for _, segments := range withoutScripts(segments) {
			for mask := range 8 {
				s := slices.Clone(segments)
				for i := range s {
					if mask&1 != 0 {
						s[i], _, _ = strings.Cut(s[i], ";")
						s[i], _, _ = strings.Cut(s[i], ":$")
						s[i] = strings.TrimRight(s[i], ":")
					}
					if mask&2 != 0 {
						s[i] = strings.TrimRight(s[i], ". ")
					}
				}
				if mask&4 != 0 {
					s = slices.DeleteFunc(s, func(s string) bool { return s == "" })
				}
				if !yield(s, false) || !yield(s, true) {
					return
				}
			}
		}
	}
}

// scripts are file names that servers run with the rest of the path as an
// argument (PATH_INFO of CGI).
var scripts = []string{".php", ".phtml", ".cgi", ".fcgi", ".pl", ".py", ".wsgi", ".asp", ".aspx", ".ashx", ".jsp", ".cfm"}

// withoutScripts are the segments, and if there are scripts among them, also the
// segments without those (/index.php/admin is /admin) and without their suffixes
// (/api.php/admin is /api/admin).
func withoutScripts(segments []string) [][]string {
	var left, cut []string
	for i, s := range segments {
		if dot := strings.LastIndexByte(s, '.'); dot >= 0 && i < len(segments)-1 && slices.Contains(scripts, strings.ToLower(s[dot:])) {
			s = s[:dot]
		} else {
			left = append(left, s)
		}
		cut = append(cut, s)
	}
	if len(left) == len(segments) {
		return [][]string{segments}
	}
	return [][]string{segments, left, cut}
}
