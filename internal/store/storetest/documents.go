package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
)

var documentTests = map[string]func(*testing.T, Stores){
	"PutGetDelete":            testDocumentLife,
	"KeysAndValuesAreUnique":  testDocumentUnique,
	"ListInOrder":             testDocumentList,
	"ListByManyValues":        testDocumentValues,
	"UpdateIsAtomic":          testDocumentAtomic,
	"TxSeesWhatItDid":         testDocumentTx,
	"Raise":                   testDocumentRaise,
	"ExpiredAreGone":          testDocumentExpiry,
	"UpdatesAreNotLost":       testDocumentCounter,
	"SerialUpdatesSeeEach":    testDocumentSerial,
	"TheHookIsToldOfCommits":  testCommitted,
	"WhatNoDatabaseTakes":     testDocumentText,
	"DocumentsReopen":         testDocumentReopen,
	"PutNeedsTheReadDocument": testDocumentStale,
}

func doc(key, body string, index ...documents.Value) documents.Document {
	return documents.Document{Kind: "thing", Key: key, Body: []byte(body), Index: index}
}

func unique(v string) documents.Value { return documents.Value{Index: "name", Value: v, Unique: true} }
func tag(v string) documents.Value    { return documents.Value{Index: "tag", Value: v} }

func update(t *testing.T, st Stores, f func(tx documents.Tx)) error {
	t.Helper()
	return st.Documents.Update(t.Context(), documents.Loose, func(_ context.Context, tx documents.Tx) error {
		f(tx)
		return nil
	})
}

func put(t *testing.T, st Stores, list ...documents.Document) {
	t.Helper()
	must(t, update(t, st, func(tx documents.Tx) {
		for _, d := range list {
			tx.Put(d)
		}
	}))
}

// change puts what f makes of a stored document.
func change(t *testing.T, st Stores, key string, f func(documents.Document) documents.Document) error {
	t.Helper()
	return st.Documents.Update(t.Context(), documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, "thing", key)
		if err == nil {
			tx.Put(d.With(f(d)))
		}
		return err
	})
}

// listed are the keys that a query finds.
func listed(t *testing.T, r documents.Reader, q documents.Query) string {
	t.Helper()
	list, err := r.List(t.Context(), "thing", q)
	must(t, err)
	var keys []string
	for _, d := range list {
		keys = append(keys, d.Key)
	}
	return strings.Join(keys, " ")
}

func testDocumentLife(t *testing.T, st Stores) {
	body := "\x00\xff any bytes"
	d := doc("a", body, unique("ann"), tag("x"))
	d.Number, d.Expires = 7, start.Add(time.Hour+123*time.Microsecond)
	put(t, st, d, documents.Document{Kind: "other", Key: "a"})
	got, err := st.Documents.Get(t.Context(), "thing", "a")
	must(t, err)
	equal(t, "document", fmt.Sprintf("%s %s %q %d %v", got.Kind, got.Key, got.Body, got.Number, got.Expires),
		fmt.Sprintf("thing a %q 7 %v", body, start.Add(time.Hour)))
	must(t, change(t, st, "a", func(documents.Document) documents.Document { return doc("", "next", unique("bob")) }))
	got, err = st.Documents.Get(t.Context(), "thing", "a")
	must(t, err)
	equal(t, "changed", fmt.Sprintf("%q %d %v", got.Body, got.Number, got.Expires.IsZero()), `"next" 0 true`)
	equal(t, "by the old name", listed(t, st.Documents, documents.Query{Index: "name", Equal: "ann", Limit: 9}), "")
	equal(t, "by the new one", listed(t, st.Documents, documents.Query{Index: "name", Equal: "bob", Limit: 9}), "a")
	equal(t, "by the old tag", listed(t, st.Documents, documents.Query{Index: "tag", Equal: "x", Limit: 9}), "")
	must(t, st.Documents.Update(t.Context(), documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, "thing", "a")
		tx.Delete(d)
		return err
	}))
	if _, err := st.Documents.Get(t.Context(), "thing", "a"); !errors.Is(err, documents.ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
	if _, err := st.Documents.Get(t.Context(), "other", "a"); err != nil {
		t.Errorf("a document of another kind: %v", err)
	}
	put(t, st, doc("b", "", unique("bob"))) // the name is free
}

