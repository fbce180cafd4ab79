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

func stores(db *DB, url string) storetest.Stores {
	return storetest.Stores{
		Sessions: db.Sessions(), Keys: db.Keys(), Directory: db.Directory(), Events: db.Events(), OAuth: db.OAuth(), Links: db.Links(),
		Reopen: func(t *testing.T) storetest.Stores {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return stores(openURL(t, url, Options{}), url)
		},
	}
}

func TestStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Stores {
		url := pgtest.Shared(t).Schema(t)
		return stores(openURL(t, url, Options{}), url)
	})
}
