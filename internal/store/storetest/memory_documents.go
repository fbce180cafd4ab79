package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
)

type docKey struct{ kind, key string }

// memoryDoc is a document as it was stored, with its index.
type memoryDoc struct {
	documents.Document
	values []documents.Value
}

type memoryDocuments struct{ *memory }

func (m memoryDocuments) Get(ctx context.Context, kind, key string) (d documents.Document, err error) {
	err = m.locked(ctx, func() error {
		d, err = m.get(kind, key)
		return err
	})
	return d, err
}

func (m memoryDocuments) List(ctx context.Context, kind string, q documents.Query) (list []documents.Document, err error) {
	err = m.locked(ctx, func() error {
		list = m.list(kind, q)
		return nil
	})
	return list, err
}

func (m memoryDocuments) Update(ctx context.Context, _ documents.Order, f func(context.Context, documents.Tx) error) error {
	tx := &memoryTx{m: m}
	err := m.locked(ctx, func() error {
		err := f(ctx, tx)
		if err == nil {
			err = tx.err
		}
		if err != nil {
			for _, undo := range slices.Backward(tx.undo) {
				undo()
			}
			return err
		}
		m.append(tx.events)
		return nil
	})
	if err == nil && len(tx.events) > 0 {
		m.committed(tx.events)
	}
	return err
}

func (m memoryDocuments) living(d memoryDoc) bool {
	return d.Expires.IsZero() || d.Expires.After(m.clock())
}

func read(d documents.Document) documents.Document {
	d.Body = bytes.Clone(d.Body)
	return d
}

func (m memoryDocuments) get(kind, key string) (documents.Document, error) {
	d, ok := m.docs[docKey{kind, key}]
	if !ok || !m.living(d) {
		return documents.Document{}, documents.ErrNotFound
	}
	return read(d.Document), nil
}

func (m memoryDocuments) list(kind string, q documents.Query) []documents.Document {
	type found struct {
		by string // what it is ordered by
		documents.Document
	}
	var all []found
	for k, d := range m.docs {
		if k.kind != kind || !m.living(d) {
			continue
		}
		by := []string{d.Key}
		if q.Index != "" {
			by = nil
			for _, v := range d.values {
				if v.Index == q.Index {
					by = append(by, v.Value)
				}
			}
		}
		for _, v := range by {
			order := v
			if q.Equal != "" {
				if v != q.Equal {
					continue
				}
				order = d.Key
			}
			if order > q.After && strings.HasPrefix(order, q.Prefix) {
				all = append(all, found{order, d.Document})
			}
		}
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.by+"\x00"+a.Key, b.by+"\x00"+b.Key) })
	var list []documents.Document
	for _, f := range firstN(all, q.Limit) {
		list = append(list, read(f.Document))
	}
	return list
}

type memoryTx struct {
	m      memoryDocuments
	undo   []func()
	err    error
	events []events.Event
}

func (tx *memoryTx) Get(_ context.Context, kind, key string) (documents.Document, error) {
	if tx.err != nil {
		return documents.Document{}, tx.err
	}
	return tx.m.get(kind, key)
}

func (tx *memoryTx) List(_ context.Context, kind string, q documents.Query) ([]documents.Document, error) {
	if tx.err != nil {
		return nil, tx.err
	}
	return tx.m.list(kind, q), nil
}

// set stores a document, or nothing.
func (tx *memoryTx) set(k docKey, d *memoryDoc) {
	was, had := tx.m.docs[k]
	tx.undo = append(tx.undo, func() {
		if had {
			tx.m.docs[k] = was
		} else {
			delete(tx.m.docs, k)
		}
	})
	if d == nil {
		delete(tx.m.docs, k)
		return
	}
	tx.m.docs[k] = *d
}

func (tx *memoryTx) Put(d documents.Document) {
	k := docKey{d.Kind, d.Key}
	was, had := tx.m.docs[k]
	if had && d.Version() == 0 && !tx.m.living(was) {
		tx.set(k, nil)
		had = false
	}
	switch {
	case tx.err != nil:
		return
	case had && d.Version() == 0:
		tx.err = documents.ErrExists
		return
	case d.Version() != 0 && (!had || was.Version() != d.Version()):
		tx.err = fmt.Errorf("the %s %q was not read in this transaction, or has been put since", d.Kind, d.Key)
		return
	}
	values, err := documents.Values(d.Indexed())
	if err != nil {
		tx.err = err
		return
	}
	for other, o := range tx.m.docs {
		if other.kind == d.Kind && other != k && slices.ContainsFunc(values, func(v documents.Value) bool { return v.Unique && slices.Contains(o.values, v) }) {
			tx.err = documents.ErrExists
			return
		}
	}
	if !d.Expires.IsZero() {
		d.Expires = stored(d.Expires)
		tx.sweep()
	}
	d.Body = bytes.Clone(d.Body)
	tx.set(k, &memoryDoc{documents.Stored(d, d.Version()+1, d.Indexed()), values})
}

func (tx *memoryTx) sweep() {
	for k, d := range tx.m.docs {
		if !tx.m.living(d) {
			tx.set(k, nil)
		}
	}
}

func (tx *memoryTx) Delete(d documents.Document) {
	if tx.err == nil {
		tx.set(docKey{d.Kind, d.Key}, nil)
	}
}

func (tx *memoryTx) Raise(kind, index, value string) {
	if tx.err != nil {
		return
	}
	for k, d := range tx.m.docs {
		if k.kind == kind && slices.ContainsFunc(d.values, func(v documents.Value) bool { return v.Index == index && v.Value == value }) {
			d.Number++
			d.Document = documents.Stored(d.Document, d.Version()+1, indexed(d.values))
			tx.set(k, &d)
		}
	}
}

func indexed(values []documents.Value) string { return documents.Document{Index: values}.Indexed() }

func (tx *memoryTx) Append(ev ...events.Event) { tx.events = append(tx.events, ev...) }
