package postgres

import (
	"testing"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/internal/store/storetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func openURL(t testing.TB, url string, opts Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// openEmpty opens an empty schema of the package's cluster.
func openEmpty(t testing.TB, opts Options) *DB {
	t.Helper()
	return openURL(t, pgtest.Shared(t).Schema(t), opts)
}

func stores(db *DB, url string, opts Options) storetest.Stores {
	st := storetest.On(db.Sessions(), db.Events(), db.Documents())
	st.Reopen = func(t *testing.T) storetest.Stores {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return stores(openURL(t, url, opts), url, opts)
	}
	return st
}

func contract(t *testing.T, opts Options, schema func(t *testing.T) string, look func(t *testing.T, db *DB)) {
	sent := &statements{}
	opts.Tracer = sent
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Stores {
		opts := opts
		opts.Clock, opts.Committed = o.Clock, o.Committed
		url := schema(t)
		db := openURL(t, url, opts)
		look(t, db)
		return stores(db, url, opts)
	})
	sent.check(t, !opts.Single)
}

func direct(t *testing.T) string { return pgtest.Shared(t).Schema(t) }

func TestStoreKeepsTheContract(t *testing.T) {
	contract(t, Options{}, direct, func(t *testing.T, db *DB) {
		if db.pooled.Load() {
			t.Fatal("a pooler was found where there is none")
		}
	})
}

// TestStoreKeepsTheContractOneByOne: each renewal in a statement of its own.
func TestStoreKeepsTheContractOneByOne(t *testing.T) {
	contract(t, Options{Single: true}, direct, func(*testing.T, *DB) {})
}

// TestStoreKeepsTheContractBehindAPooler: pgbouncer in transaction mode, as its
// package comes, with nothing set for it.
func TestStoreKeepsTheContractBehindAPooler(t *testing.T) {
	through := func(t *testing.T) string {
		url, _ := pgtest.SharedBouncer(t).Schema(t)
		return url
	}
	contract(t, Options{}, through, func(t *testing.T, db *DB) {
		if !db.pooled.Load() {
			t.Fatal("the pooler was not noticed")
		}
	})
}
