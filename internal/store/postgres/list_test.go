package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

// TestListReadsWhatItLists: a list of one user's sessions costs what it holds,
// whatever the server knows of the table; one of all users, once it knows any.
func TestListReadsWhatItLists(t *testing.T) {
	const n, most = 30_000, 150 // blocks; the table has 550, and each text costs two
	url := pgtest.Shared(t).Schema(t)
	db := openURL(t, url, Options{})
	fill(t, db, n)
	for _, known := range []string{"nothing", "the table"} {
		if known != "nothing" {
			pgtest.Exec(t, url, "ANALYZE tacet_sessions")
		}
		for _, plan := range []string{"force_custom_plan", "force_generic_plan"} {
			for name, before := range map[string]rotation.SessionID{"first page": {}, "a later page": benchSession(n / 2).ID} {
				for _, user := range []string{benchSession(n / 3).UserID, "nobody", ""} {
					if user == "" && known == "nothing" {
						continue
					}
					where, args := listing(user, before, 50)
					if blocks := blocksRead(t, db, plan, where, args); blocks > most {
						t.Errorf("the server knows %s, %s, %s of user %q: %d blocks", known, plan, name, user, blocks)
					}
				}
			}
		}
	}
}

func blocksRead(t *testing.T, db *DB, plan, where string, args []any) (blocks int) {
	t.Helper()
	_, err := read(t.Context(), db, func(ctx context.Context, c *pgxpool.Conn) (int, error) {
		if _, err := c.Exec(ctx, "SET plan_cache_mode = "+plan); err != nil {
			return 0, err
		}
		defer func() { must(t, c.Conn().Close(ctx)) }() // nobody inherits the setting
		var out []byte
		if err := c.QueryRow(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+selectSession+where, args...).Scan(&out); err != nil {
			return 0, err
		}
		var explained []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
			}
		}
		if err := json.Unmarshal(out, &explained); err != nil {
			return 0, err
		}
		if len(explained) != 1 || explained[0].Plan.Hit == 0 {
			return 0, finally(fmt.Errorf("explained: %s", out))
		}
		blocks = explained[0].Plan.Hit + explained[0].Plan.Read
		return 0, nil
	})
	must(t, err)
	return blocks
}
