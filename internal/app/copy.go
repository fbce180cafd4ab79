package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/sqlite"
	"github.com/tacet-dev/tacet/rotation"
)

// CopyOptions say what to copy where.
type CopyOptions struct {
	From string // data directory of an embedded store; no server may be running on it
	To   string // URL of a PostgreSQL database that is empty, or where this copy was broken off
	// Timeout is that of one call to the database.
	Timeout time.Duration
	// Progress is told how far each step is; total is 0 while it is not known.
	Progress func(step string, done, total int64)
}

// Contents is how much a store holds, and a checksum over all of it.
type Contents struct {
	Sessions, Users, Roles, Clients, Keys, Events, Links int64
	Sum                                                  string
}

// copyPage is how many rows are read, compared and written at once.
const copyPage = 1000

// ErrCopyDiffers is wrapped when the copy is not like the original.
var ErrCopyDiffers = errors.New("the copy differs from the original")

// Copy copies everything from an embedded store to PostgreSQL: sessions, documents
// and events with their numbers. A copy that was
// broken off goes on where it was when it is made again. At the end both are
// read and compared, by number and checksum; only then can servers use the
// database.
func Copy(ctx context.Context, o CopyOptions) (Contents, error) {
	if _, err := os.Stat(filepath.Join(o.From, sqlite.FileName)); err != nil {
		return Contents{}, fmt.Errorf("there is no store to copy: %w", err)
	}
	from, err := sqlite.Open(ctx, o.From, sqlite.Options{})
	if err != nil {
		return Contents{}, err
	}
	defer from.Close() // it was only read
	before, err := from.ChangedElsewhere(ctx)
	if err != nil {
		return Contents{}, err
	}
	original, err := contents(ctx, from, func(done int64) { o.Progress("reading", done, 0) })
	if err != nil {
		return original, err
	}
	to, err := postgres.OpenImport(ctx, o.To, postgres.Options{Timeout: o.Timeout})
	if err != nil {
		return original, err
	}
	defer to.Close() // every write of it has been waited for
	if err := copyAll(ctx, from, to, original.Sessions, o.Progress); err != nil {
		return original, err
	}
	copied, err := contents(ctx, to, func(done int64) { o.Progress("verifying", done, original.Sessions) })
	if err != nil {
		return original, err
	}
	after, err := from.ChangedElsewhere(ctx)
	switch {
	case err != nil:
		return original, err
	case after != before:
		return original, fmt.Errorf("%w: another process has changed the original meanwhile; stop the server that runs on it and run the same copy again", ErrCopyDiffers)
	case copied != original:
		return original, fmt.Errorf("%w: run the same copy again (original %+v, copy %+v)", ErrCopyDiffers, original, copied)
	}
	return original, to.Finish(ctx)
}

// readable is a store that is copied, or was.
type readable interface {
	Sessions() session.Store
	Documents() documents.Store
	Events() events.Log
	// EachDocument calls f with pages of all documents in order of kind and key.
	EachDocument(ctx context.Context, page int, f func([]documents.Document) error) error
}

func copyAll(ctx context.Context, from readable, to *postgres.Import, sessions int64, progress func(string, int64, int64)) error {
	var last documents.Document
	err := from.EachDocument(ctx, copyPage, func(list []documents.Document) error {
		if err := to.PutDocuments(ctx, last, list, len(list) < copyPage); err != nil || len(list) == 0 {
			return err
		}
		last = list[len(list)-1]
		return nil
	})
	if err != nil {
		return err
	}
	err = eachEvents(ctx, from, func(after int64, list []events.Event, last int64, end bool) error {
		return to.PutEvents(ctx, after, list, last, end)
	})
	if err != nil {
		return err
	}
	var done int64
	return eachSessions(ctx, from, func(after rotation.SessionID, list []session.Session, end bool) error {
		_, err := to.PutSessions(ctx, after, list, end)
		done += int64(len(list))
		progress("copying", done, sessions)
		return err
	})
}

// contents reads a whole store.
func contents(ctx context.Context, st readable, progress func(sessions int64)) (c Contents, err error) {
	var failed error
	sum := sha256.New()
	enc := gob.NewEncoder(sum) // every field of a row, told apart; a text need not be UTF-8
	add := func(n *int64, row any) {
		*n++
		failed = errors.Join(failed, enc.Encode(row))
	}
	ring, _, err := keys.NewStore(st.Documents()).Load(ctx)
	if err != nil {
		return c, err
	}
	c.Keys = int64(len(ring))
	var others int64
	counts := map[string]*int64{directory.KindUser: &c.Users, directory.KindRole: &c.Roles, oauth.KindClient: &c.Clients, session.KindLink: &c.Links}
	err = st.EachDocument(ctx, copyPage, func(list []documents.Document) error {
		for _, d := range list {
			n := counts[d.Kind]
			if n == nil {
				n = &others
			}
			add(n, struct {
				Kind, Key, Index         string
				Version, Number, Expires int64
				Body                     []byte
			}{d.Kind, d.Key, d.Stored(), d.Version(), d.Number, d.Expires.UnixMilli(), d.Body})
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	err = eachEvents(ctx, st, func(_ int64, list []events.Event, last int64, end bool) error {
		for _, e := range list {
			add(&c.Events, e)
		}
		if end {
			add(&others, last)
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	err = eachSessions(ctx, st, func(_ rotation.SessionID, list []session.Session, _ bool) error {
		for _, s := range list {
			add(&c.Sessions, s)
		}
		progress(c.Sessions)
		return nil
	})
	c.Sum = hex.EncodeToString(sum.Sum(nil)[:8])
	return c, errors.Join(err, failed)
}

func eachEvents(ctx context.Context, st readable, f func(after int64, list []events.Event, last int64, end bool) error) error {
	var after int64
	for {
		_, last, err := st.Events().Bounds(ctx)
		if err != nil {
			return err
		}
		list, err := st.Events().Since(ctx, after, copyPage)
		if err != nil {
			return err
		}
		end := len(list) < copyPage
		if err := f(after, list, last, end); err != nil || end {
			return err
		}
		after = list[len(list)-1].Seq
	}
}

// eachSessions reads all sessions, also those that have ended, by a sweep that
// finds none dead.
func eachSessions(ctx context.Context, st readable, f func(after rotation.SessionID, list []session.Session, end bool) error) error {
	var after rotation.SessionID
	for {
		var list []session.Session
		next, _, err := st.Sessions().Sweep(ctx, after, copyPage, func(s session.Session) bool {
			if n := len(list); n > 0 && bytes.Compare(s.ID[:], list[n-1].ID[:]) <= 0 {
				list = nil // the store had to begin again
			}
			list = append(list, s)
			return false
		})
		if err != nil {
			return err
		}
		end := next == (rotation.SessionID{})
		if err := f(after, list, end); err != nil || end {
			return err
		}
		after = next
	}
}
