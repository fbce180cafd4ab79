package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/session"
)

// insertSessions stores many sessions in one statement, in the place of those
// that have the same ids.
func (db *DB) insertSessions(ctx context.Context, c *pgxpool.Conn, list []session.Session) error {
	n := len(list)
	ids, keys := make([]pgtype.UUID, n), make([]pgtype.UUID, n)
	users, clients, ended := make([]string, n), make([]string, n), make([]string, n)
	generation, addresses := make([]int32, n), make([][]byte, n)
	boundTo, details := make([]string, n), make([]string, n)
	numbers := make([]int64, 5*n)
	column := func(i int) []int64 { return numbers[i*n : (i+1)*n : (i+1)*n] }
	tag, parent, headAt, createdAt, agent := column(0), column(1), column(2), column(3), column(4)
	for i, s := range list {
		var err error
		if agent[i], err = db.texts.id(ctx, c, s.Contact.UserAgent); err != nil {
			return err
		}
		keys[i], users[i] = userKey(s.UserID)
		ids[i], clients[i], ended[i], addresses[i] = uuid(s.ID), s.ClientID, endText(s), address(s.Contact.Address)
		boundTo[i], details[i] = string(s.Constraint), s.Details
		h := s.State.Head
		generation[i], tag[i], parent[i] = int32(h.Generation), number(h.Tag), number(h.Parent)
		headAt[i], createdAt[i] = millis(s.State.HeadAt), millis(s.State.CreatedAt)
	}
	_, err := c.Exec(ctx, `INSERT INTO tacet_sessions (id, user_key, user_id, client, generation, tag, parent, head_at, created_at, address, agent, ended,
			bound_to, details)
		SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
			$10::bytea[], $11::bigint[], $12::text[], $13::text[], $14::text[])
		ON CONFLICT (id) DO UPDATE SET user_key = excluded.user_key, user_id = excluded.user_id, client = excluded.client,
			generation = excluded.generation, tag = excluded.tag, parent = excluded.parent, head_at = excluded.head_at,
			created_at = excluded.created_at, address = excluded.address, agent = excluded.agent, ended = excluded.ended,
			bound_to = excluded.bound_to, details = excluded.details`,
		ids, keys, users, clients, generation, tag, parent, headAt, createdAt, addresses, agent, ended, boundTo, details)
	return err
}
