// Package store says what can be wrong with a store, for all of them.
package store

import "fmt"

// Kind is what is wrong with a store, for errors.Is. Each store has its own.
type Kind struct {
	Name   string // in metrics; empty: other
	Text   string // what is wrong
	Advice string // what to do about it; may be empty
}

// Names of kinds that metrics tell apart.
const (
	Full        = "full"
	ReadOnly    = "read_only"
	Busy        = "busy"
	IO          = "io"
	Corrupt     = "corrupt"
	Access      = "access"
	Unreachable = "unreachable"
	Timeout     = "timeout"
	Other       = "other"
)

// Names are all of them.
func Names() []string {
	return []string{Full, ReadOnly, Busy, IO, Corrupt, Access, Unreachable, Timeout, Other}
}

// Error is what is wrong.
func (k *Kind) Error() string { return k.Text }

// Error is a failure of a store. Kind is nil if the cause fits none; Err is the
// cause, which may be nil. It never holds a password.
type Error struct {
	Where string // the file or the directory; or host, port and database
	Kind  *Kind
	Err   error
}

// Error names the store, says what is wrong with it and what to do.
func (e *Error) Error() string {
	if e.Kind == nil {
		return fmt.Sprintf("store %s: %v", e.Where, e.Err)
	}
	s := fmt.Sprintf("store %s: %s", e.Where, e.Kind.Text)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	if e.Kind.Advice != "" {
		s += ": " + e.Kind.Advice
	}
	return s
}

// Name is that of the kind in metrics.
func (e *Error) Name() string {
	if e.Kind == nil || e.Kind.Name == "" {
		return Other
	}
	return e.Kind.Name
}

// Unwrap gives both the kind and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() (errs []error) {
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}