func testDocumentUnique(t *testing.T, st Stores) {
	put(t, st, doc("a", "1", unique("ann"), tag("x")), doc("b", "2", unique("bob"), tag("x")))
	put(t, st, documents.Document{Kind: "other", Key: "a", Index: []documents.Value{unique("ann")}})
	for what, d := range map[string]documents.Document{"key": doc("a", "3"), "name": doc("c", "3", tag("y"), unique("ann"))} {
		if err := update(t, st, func(tx documents.Tx) { tx.Put(doc("z", "")); tx.Put(d) }); !errors.Is(err, documents.ErrExists) {
			t.Errorf("a second document of one %s: %v", what, err)
		}
	}
	if err := change(t, st, "b", func(documents.Document) documents.Document { return doc("", "4", unique("ann")) }); !errors.Is(err, documents.ErrExists) {
		t.Errorf("a name that another has: %v", err)
	}
	must(t, change(t, st, "b", func(documents.Document) documents.Document { return doc("", "5", unique("bob")) }))
	equal(t, "all", listed(t, st.Documents, documents.Query{Limit: 9}), "a b")
	equal(t, "with the tag", listed(t, st.Documents, documents.Query{Index: "tag", Equal: "x", Limit: 9}), "a")
	// Who lets a name go and who takes it, in one transaction.
	must(t, st.Documents.Update(t.Context(), documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		a, err := tx.Get(ctx, "thing", "a")
		tx.Put(a.With(doc("", "6", unique("zoe"))))
		tx.Put(doc("c", "7", unique("ann")))
		return err
	}))
	equal(t, "who is ann now", listed(t, st.Documents, documents.Query{Index: "name", Equal: "ann", Limit: 9}), "c")
}

func testDocumentList(t *testing.T, st Stores) {
	names := []string{"al", "alice", "alicia", "al\U0010ffffz", "am", "Al", "älice", "王", "\U0001F98A"}
	for i, n := range names {
		put(t, st, doc(fmt.Sprint("k", i), "", unique(n)))
	}
	for _, c := range []struct {
		q    documents.Query
		want string
	}{
		{documents.Query{Index: "name", Limit: 9}, "k5 k0 k1 k2 k3 k4 k6 k7 k8"},
		{documents.Query{Index: "name", Limit: 2}, "k5 k0"},
		{documents.Query{Index: "name", After: "alice", Limit: 2}, "k2 k3"},
		{documents.Query{Index: "name", After: "alice\x01", Limit: 1}, "k2"},
		{documents.Query{Index: "name", Prefix: "al", Limit: 9}, "k0 k1 k2 k3"},
		{documents.Query{Index: "name", Prefix: "al", After: "alice", Limit: 1}, "k2"},
		{documents.Query{Index: "name", Prefix: "王", Limit: 9}, "k7"},
		{documents.Query{Index: "name", Prefix: "al_", Limit: 9}, ""},
		{documents.Query{Index: "name", Prefix: "%", Limit: 9}, ""},
		{documents.Query{Index: "name", Prefix: "\U0010ffff", Limit: 9}, ""},
		{documents.Query{Index: "nothing", Limit: 9}, ""},
		{documents.Query{Index: "name", Limit: 0}, ""},
		{documents.Query{Index: "name", Limit: -1}, ""},
		{documents.Query{Limit: 3}, "k0 k1 k2"},
		{documents.Query{After: "k2", Limit: 3}, "k3 k4 k5"},
		{documents.Query{Prefix: "k8", Limit: 3}, "k8"},
		{documents.Query{Equal: "k8", Limit: 3}, "k8"},
	} {
		equal(t, fmt.Sprintf("%+v", c.q), listed(t, st.Documents, c.q), c.want)
	}
}

func testDocumentValues(t *testing.T, st Stores) {
	put(t, st, doc("a", "", tag("x"), tag("y"), tag("x"), tag("")), doc("b", "", tag("y")), doc("c", "", tag("y"), tag("z")))
	for _, c := range []struct {
		q    documents.Query
		want string
	}{
		{documents.Query{Index: "tag", Equal: "y", Limit: 9}, "a b c"},
		{documents.Query{Index: "tag", Equal: "y", After: "a", Limit: 1}, "b"},
		{documents.Query{Index: "tag", Equal: "x", Limit: 9}, "a"},
		{documents.Query{Index: "tag", Limit: 9}, "a a b c c"},
	} {
		equal(t, fmt.Sprintf("%+v", c.q), listed(t, st.Documents, c.q), c.want)
	}
	all, err := documents.All(t.Context(), st.Documents, "thing", documents.Query{Index: "tag", Equal: "y"})
	must(t, err)
	equal(t, "all", len(all), 3)
	if _, err := documents.Find(t.Context(), st.Documents, "thing", "tag", ""); !errors.Is(err, documents.ErrNotFound) {
		t.Errorf("by no value: %v", err)
	}
}

