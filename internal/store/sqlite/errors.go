package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// What can be wrong with the store, for errors.Is. The error that wraps one of
// these names the file and says what to do.
var (
	ErrNewerSchema  = errors.New("written by a newer version of tacet")
	ErrUnreleased   = errors.New("written by a version of tacet from before its first release")
	ErrCorrupt      = errors.New("not an intact database")
	ErrFull         = errors.New("no space left for the database")
	ErrReadOnly     = errors.New("the database cannot be written to")
	ErrAccess       = errors.New("the data directory or the database cannot be opened")
	ErrNotDirectory = errors.New("the data directory is not a directory")
	ErrBusy         = errors.New("the database is locked by another process")
	ErrIO           = errors.New("the disk under the database failed")
	ErrClosed       = errors.New("the store is closed")
)

// Error is a failure of the store. Kind is one of this package's Err… values,
// nil if the cause fits none; Err is the cause.
type Error struct {
	Path string // of the file or directory
	Kind error
	Err  error
}

var advice = map[error]string{
	ErrNewerSchema:  "the file was not touched; run the newer version of tacet on it",
	ErrUnreleased:   "the file was not touched; name an empty data directory, where users have to be added anew, or go on with the version that wrote it",
	ErrCorrupt:      "stop tacet, keep a copy of the data directory, and restore it from a backup",
	ErrFull:         "make room on that disk; nothing that was answered is lost, and no restart is needed",
	ErrReadOnly:     "make the file and its directory writable for the user that tacet runs as",
	ErrAccess:       "make the directory and the files in it readable and writable for the user that tacet runs as",
	ErrNotDirectory: "name a directory (it is created if it does not exist)",
	ErrBusy:         "another process has been writing for too long; stop it or try again",
	ErrIO:           "look at the system log for errors of that disk; nothing that was answered is lost as long as the disk kept it",
}

// Error names the file, says what is wrong with it and what to do.
func (e *Error) Error() string {
	if e.Kind == nil {
		return fmt.Sprintf("store %s: %v", e.Path, e.Err)
	}
	s := fmt.Sprintf("store %s: %v", e.Path, e.Kind)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	if a := advice[e.Kind]; a != "" {
		s += ": " + a
	}
	return s
}

// Unwrap gives both the kind and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// code is the primary SQLite result code of err, 0 if there is none.
func code(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// fatal reports whether err may have rolled back the whole transaction or will
// befall every other statement too. Other errors undo one statement only.
func fatal(err error) bool {
	switch code(err) {
	case 0, lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_TOOBIG, lib.SQLITE_RANGE, lib.SQLITE_ERROR:
		return false
	}
	return true
}

// wrap turns an error of the driver or the file system into an *Error. Errors
// of other packages (session.ErrConflict, context.Canceled) stay as they are.
func wrap(path string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	kind := kindOf(err)
	if kind == nil && code(err) == 0 {
		return err
	}
	return &Error{Path: path, Kind: kind, Err: err}
}

func kindOf(err error) error {
	switch code(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return ErrCorrupt
	case lib.SQLITE_FULL:
		return ErrFull
	case lib.SQLITE_READONLY:
		return ErrReadOnly
	case lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return ErrAccess
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL:
		return ErrBusy
	case lib.SQLITE_IOERR:
		return ErrIO
	}
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return ErrNotDirectory
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ErrFull
	case errors.Is(err, syscall.EROFS):
		return ErrReadOnly
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return ErrAccess
	}
	return nil
}
