package load

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Dialect says, as data, how to sign in to and renew on one kind of server. In
// the header lines and the body of an exchange, {token} and {csrf} stand for
// what the last answer carried and {n} for the number of the session.
type Dialect struct {
	Login   Exchange `json:"login"`
	Refresh Exchange `json:"refresh"`
	Token   Capture  `json:"token"` // the next request's token
	CSRF    Capture  `json:"csrf"`  // empty: the server has none
}

// Exchange is one POST.
type Exchange struct {
	Path    string   `json:"path"`
	Headers []string `json:"headers,omitempty"` // "Name: value"
	Body    string   `json:"body"`
}

// Capture names where a response carries a value: a member of type string
// anywhere in a JSON body, or a cookie.
type Capture struct {
	JSON   string `json:"json,omitempty"`
	Cookie string `json:"cookie,omitempty"`
}

// session is what one client holds: the values of the last answer.
type session struct {
	n           int
	token, csrf string
}

// fill appends a template with its placeholders replaced.
func (s *session) fill(dst []byte, template string) []byte {
	for {
		at := strings.IndexByte(template, '{')
		if at < 0 {
			return append(dst, template...)
		}
		dst = append(dst, template[:at]...)
		template = template[at:]
		switch {
		case strings.HasPrefix(template, "{token}"):
			dst, template = append(dst, s.token...), template[len("{token}"):]
		case strings.HasPrefix(template, "{csrf}"):
			dst, template = append(dst, s.csrf...), template[len("{csrf}"):]
		case strings.HasPrefix(template, "{n}"):
			dst, template = strconv.AppendInt(dst, int64(s.n), 10), template[len("{n}"):]
		default:
			dst, template = append(dst, '{'), template[1:]
		}
	}
}

// request appends the bytes of an HTTP/1.1 request.
func (e *Exchange) request(dst []byte, host string, s *session) []byte {
	var room [512]byte
	body := s.fill(room[:0], e.Body)
	dst = append(dst, "POST "...)
	dst = append(dst, e.Path...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\nUser-Agent: tacet-bench\r\n"...)
	typed := false
	for _, h := range e.Headers {
		typed = typed || strings.HasPrefix(h, "Content-Type:")
		dst = s.fill(dst, h)
		dst = append(dst, "\r\n"...)
	}
	if !typed {
		dst = append(dst, "Content-Type: application/json\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// take moves the session on to what the response carries.
func (d *Dialect) take(s *session, a *answer) error {
	if a.status != 200 {
		return fmt.Errorf("responded with %d: %.200s", a.status, a.body)
	}
	token, ok := d.Token.from(a)
	if !ok {
		return fmt.Errorf("the response carries no token (%+v)", d.Token)
	}
	s.token = token
	if d.CSRF != (Capture{}) {
		if s.csrf, ok = d.CSRF.from(a); !ok {
			return fmt.Errorf("the response carries no CSRF token (%+v)", d.CSRF)
		}
	}
	return nil
}

func (c Capture) from(a *answer) (string, bool) {
	if c.Cookie != "" {
		for _, line := range a.cookies {
			if v, ok := bytes.CutPrefix(line, []byte(c.Cookie+"=")); ok {
				v, _, _ = bytes.Cut(v, []byte(";"))
				return string(v), true
			}
		}
		return "", false
	}
	_, after, ok := bytes.Cut(a.body, []byte(`"`+c.JSON+`":`))
	if !ok {
		return "", false
	}
	after, ok = bytes.CutPrefix(bytes.TrimLeft(after, " "), []byte(`"`))
	end := bytes.IndexByte(after, '"')
	if !ok || end < 0 || bytes.IndexByte(after[:end], '\\') >= 0 { // tokens need no escapes
		return "", false
	}
	return string(after[:end]), true
}