func testDocumentAtomic(t *testing.T, st Stores) {
	put(t, st, doc("a", "1", tag("x")))
	boom := errors.New("boom")
	err := st.Documents.Update(t.Context(), documents.Serial, func(ctx context.Context, tx documents.Tx) error {
		a, err := tx.Get(ctx, "thing", "a")
		must(t, err)
		tx.Put(a.With(doc("", "2", tag("y"))))
		tx.Put(doc("b", ""))
		tx.Raise("thing", "tag", "y")
		tx.Append(events.Event{Kind: "never", At: start})
		return boom
	})
	if err != boom {
		t.Errorf("error of f: got %v, want it as it is", err)
	}
	got, err := st.Documents.Get(t.Context(), "thing", "a")
	must(t, err)
	equal(t, "after an error", fmt.Sprintf("%s %d %s %s %v", got.Body, got.Number, listed(t, st.Documents, documents.Query{Limit: 9}),
		listed(t, st.Documents, documents.Query{Index: "tag", Equal: "x", Limit: 9}), eventKinds(t, st)), "1 0 a a []")
}

func testDocumentTx(t *testing.T, st Stores) {
	put(t, st, doc("a", "1", unique("ann")))
	must(t, st.Documents.Update(t.Context(), documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		a, err := tx.Get(ctx, "thing", "a")
		must(t, err)
		tx.Put(a.With(doc("", "2", unique("zoe"))))
		tx.Put(doc("b", "3", unique("bob")))
		again, err := tx.Get(ctx, "thing", "a")
		must(t, err)
		equal(t, "read again", string(again.Body), "2")
		equal(t, "listed", listed(t, tx, documents.Query{Index: "name", Limit: 9}), "b a")
		tx.Put(again.With(doc("", "4", unique("amy"))))
		b, err := tx.Get(ctx, "thing", "b")
		tx.Delete(b)
		if _, err := tx.Get(ctx, "thing", "b"); !errors.Is(err, documents.ErrNotFound) {
			t.Errorf("a document that was deleted: %v", err)
		}
		return err
	}))
	equal(t, "at last", listed(t, st.Documents, documents.Query{Index: "name", Limit: 9}), "a")
}

func testDocumentRaise(t *testing.T, st Stores) {
	put(t, st, doc("a", "1", tag("x"), tag("y")), doc("b", "2", tag("y")), documents.Document{Kind: "other", Key: "a", Index: []documents.Value{tag("x")}})
	must(t, st.Documents.Update(t.Context(), documents.Bulk, func(ctx context.Context, tx documents.Tx) error {
		tx.Raise("thing", "tag", "x")
		a, err := tx.Get(ctx, "thing", "a")
		equal(t, "in the transaction", a.Number, 1)
		return err
	}))
	must(t, update(t, st, func(tx documents.Tx) { tx.Raise("thing", "tag", "y") }))
	for key, want := range map[string]string{"a": "1 2", "b": "2 1"} {
		d, err := st.Documents.Get(t.Context(), "thing", key)
		must(t, err)
		equal(t, key, fmt.Sprint(string(d.Body), " ", d.Number), want)
	}
	other, err := st.Documents.Get(t.Context(), "other", "a")
	must(t, err)
	equal(t, "of another kind", other.Number, 0)
}

func testDocumentExpiry(t *testing.T, st Stores) {
	a := doc("a", "1", unique("ann"))
	a.Expires = start.Add(time.Minute)
	put(t, st, a, doc("b", "2", unique("bob")))
	st.clock.set(start.Add(time.Minute - time.Millisecond))
	equal(t, "in time", listed(t, st.Documents, documents.Query{Index: "name", Limit: 9}), "a b")
	st.clock.set(start.Add(time.Minute))
	equal(t, "by name", listed(t, st.Documents, documents.Query{Index: "name", Limit: 9}), "b")
	equal(t, "by key", listed(t, st.Documents, documents.Query{Limit: 9}), "b")
	if _, err := st.Documents.Get(t.Context(), "thing", "a"); !errors.Is(err, documents.ErrNotFound) {
		t.Errorf("a document that is over: %v", err)
	}
	a.Expires = start.Add(time.Hour)
	put(t, st, a) // in the place of that one
	equal(t, "again", listed(t, st.Documents, documents.Query{Index: "name", Limit: 9}), "a b")
	st.clock.set(start.Add(time.Hour))
	c := doc("c", "3")
	c.Expires = start.Add(2 * time.Hour)
	put(t, st, c)                            // sweeps
	put(t, st, doc("d", "4", unique("ann"))) // so that the name is free
	st.clock.set(start)                      // and nothing comes back
	equal(t, "swept", listed(t, st.Documents, documents.Query{Limit: 9}), "b c d")
}

