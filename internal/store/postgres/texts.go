package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// texts stores what many sessions share once. A text's id is a hash of it, so a
// renewal needs no look at the table: it only has to be sure that the text is
// there, which is remembered for a while.
//
// Removing a text takes two signs that nobody needs it: no session referred to
// it during a walk through the whole table, and nobody has stored it, or stored
// it again, for textUnused. The second is about sessions that took it up behind
// the walk's back: nodes store a text again that they last stored longer than
// textFresh ago, before they use it.
type texts struct {
	mu    sync.Mutex
	known map[string]knownText
	clock func() time.Time
	fresh time.Duration
}

type knownText struct {
	id    int64
	until time.Time
}

const (
	// maxTexts bounds the memory of texts; user agents come from outside.
	maxTexts = 4096
	// A statement ends long before textUnused-textFresh is over.
	textFresh  = time.Hour
	textUnused = 24 * time.Hour
)

func (t *texts) init() {
	t.known, t.clock, t.fresh = map[string]knownText{}, time.Now, textFresh
}

func (t *texts) remembered(text string) (int64, bool) {
	if text == "" {
		return 0, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.known[text]
	return k.id, ok && t.clock().Before(k.until)
}

func (t *texts) remember(text string, id int64, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= maxTexts {
		clear(t.known)
	}
	t.known[text] = knownText{id, at.Add(t.fresh)}
}

// id returns the id of a text that is stored when id returns.
func (t *texts) id(ctx context.Context, c *pgxpool.Conn, text string) (int64, error) {
	if id, ok := t.remembered(text); ok {
		return id, nil
	}
	at := t.clock() // before it is stored
	for id := hash(text); ; id++ {
		var stored []byte
		err := c.QueryRow(ctx, `INSERT INTO tacet_texts (id, text, used_at) VALUES ($1, $2, `+nowMillis+`)
			ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at RETURNING text`, id, []byte(text)).Scan(&stored)
		if err != nil {
			return 0, err
		}
		if bytes.Equal(stored, []byte(text)) && id != 0 {
			t.remember(text, id, at)
			return id, nil
		}
		// Another text of the same hash has the place: take the next.
	}
}

// ids finds the ids of the user agents of the renewals.
func (t *texts) ids(ctx context.Context, c *pgxpool.Conn, batch []*renewal) error {
	var missing []*renewal
	for _, m := range batch {
		var ok bool
		if m.agent, ok = t.remembered(m.Contact.UserAgent); !ok {
			missing = append(missing, m)
		}
	}
	slices.SortFunc(missing, func(a, b *renewal) int { return cmp.Compare(a.Contact.UserAgent, b.Contact.UserAgent) })
	for _, m := range missing {
		var err error
		if m.agent, err = t.id(ctx, c, m.Contact.UserAgent); err != nil {
			return err
		}
	}
	return nil
}

func hash(text string) int64 {
	sum := sha256.Sum256([]byte(text))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// textCandidates are texts that a walk which begins now may find unused: up to
// limit, after the id given.
func (db *DB) textCandidates(ctx context.Context, c *pgxpool.Conn, from int64, limit int) ([]int64, error) {
	rows, err := c.Query(ctx, "SELECT id FROM tacet_texts WHERE id > $1 AND used_at < "+nowMillis+" - $2::bigint ORDER BY id LIMIT $3",
		from, db.sweep.unused.Milliseconds(), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// removeTexts deletes those of the texts that still nobody has stored lately.
func (db *DB) removeTexts(ctx context.Context, c *pgxpool.Conn, ids []int64) error {
	_, err := c.Exec(ctx, "DELETE FROM tacet_texts WHERE id = ANY ($1) AND used_at < "+nowMillis+" - $2::bigint", ids, db.sweep.unused.Milliseconds())
	return err
}
