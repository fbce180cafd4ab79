// Package documents is one small transactional store for everything that is not
// hot: users, roles, OAuth clients and flows, keys, links. What a document means
// is known only to the package of its domain, which has a typed repository on top
// of [Store]. Sessions and events have stores of their own.
//
// internal/store/storetest is this contract as tests.
package documents

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
)

// Document is a value under a key. Kind and Key name it; both, and the values of
// Index, are texts in UTF-8 without NUL.
type Document struct {
	Kind, Key string
	// Index is what List finds the document by. It is given to Put; documents that
	// were read have none.
	Index []Value
	// Number is a number beside the body, which [Tx.Raise] can add to without
	// reading or writing the body.
	Number int64
	// Expires is when the document is over: after it, it is found no more, and is
	// deleted by one of the next Updates. Zero: never. To the millisecond.
	Expires time.Time
	Body    []byte

	version int64  // 0: new
	indexed string // Index as it is stored
}

// Value is a value by which a document is found. An empty Value is none.
type Value struct {
	Index string // its name, among those of the kind
	Value string
	// Unique: no two documents of the kind have the same value.
	Unique bool
}

// Query says which documents of a kind List returns, in ascending order of bytes.
type Query struct {
	// Index is the index by whose values they are found and ordered. Empty: by
	// their keys.
	Index string
	// Equal: only those with exactly this value, in order of their keys.
	Equal string
	// Prefix: only those whose values (keys) begin with it.
	Prefix string
	// After leaves out values (keys) up to this one; with Equal, keys.
	After string
	Limit int
}

// Errors of a Store. Any other error means that the store could not be reached or
// could not make the write durable.
var (
	ErrNotFound = errors.New("documents: not found")
	// ErrExists: the key of a new document, or a unique value, is taken.
	ErrExists = errors.New("documents: exists already")
)

// Reader reads documents.
type Reader interface {
	// Get returns a document, or ErrNotFound.
	Get(ctx context.Context, kind, key string) (Document, error)
	// List returns documents of a kind; at most q.Limit.
	List(ctx context.Context, kind string, q Query) ([]Document, error)
}

// Store keeps documents. It is safe for concurrent use.
type Store interface {
	Reader
	// Update runs f in a transaction, which is durable when Update returns nil. f
	// may run several times, so it must change nothing but what it does through
	// tx; what an earlier run did is undone. An error of f is returned as it is,
	// and then nothing is stored. f must not use the store itself.
	Update(ctx context.Context, order Order, f func(context.Context, Tx) error) error
}

// Order says what an Update may run beside.
type Order uint8

const (
	// Loose: documents that f got stay as they are until the end of the
	// transaction; what it listed may change meanwhile.
	Loose Order = iota
	// Serial: it runs before or after every other Serial one, as a whole. Other
	// nodes, which may remember what they have read, hear of it before they see
	// anything that was written later.
	Serial
	// Bulk is Serial for what changes so much that it may take minutes.
	Bulk
)

// Tx is a transaction. What it is told to do is seen by what it reads afterwards;
// errors come from the next reading or from Update.
type Tx interface {
	Reader
	// Put stores a document: one that this transaction has read, or a new one.
	Put(d Document)
	// Delete deletes a document that this transaction has read.
	Delete(d Document)
	// Raise adds one to the Number of every document of the kind with this value.
	Raise(kind, index, value string)
	// Append adds events, which are told when they are committed.
	Append(ev ...events.Event)
}

// Find returns the document with this value of a unique index, or ErrNotFound.
func Find(ctx context.Context, r Reader, kind, index, value string) (Document, error) {
	if value == "" {
		return Document{}, ErrNotFound
	}
	list, err := r.List(ctx, kind, Query{Index: index, Equal: value, Limit: 1})
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Document{}, err
	}
	return list[0], nil
}

// All returns all documents of a kind that q asks for, however many they are. With
// an index, q must have Equal.
func All(ctx context.Context, r Reader, kind string, q Query) (all []Document, err error) {
	const page = 1000
	q.Limit = page
	for {
		list, err := r.List(ctx, kind, q)
		all = append(all, list...)
		if err != nil || len(list) < page {
			return all, err
		}
		q.After = list[page-1].Key
	}
}

// Encode makes a document of a value that has a JSON form.
func Encode(kind, key string, v any, index ...Value) Document {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("documents: encode %s: %v", kind, err)) // plain structs cannot fail
	}
	return Document{Kind: kind, Key: key, Index: index, Body: body}
}

