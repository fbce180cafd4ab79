package verify

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

// StepUp is what a resource asks of the sign-in itself (RFC 9470): a stronger one,
// or a fresh one. The zero StepUp asks for nothing.
type StepUp struct {
	// ACR are the classes of authentication that do, the preferred one first. The
	// token must have one of them.
	ACR []string
	// AMR are methods, like "otp"; the token must have all of them.
	AMR []string
	// MaxAge is how long ago the user may have signed in, in whole seconds. Zero:
	// any time.
	MaxAge time.Duration
}

// StepUpError is the refusal of a good token whose sign-in is not enough: 401
// insufficient_user_authentication (RFC 9470 §3). Renewing would not help: the user
// has to sign in as Wanted says.
type StepUpError struct{ Wanted StepUp }

func (e *StepUpError) Error() string {
	return "verify: the user must sign in again, in another way or more recently"
}

// wanted is the sign-in that an error asks for; the zero StepUp: none.
func wanted(err error) StepUp {
	var e *StepUpError
	if errors.As(err, &e) {
		return e.Wanted
	}
	return StepUp{}
}

// RequireAuth lets only requests through whose token is of a sign-in that is enough.
// It does what Middleware does as well, if no middleware of v has done it yet. It
// panics if a member of s can't stand in a header.
func (v *Verifier) RequireAuth(s StepUp) func(http.Handler) http.Handler {
	for _, word := range slices.Concat(s.ACR, s.AMR) {
		if word == "" || !quotable(word) {
			panic("verify: StepUp: ACR and AMR are words of printable ASCII without quote and backslash, not " + word)
		}
	}
	return func(next http.Handler) http.Handler {
		return v.guard(next, false, func(t *Token) error { return t.meets(s, v.now()) })
	}
}

// meets returns nil, or a *StepUpError.
func (t *Token) meets(s StepUp, now time.Time) error {
	strong := len(s.ACR) == 0 || slices.Contains(s.ACR, t.acr)
	for _, m := range s.AMR {
		strong = strong && slices.Contains(t.amr, m)
	}
	fresh := s.MaxAge == 0 || !t.authTime.IsZero() && now.Sub(t.authTime) <= s.MaxAge
	if strong && fresh {
		return nil
	}
	return &StepUpError{s}
}
