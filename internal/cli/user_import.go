package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
)

type userImportCmd struct {
	File   string `arg:"" help:"File with a user a line, as JSON: username, and if there are, display_name, email, roles, password_hash." type:"path"`
	DryRun bool   `help:"Check everything and change nothing."`
	dataFlags
}

const (
	maxImportLine = 64 << 10 // bytes
	importBatch   = 256      // lines that are read before they are written
	importWriters = 32       // of them at once: stores commit together what comes together
)

// importLine is a line of the file.
type importLine struct {
	Username     string   `json:"username"`
	DisplayName  string   `json:"display_name"`
	Email        string   `json:"email"`
	Roles        []string `json:"roles"`
	PasswordHash string   `json:"password_hash"`
}

// Run takes users in. Bad lines are named, and the others taken; the exit code
// tells that there were some.
func (c *userImportCmd) Run(e *env) error {
	f, err := os.Open(c.File)
	if err != nil {
		return &usageError{err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	open := c.making // it may be the first command
	if c.DryRun {
		open = c.with
	}
	return open(e, func(a *app.App) error {
		im, err := a.Directory.NewImport(e.ctx)
		if err != nil {
			return err
		}
		bar := &bars{e: e, unit: "bytes"}
		r := &importRun{env: e, importer: im, write: im.Add, lines: bufio.NewReaderSize(f, maxImportLine),
			progress: func(done int64) { bar.progress("import", done, info.Size()) }, clear: bar.end}
		if c.DryRun {
			r.write = im.Would
		}
		err = r.all()
		bar.end()
		return c.report(e, r, err)
	})
}

func (c *userImportCmd) report(e *env, r *importRun, err error) error {
	added := "added"
	if c.DryRun {
		added = "would be added"
	}
	fmt.Fprintf(e.stdout, "%d users %s, %d were there already and are as they were, %d lines are bad\n", r.added, added, r.there, r.bad)
	switch {
	case err != nil:
		return fmt.Errorf("broken off after line %d; run it again to go on, who is there already is left alone: %w", r.number, err)
	case r.bad > 0:
		return fmt.Errorf("%d lines were not taken; mend them and run it again", r.bad)
	}
	return nil
}

// importRun is an import under way.
type importRun struct {
	*env
	importer *directory.Import
	write    func(context.Context, directory.User) (added bool, err error)
	lines    *bufio.Reader
	progress func(bytes int64)
	clear    func() // the progress, before a message

	number, read      int64 // lines and bytes so far
	added, there, bad int
}

// all reads a batch of lines and writes it, until the end of the file.
func (r *importRun) all() error {
	for {
		users, err := r.batch()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if werr := r.store(users); werr != nil {
			return werr
		}
		r.progress(r.read)
		if err != nil {
			return nil
		}
	}
}

// batch reads lines and returns the users of those that are good.
func (r *importRun) batch() (users []directory.User, err error) {
	for range importBatch {
		if err := r.ctx.Err(); err != nil {
			return users, err
		}
		line, tooLong, err := r.line()
		if err != nil {
			return users, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 && !tooLong {
			continue
		}
		u, err := r.user(line, tooLong)
		if err != nil {
			r.bad++
			r.clear()
			fmt.Fprintf(r.stderr, "line %d: %v\n", r.number, err)
			continue
		}
		users = append(users, u)
	}
	return users, nil
}

// line reads one line; of one that is too long, nothing is kept.
func (r *importRun) line() (line []byte, tooLong bool, err error) {
	line, err = r.lines.ReadSlice('\n')
	r.number++
	for r.read += int64(len(line)); errors.Is(err, bufio.ErrBufferFull); r.read += int64(len(line)) {
		tooLong = true
		line, err = r.lines.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && (len(line) > 0 || tooLong) {
		err = nil // the last line has no end
	}
	return line, tooLong, err
}

func (r *importRun) user(line []byte, tooLong bool) (directory.User, error) {
	if tooLong {
		return directory.User{}, fmt.Errorf("has more than %d bytes", maxImportLine)
	}
	if r.number == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")) // a byte order mark
	}
	var in importLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields() // a column that is overlooked is lost
	if err := d.Decode(&in); err != nil {
		return directory.User{}, fmt.Errorf("is not a user as JSON: %w", err)
	}
	if d.More() {
		return directory.User{}, errors.New("is not a user as JSON: something follows")
	}
	return r.importer.Check(int(r.number), directory.Imported{Name: in.Username, DisplayName: in.DisplayName, Email: in.Email,
		Roles: in.Roles, PasswordHash: in.PasswordHash})
}

// store writes users, many at once.
func (r *importRun) store(users []directory.User) error {
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(importWriters)
	was := make([]bool, len(users))
	for i, u := range users {
		g.Go(func() (err error) {
			was[i], err = r.write(ctx, u)
			return err
		})
	}
	err := g.Wait()
	for _, added := range was {
		if added {
			r.added++
		} else if err == nil {
			r.there++
		}
	}
	return err
}
