package sqlite

import (
	"errors"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/tacet-dev/tacet/internal/store"
)

// What can be wrong with the store. The error that wraps one of these names the
// file and says what to do.
var (
	ErrNewerSchema = &store.Kind{Text: "written by a newer version of tacet", Advice: "the file was not touched; run the newer version of tacet on it"}
	ErrUnreleased  = &store.Kind{Text: "written by a version of tacet from before its first release",
		Advice: "the file was not touched; name an empty data directory, where users have to be added anew, or go on with the version that wrote it"}
	ErrCorrupt = &store.Kind{Name: store.Corrupt, Text: "not an intact database",
		Advice: "stop tacet, keep a copy of the data directory, and restore it from a backup"}
	ErrFull = &store.Kind{Name: store.Full, Text: "no space left for the database",
		Advice: "make room on that disk; no acknowledged write is lost, and no restart is needed"}
	ErrReadOnly = &store.Kind{Name: store.ReadOnly, Text: "the database cannot be written to",
		Advice: "make the file and its directory writable for the user that tacet runs as"}
	ErrAccess = &store.Kind{Name: store.Access, Text: "the data directory or the database cannot be opened",
		Advice: "make the directory and the files in it readable and writable for the user that tacet runs as"}
	ErrNotDirectory = &store.Kind{Text: "the data directory is not a directory", Advice: "name a directory (it is created if it does not exist)"}
	ErrBusy         = &store.Kind{Name: store.Busy, Text: "the database is locked by another process",
		Advice: "another process has been writing for too long; stop it or try again"}
	ErrIO = &store.Kind{Name: store.IO, Text: "the disk under the database failed",
		Advice: "look at the system log for errors of that disk; no acknowledged write is lost as long as the disk kept it"}
	ErrClosed = &store.Kind{Text: "the store is closed"}
)

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

// wrap turns an error of the driver or the file system into an *store.Error. Errors
// of other packages (session.ErrConflict, context.Canceled) stay as they are.
func wrap(path string, err error) error {
	var known *store.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	kind := kindOf(err)
	if kind == nil && code(err) == 0 {
		return err
	}
	return &store.Error{Where: path, Kind: kind, Err: err}
}

func kindOf(err error) *store.Kind {
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
