package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// conn is one connection with its prepared statements. It speaks to the driver
// directly: database/sql would add a lock, a conversion by reflection per value
// and a goroutine per context to statements that take microseconds. It is used
// by one goroutine at a time.
type conn struct {
	dc    driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
}

func connect(ctx context.Context, c driver.Connector) (*conn, error) {
	dc, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{dc: dc, stmts: map[string]driver.Stmt{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.dc.Close())...)
}

func (c *conn) prepare(query string) (driver.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.dc.Prepare(query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// bind fills c.args. Values are int64, string, []byte or nil.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row holds the columns of a result row, taken from left to right.
type row struct {
	cols []driver.Value
	err  error
}

func (r *row) next() (v driver.Value) {
	if len(r.cols) == 0 {
		r.err = errors.New("too few columns")
		return nil
	}
	v, r.cols = r.cols[0], r.cols[1:]
	return v
}

func (r *row) int() int64 {
	v := r.next()
	n, ok := v.(int64)
	if !ok && r.err == nil {
		r.err = fmt.Errorf("a number was expected, not %T", v)
	}
	return n
}

func (r *row) text() string {
	v := r.next()
	s, ok := v.(string)
	if !ok && r.err == nil {
		r.err = fmt.Errorf("a text was expected, not %T", v)
	}
	return s
}

// blob is nil for an empty blob, as the driver has it.
func (r *row) blob() []byte {
	v := r.next()
	b, ok := v.([]byte)
	if !ok && v != nil && r.err == nil {
		r.err = fmt.Errorf("bytes were expected, not %T", v)
	}
	return b
}

// query calls each for every row until it returns an error.
func (c *conn) query(ctx context.Context, query string, args []any, each func(*row) error) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, c.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	cols := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(cols); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		r := row{cols: cols}
		if err := each(&r); err != nil {
			return err
		}
		if r.err != nil {
			return fmt.Errorf("reading a stored row: %w", r.err)
		}
	}
}

// one is query for a statement that gives one row at most; found says whether
// it gave one.
func (c *conn) one(query string, args []any, take func(*row)) (found bool, err error) {
	err = c.query(context.Background(), query, args, func(r *row) error {
		found = true
		take(r)
		return nil
	})
	return found && err == nil, err
}
