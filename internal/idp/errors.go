package idp

import (
	"errors"
	"fmt"

	"github.com/tacet-dev/tacet/internal/session"
)

// Errors of sign-ins. Others wrap session.ErrUnavailable or come from there.
var (
	// ErrUnknown: there is no provider with this id.
	ErrUnknown = errors.New("idp: there is no such provider")
	// ErrState: the response does not belong to a sign-in that this browser has
	// begun, or that one has taken too long.
	ErrState = errors.New("idp: the response belongs to no sign-in that this browser has begun")
	// ErrDisabled: an administrator has disabled the user.
	ErrDisabled = errors.New("idp: the user is disabled")
	// ErrNoRole: the provider gives the user no role, and one is required.
	ErrNoRole = errors.New("idp: the provider gives the user no role")
)

// RefusedError is what the provider answered instead of a code (OpenID Connect
// Core §3.1.2.6). Code is as the browser brought it.
type RefusedError struct{ Code string }

func (e *RefusedError) Error() string { return fmt.Sprintf("idp: the provider answered %q", e.Code) }

// InvalidError says why what a provider sent can't be trusted, or why it does
// not take what it was sent. It is for the log, and for the provider's makers.
type InvalidError struct{ Why string }

func (e *InvalidError) Error() string { return "idp: " + e.Why }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// DownError says that a provider could not be reached, or not in time.
type DownError struct {
	Name string // of the provider
	Err  error
}

func (e *DownError) Error() string {
	return fmt.Sprintf("idp: the provider %s can't be reached: %v", e.Name, e.Err)
}
func (e *DownError) Unwrap() error { return e.Err }

// Outage marks a failure of the store, after which nothing is certain to have
// changed.
func Outage(err error) error { return fmt.Errorf("%w: %w", session.ErrUnavailable, err) }
