package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/tacet-dev/tacet/internal/store/storetest"
)

func openIn(t *testing.T, dir string, opts Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), dir, opts)
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

func stores(db *DB) storetest.Stores {
	st := storetest.On(db.Sessions(), db.Events(), db.Documents())
	st.Reopen = func(t *testing.T) storetest.Stores {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return stores(openIn(t, filepath.Dir(db.Path()), db.opts))
	}
	return st
}

func TestStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Stores {
		return stores(openIn(t, t.TempDir(), Options{Clock: o.Clock, Committed: o.Committed}))
	})
}
