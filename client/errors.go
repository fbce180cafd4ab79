package client

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Errors without details. They come wrapped: compare with errors.Is.
var (
	// ErrNotSignedIn: the token store is empty. It comes inside a
	// [*SignedOutError].
	ErrNotSignedIn = errors.New("nobody is signed in")
	// ErrBodyNotRepeatable: an API refused the token with a 401, and the
	// request's body can be read only once, so it could not be repeated. The
	// token has been renewed: build the request anew and send it again, or set
	// Request.GetBody.
	ErrBodyNotRepeatable = errors.New("the API refused the access token and the request's body cannot be sent a second time")
	// ErrClosed: the source was closed.
	ErrClosed = errors.New("client: source is closed")
)

// SignedOutError is final: the session is over, or there is none. Somebody has
// to sign in again.
type SignedOutError struct {
	Session string // its id, empty if there was none
	// Err says why: a [*ProblemError] of the server, [ErrNotSignedIn], or nil
	// for a sign-out by this program.
	Err error
}

func (e *SignedOutError) Error() string {
	what := "the session was signed out"
	if e.Err != nil {
		what = e.Err.Error()
	}
	if e.Session != "" {
		what = "session " + e.Session + ": " + what
	}
	return "client: signed out: " + what + "; sign in again"
}

// Unwrap returns Err.
func (e *SignedOutError) Unwrap() error { return e.Err }

// TemporaryError says that the auth server gave no clear response: it could not
// be reached, was too slow, is overloaded (429, 5xx), or something between
// responded in its place. The session is untouched.
type TemporaryError struct {
	Op     string // "sign in", "renew", "sign out"
	Status int    // of the HTTP response, 0 if there was none
	// RetryAfter is how long to wait before it makes sense to try again. Until
	// then a [Source] fails at once instead of asking the server.
	RetryAfter time.Duration
	Err        error
}

func (e *TemporaryError) Error() string {
	s := "client: could not " + e.Op + " for now: " + e.Err.Error()
	if e.RetryAfter > 0 {
		s += "; try again in " + e.RetryAfter.Round(time.Millisecond).String()
	}
	return s
}

// Unwrap returns Err.
func (e *TemporaryError) Unwrap() error { return e.Err }

// Temporary reports true, for code that asks errors whether to retry.
func (e *TemporaryError) Temporary() bool { return true }

// ProblemError is what the server said (RFC 9457). Code is stable, one of the
// wire.Code… names; Title and Detail are for people.
type ProblemError struct {
	Status int
	Code   string
	Title  string
	Detail string
}

func (e *ProblemError) Error() string {
	s := fmt.Sprintf("the server responded with %d", e.Status)
	for _, part := range []string{e.Code, e.Title, e.Detail} {
		if part != "" {
			s += " · " + part
		}
	}
	return s
}

// StoreError says that the token store failed. No token was lost: what could
// not be stored was not used.
type StoreError struct {
	Op  string // "lock", "load", "save", "clear"
	Err error
}

func (e *StoreError) Error() string {
	return "client: token store: " + e.Op + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *StoreError) Unwrap() error { return e.Err }

// printable makes a text from elsewhere safe to show in a terminal or a log:
// one short line without control characters.
func printable(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.TrimSpace(s)
}