// Decode reads the body into v.
func (d Document) Decode(v any) error {
	if err := json.Unmarshal(d.Body, v); err != nil {
		return fmt.Errorf("documents: the stored %s %q cannot be read: %w", d.Kind, d.Key, err)
	}
	return nil
}

// With is d with the body, the index, the number and the expiry of next: what is to
// be put in the place of what was read.
func (d Document) With(next Document) Document {
	next.Kind, next.Key, next.version, next.indexed = d.Kind, d.Key, d.version, d.indexed
	return next
}

// For stores.

// Stored is d as a store has read it: of this version, with this index (Indexed).
func Stored(d Document, version int64, indexed string) Document {
	d.Index, d.version, d.indexed = nil, version, indexed
	return d
}

// Stored is the index as it was read (Indexed).
func (d Document) Stored() string { return d.indexed }

// Version is that under which the document was read; 0: it is new.
func (d Document) Version() int64 { return d.version }

// Indexed is the stored form of the index. It holds all that Values needs.
func (d Document) Indexed() string {
	if len(d.Index) == 0 {
		return ""
	}
	var b []byte
	for _, v := range d.sorted() {
		mark := byte(' ')
		if v.Unique {
			mark = '!'
		}
		b = append(append(append(b, mark), v.Index...), ' ')
		b = append(strconv.AppendInt(b, int64(len(v.Value)), 10), ' ')
		b = append(append(b, v.Value...), '\n')
	}
	return string(b)
}

// sorted is the index in order, without what is empty or there twice.
func (d Document) sorted() []Value {
	list := slices.DeleteFunc(slices.Clone(d.Index), func(v Value) bool { return v.Value == "" })
	slices.SortFunc(list, func(a, b Value) int {
		return cmp.Or(strings.Compare(a.Index, b.Index), strings.Compare(a.Value, b.Value))
	})
	return slices.Compact(list)
}

// Values reads what Indexed has written.
func Values(indexed string) (list []Value, err error) {
	for s := indexed; s != ""; {
		var v Value
		v.Unique, s = s[0] == '!', s[1:]
		name, rest, ok := strings.Cut(s, " ")
		length, rest, ok2 := strings.Cut(rest, " ")
		n, err := strconv.Atoi(length)
		if err != nil || !ok || !ok2 || n < 0 || len(rest) < n+1 {
			return nil, fmt.Errorf("documents: a stored index cannot be read: %q", indexed)
		}
		v.Index, v.Value, s = name, rest[:n], rest[n+1:]
		list = append(list, v)
	}
	return list, nil
}

// Change is what Put has to do to the index of a stored document.
func (d Document) Change() (add, remove []Value, err error) {
	if d.Indexed() == d.indexed {
		return nil, nil, nil
	}
	was, err := Values(d.indexed)
	if err != nil {
		return nil, nil, err
	}
	next := d.sorted()
	for _, v := range next {
		if !slices.Contains(was, v) {
			add = append(add, v)
		}
	}
	for _, v := range was {
		if !slices.Contains(next, v) {
			remove = append(remove, v)
		}
	}
	return add, remove, nil
}

// Same reports whether two documents that were read are alike in everything.
func (d Document) Same(e Document) bool {
	return d.Kind == e.Kind && d.Key == e.Key && d.version == e.version && d.indexed == e.indexed && d.Number == e.Number &&
		d.Expires.Equal(e.Expires) && bytes.Equal(d.Body, e.Body)
}

// Was is the index under which the document was read.
func (d Document) Was() ([]Value, error) { return Values(d.indexed) }

// Name is the name of an index, among those of all kinds.
func Name(kind, index string) string { return kind + "." + index }

// Distinct is what tells entries of one value apart: the key, and nothing if there
// may be only one.
func (v Value) Distinct(key string) string {
	if v.Unique {
		return ""
	}
	return key
}

// End is the smallest text that is greater than all that begin with prefix; empty
// if there is none.
func End(prefix string) string {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		switch r := runes[i]; {
		case r >= 0x10ffff:
		case r == 0xd7ff: // what follows are surrogates, which no text has
			return string(append(runes[:i:i], 0xe000))
		default:
			return string(append(runes[:i:i], r+1))
		}
	}
	return ""
}

// Sweep bounds how many expired documents one Update deletes.
const Sweep = 16