func testDocumentCounter(t *testing.T, st Stores) {
	const writers, rounds = 4, 8
	put(t, st, doc("a", ""))
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for range rounds {
				if err := change(t, st, "a", func(d documents.Document) documents.Document {
					d.Number++
					return d
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	d, err := st.Documents.Get(t.Context(), "thing", "a")
	must(t, err)
	equal(t, "count", d.Number, writers*rounds)
}

// testDocumentSerial: each sees all that the ones before it have put.
func testDocumentSerial(t *testing.T, st Stores) {
	const writers = 12
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			err := st.Documents.Update(t.Context(), documents.Serial, func(ctx context.Context, tx documents.Tx) error {
				list, err := tx.List(ctx, "thing", documents.Query{Limit: 100})
				d := doc(fmt.Sprint(i), "")
				d.Number = int64(len(list))
				tx.Put(d)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	list, err := st.Documents.List(t.Context(), "thing", documents.Query{Limit: 100})
	must(t, err)
	seen := map[int64]bool{}
	for _, d := range list {
		seen[d.Number] = true
	}
	equal(t, "different counts", len(seen), writers)
}

// testCommitted: the hook has been told when the call returns, and only of what is
// committed.
func testCommitted(t *testing.T, st Stores) {
	must(t, update(t, st, func(tx documents.Tx) {
		tx.Append(events.Event{Kind: "one", At: start}, events.Event{Kind: "two", At: start})
		tx.Append(events.Event{Kind: "three", At: start})
	}))
	equal(t, "told of an Update", fmt.Sprint(st.told.take()), "[one two three]")
	put(t, st, doc("a", ""))
	if err := update(t, st, func(tx documents.Tx) { tx.Put(doc("a", "")); tx.Append(events.Event{Kind: "never", At: start}) }); !errors.Is(err, documents.ErrExists) {
		t.Errorf("%v", err)
	}
	equal(t, "told of nothing", fmt.Sprint(st.told.take()), "[]")
	s := newSession(1)
	must(t, st.Sessions.Create(t.Context(), s))
	end := session.End{Reason: "logout", At: start}
	must(t, st.Sessions.End(t.Context(), s.ID, end, events.Event{Kind: "ended", At: start}))
	equal(t, "told of an end", fmt.Sprint(st.told.take()), "[ended]")
	if err := st.Sessions.End(t.Context(), s.ID, end, events.Event{Kind: "again", At: start}); !errors.Is(err, session.ErrConflict) {
		t.Errorf("%v", err)
	}
	equal(t, "told of an end that was one already", fmt.Sprint(st.told.take()), "[again]")
	if err := st.Sessions.End(t.Context(), sessionID(2), end, events.Event{Kind: "nobody", At: start}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("%v", err)
	}
	equal(t, "told of no session", fmt.Sprint(st.told.take()), "[]")
	equal(t, "events", fmt.Sprint(eventKinds(t, st)), "[one two three ended]")
}

func testDocumentText(t *testing.T, st Stores) {
	for _, text := range []string{"nul\x00", "caf\xe9"} {
		if _, err := st.Documents.Get(t.Context(), "thing", text); !errors.Is(err, documents.ErrNotFound) {
			t.Errorf("key %q: %v", text, err)
		}
		equal(t, "value "+text, listed(t, st.Documents, documents.Query{Index: "name", Equal: text, Limit: 9}), "")
	}
}

func testDocumentReopen(t *testing.T, st Stores) {
	put(t, st, doc("a", "1", unique("ann")))
	again := st.Reopen(t)
	equal(t, "document", listed(t, again.Documents, documents.Query{Index: "name", Equal: "ann", Limit: 1}), "a")
}

// testDocumentStale: what was read before, outside, must not undo what came since.
func testDocumentStale(t *testing.T, st Stores) {
	put(t, st, doc("a", "1"))
	old, err := st.Documents.Get(t.Context(), "thing", "a")
	must(t, err)
	must(t, change(t, st, "a", func(documents.Document) documents.Document { return doc("", "2") }))
	if err := update(t, st, func(tx documents.Tx) { tx.Put(old.With(doc("", "3"))) }); err == nil {
		t.Error("a document was put in the place of one that came after it was read")
	}
	got, err := st.Documents.Get(t.Context(), "thing", "a")
	must(t, err)
	equal(t, "stored", string(got.Body), "2")
}
