package sqlite

import (
	"context"
	"fmt"
	"testing"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/store/storetest"
)

// BenchmarkDirectory measures a directory of a million users (bench/directory).
func BenchmarkDirectory(b *testing.B) {
	db, err := Open(b.Context(), b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	fill := `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?),
		u AS (SELECT i, printf('usr_%026d', i) AS id, printf('user%07d', i) AS name,
			CASE WHEN i % 100 = 0 THEN 'staff' ELSE 'viewer' END AS role FROM n) `
	_, err = write(b.Context(), db, multi, func(w *writer) (struct{}, error) {
		for _, statement := range []string{
			fill + `INSERT INTO documents (kind, key, version, number, indexed, body)
				SELECT 'user', id, 1, 1, '!name 11 ' || name || char(10) || ' role ' || length(role) || ' ' || role || char(10),
				CAST('{"name":"' || name || '","display_name":"' || name || '","email":"' || name || '@example.org","password_hash":"` + storetest.BenchHash + `","roles":["' || role || '"],"created_at":1795953600000}' AS BLOB) FROM u`,
			fill + `INSERT INTO document_values SELECT 'user.name', name, '', id FROM u`,
			fill + `INSERT INTO document_values SELECT 'user.role', role, id, id FROM u`,
		} {
			if _, err := w.exec(statement, int64(storetest.BenchUsers)); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	benchDirectory(b, db.Documents())
}

func benchDirectory(b *testing.B, docs documents.Store) {
	st, ctx := directory.NewStore(docs), context.Background()
	if err := st.CreateRole(ctx, directory.Role{Name: "editor"}); err != nil {
		b.Fatal(err)
	}
	err := docs.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Put(documents.Encode(directory.KindRole, "staff", map[string][]string{"permissions": {"a:b"}}))
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	find := func(q documents.Query) ([]documents.Document, error) { return docs.List(ctx, directory.KindUser, q) }
	storetest.BenchDirectory(b, storetest.DirectoryCalls{
		List: func(after string, limit int) (int, error) {
			list, err := st.Users(ctx, after, limit)
			return len(list), err
		},
		Prefix: func(prefix string, limit int) (int, error) {
			list, err := find(documents.Query{Index: "name", Prefix: prefix, Limit: limit})
			return decoded(list, err)
		},
		Holders: func(role, after string, limit int) (int, error) {
			list, err := find(documents.Query{Index: "role", Equal: role, After: after, Limit: limit})
			return decoded(list, err)
		},
		Edit: func(role string, n int) error {
			return st.UpdateRole(ctx, role, func(r *directory.Role) error {
				r.Permissions = []string{fmt.Sprint("a:b", n)}
				return nil
			}, func(u directory.User) events.Event {
				return events.Event{Kind: "grants.changed", UserID: u.ID, Data: fmt.Appendf(nil, `{"grants_version":%d}`, u.GrantsVersion)}
			})
		},
	})
}

// decoded counts users that were found, as who asks for them reads them.
func decoded(list []documents.Document, err error) (int, error) {
	for _, d := range list {
		var u struct {
			directory.User
			CreatedAt int64 `json:"created_at"`
		}
		if err == nil {
			err = d.Decode(&u)
		}
	}
	return len(list), err
}
