// Package form reads the parameters of OAuth requests (RFC 6749 appendix B) and
// has the errors of their responses (RFC 6749 §5.2). The OAuth
// provider and the sign-in at identity providers share it.
package form

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tacet-dev/tacet/internal/problem"
)

// Params are the parameters of a request. A parameter without a value is not
// there (RFC 6749 §3.1, §3.2).
type Params map[string]string

// Parameters that may come several times (RFC 8707 §2, RFC 8693 §2.1). The resources
// of a request are one parameter here, separated by spaces; nobody needs the other.
const (
	Resource = "resource"
	ignored  = "audience"
)

// Parse reads application/x-www-form-urlencoded parameters, of a query or
// a body. It refuses what could be read in two ways: "parameters must not be
// included more than once" (RFC 6749 §3.1).
func Parse(raw string) (Params, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, Refuse(CodeInvalidRequest, "the parameters are not in the form application/x-www-form-urlencoded")
	}
	p := Params{}
	for name, v := range values {
		if name == ignored {
			continue
		}
		if name == Resource {
			v = []string{strings.Join(slices.DeleteFunc(v, func(s string) bool { return s == "" }), " ")}
		}
		if len(v) > 1 {
			return nil, Refuse(CodeInvalidRequest, "a parameter is included more than once")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(v[0]) || strings.ContainsRune(v[0], 0) {
			return nil, Refuse(CodeInvalidRequest, "a parameter is not valid UTF-8 text")
		}
		if v[0] != "" {
			p[name] = v[0]
		}
	}
	return p, nil
}

// Need returns a parameter that must be there.
func (p Params) Need(name string) (string, error) {
	if v := p[name]; v != "" {
		return v, nil
	}
	return "", Refuse(CodeInvalidRequest, "the parameter "+name+" is missing")
}

// Read reads parameters from the body of a request. What is in the query is not
// looked at: secrets do not belong there (RFC 6749 §2.3.1, §3.2).
func Read(r *http.Request) (Params, error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return nil, errMediaType
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, problem.TooLarge
	case err != nil:
		return nil, problem.BodyUnreadable
	}
	return Parse(string(body))
}

var errMediaType = Refuse(CodeInvalidRequest, "send the parameters in the body as application/x-www-form-urlencoded")

// UsesBasic reports whether a request has an Authorization header of the scheme
// Basic. Other schemes are left-overs of other calls.
func UsesBasic(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Basic")
}
