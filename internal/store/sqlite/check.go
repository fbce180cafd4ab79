package sqlite

import (
	"context"
	"errors"
	"strings"

	"github.com/tacet-dev/tacet/internal/store"
)

// Check reads the whole database and makes one durable write. It returns nil
// if the structure is intact and writing works, else an *Error that says what
// is wrong. It takes as long as reading the file does.
func (db *DB) Check(ctx context.Context) error {
	_, err := read(ctx, db, func(c *conn) (struct{}, error) {
		var found []string
		err := c.query(ctx, "PRAGMA quick_check(5)", nil, func(r *row) error {
			if s := r.text(); s != "ok" {
				found = append(found, s)
			}
			return nil
		})
		if err == nil && len(found) > 0 {
			err = &store.Error{Where: db.path, Kind: ErrCorrupt, Err: errors.New(strings.Join(found, "; "))}
		}
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	_, err = write(ctx, db, single, func(w *writer) (int64, error) {
		return w.exec("UPDATE counters SET value = value + 1 WHERE name = 'checked'")
	})
	return err
}
