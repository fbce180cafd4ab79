package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

// benchSession looks like the real thing: a UUIDv7, a user of the embedded
// directory who has two sessions, one of a few hundred user agents.
func benchSession(n int) session.Session {
	var id rotation.SessionID
	binary.BigEndian.PutUint64(id[:], uint64(1_790_000_000_000+n)<<16)
	id[6] = 0x70 | id[6]&0x0f
	binary.BigEndian.PutUint64(id[8:], uint64(n)*0x9e3779b97f4a7c15)
	at := time.UnixMilli(1_790_000_000_000 + int64(n)).UTC()
	var user [16]byte
	binary.BigEndian.PutUint64(user[:], uint64(n/2)*0xd1342543de82ef95)
	return session.Session{
		ID: id, UserID: "usr_" + lower32.EncodeToString(user[:]), ClientID: "tacet-web",
		State: rotation.State{Head: rotation.Root(rotation.Tag(id[8:])), HeadAt: at, CreatedAt: at},
		Contact: session.Contact{Address: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
			UserAgent: fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", n%300)},
	}
}

// inParallel calls f for 0…n-1 from k goroutines.
func inParallel(t testing.TB, k, n int, f func(i int) error) {
	t.Helper()
	var running sync.WaitGroup
	var next atomic.Int64
	for range min(k, n) {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

// fill makes n sessions, in order of their ids as it is in life. It goes around
// Create, which commits each of them.
func fill(t testing.TB, db *DB, n int) {
	t.Helper()
	const bite = 1000
	inParallel(t, 1, (n+bite-1)/bite, func(b int) error {
		var list []session.Session
		for i := b * bite; i < min(n, (b+1)*bite); i++ {
			list = append(list, benchSession(i))
		}
		insert(t, db, list)
		return nil
	})
}

func insert(t testing.TB, db *DB, list []session.Session) {
	t.Helper()
	must(t, db.repeat(context.Background(), db.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		return db.insertSessions(ctx, c, list)
	}))
}

// nextMove is the next move of a session.
func nextMove(s session.Session) session.Move {
	var tag rotation.Tag
	binary.BigEndian.PutUint64(tag[:], rand.Uint64())
	return session.Move{ID: s.ID, Condition: s.State.Condition(), At: s.State.HeadAt.Add(time.Minute), Contact: s.Contact,
		Head: rotation.Head{Generation: s.State.Head.Generation + 1, Tag: tag, Parent: s.State.Head.Tag}}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMove renews: k clients, each with sessions of its own that lie apart
// in the table, as those do that renew at the same time in life. "single" sends
// one statement for each, as a store without batches would, for comparison.
func BenchmarkMove(b *testing.B) {
	for _, c := range []struct {
		name        string
		k, sessions int
	}{{"batched", 1, 10_000}, {"single", 1, 10_000}, {"batched", 16, 10_000}, {"single", 16, 10_000},
		{"batched", 128, 10_000}, {"single", 128, 10_000}, {"batched", 128, 100_000}} {
		b.Run(fmt.Sprintf("%s/k=%d/sessions=%d", c.name, c.k, c.sessions), func(b *testing.B) {
			db := openURL(b, pgtest.Shared(b).Schema(b), Options{Conns: 20})
			fill(b, db, c.sessions)
			move := db.Sessions().Move
			if c.name == "single" {
				move = db.moveAlone
			}
			stats := startStats(b, db)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			perClient := c.sessions / c.k
			inParallel(b, c.k, c.k, func(i int) error {
				own := make(map[int]session.Session)
				for n := range (b.N + c.k - 1 - i) / c.k {
					j := i*perClient + n*7%perClient
					s, ok := own[j]
					if !ok {
						s = benchSession(j)
					}
					s, err := move(context.Background(), nextMove(s))
					if err != nil {
						return err
					}
					own[j] = s
				}
				return nil
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renewals/s")
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "client-cpu-µs/op")
			stats.report(b, b.N)
		})
	}
}

// moveAlone is Move without a batch: one statement on any connection.
func (db *DB) moveAlone(ctx context.Context, mv session.Move) (session.Session, error) {
	m := &renewal{Move: mv}
	err := db.repeat(ctx, db.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := db.renewer.attempt(ctx, c, []*renewal{m}, false)
		return err
	})
	if err == nil {
		err = m.err
	}
	return m.got, err
}

// stats are the server's own figures about the sessions table.
type stats struct {
	db                       *DB
	updates, hot, size, wal  int64
	heap, byID, byUser, live int64
}

func readStats(t testing.TB, db *DB) (s stats) {
	t.Helper()
	s.db = db
	_, err := read(t.Context(), db, func(ctx context.Context, c *pgxpool.Conn) (int, error) {
		return 0, c.QueryRow(ctx, `SELECT pg_stat_get_tuples_updated(r) + pg_stat_get_xact_tuples_updated(r), pg_stat_get_tuples_hot_updated(r),
			pg_table_size(r) + pg_indexes_size(r), pg_current_wal_insert_lsn() - '0/0'::pg_lsn,
			pg_table_size(r), pg_relation_size('tacet_sessions_pkey'), pg_relation_size('tacet_sessions_user'), pg_stat_get_live_tuples(r)
			FROM (SELECT 'tacet_sessions'::regclass::oid AS r) t`).
			Scan(&s.updates, &s.hot, &s.size, &s.wal, &s.heap, &s.byID, &s.byUser, &s.live)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func startStats(b *testing.B, db *DB) stats {
	b.Helper()
	pgtest.Shared(b).Exec(b, "CHECKPOINT") // full page images come after it, not in the middle
	return readStats(b, db)
}

// report waits until the server has written its figures down.
func (s stats) report(b *testing.B, n int) {
	b.Helper()
	after := readStats(b, s.db)
	b.ReportMetric(float64(after.wal-s.wal)/float64(n), "WAL-B/op")
	deadline := time.Now().Add(10 * time.Second)
	for after.updates-s.updates < int64(n) && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
		after = readStats(b, s.db)
	}
	b.ReportMetric(100*float64(after.hot-s.hot)/float64(max(1, after.updates-s.updates)), "HOT-%")
	b.ReportMetric(float64(after.size-s.size)/float64(n), "growth-B/op")
}
