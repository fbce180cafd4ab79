package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/internal/store/storetest"
)

// BenchmarkDirectory measures a directory of a million users (bench/directory).
func BenchmarkDirectory(b *testing.B) {
	url := pgtest.Shared(b).Schema(b)
	db := openURL(b, url, Options{})
	users := fmt.Sprintf(`(SELECT i, 'usr_' || lpad(i::text, 26, '0') AS id, 'user' || lpad(i::text, 7, '0') AS name,
		CASE WHEN i %% 100 = 0 THEN 'staff' ELSE 'viewer' END AS role FROM generate_series(0, %d) AS n (i)) AS u`, storetest.BenchUsers-1)
	pgtest.Exec(b, url, `INSERT INTO tacet_documents (kind, key, version, number, indexed, body)
		SELECT 'user', id, 1, 1, '!name 11 ' || name || chr(10) || ' role ' || length(role) || ' ' || role || chr(10),
		convert_to('{"name":"' || name || '","display_name":"' || name || '","email":"' || name || '@example.org","password_hash":"`+storetest.BenchHash+`","roles":["' || role || '"],"created_at":1795953600000}', 'UTF8') FROM `+users)
	pgtest.Exec(b, url, `INSERT INTO tacet_document_values SELECT 'user.name', name, '', id FROM `+users)
	pgtest.Exec(b, url, `INSERT INTO tacet_document_values SELECT 'user.role', role, id, id FROM `+users)
	pgtest.Exec(b, url, "ANALYZE")
	docs := db.Documents()
	st, ctx := directory.NewStore(docs), context.Background()
	must(b, docs.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Put(documents.Encode(directory.KindRole, "staff", map[string][]string{"permissions": {"a:b"}}))
		return nil
	}))
	found := func(q documents.Query) (int, error) {
		list, err := docs.List(ctx, directory.KindUser, q)
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
	storetest.BenchDirectory(b, storetest.DirectoryCalls{
		List: func(after string, limit int) (int, error) {
			list, err := st.Users(ctx, after, limit)
			return len(list), err
		},
		Prefix: func(prefix string, limit int) (int, error) {
			return found(documents.Query{Index: "name", Prefix: prefix, Limit: limit})
		},
		Holders: func(role, after string, limit int) (int, error) {
			return found(documents.Query{Index: "role", Equal: role, After: after, Limit: limit})
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
