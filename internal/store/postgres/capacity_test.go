package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// BenchmarkCapacity measures what docs/capacity.md is calculated from: bytes of WAL
// and processor time of the server for each kind of write, with renewals scattered
// over the table as in life. The first renewals after a checkpoint carry an image of
// each page that they meet; those after them do not.
//
//	go test ./internal/store/postgres -run XXX -bench Capacity -benchtime 1x
func BenchmarkCapacity(b *testing.B) {
	const sessions, clients = 40_000, 64
	cluster := pgtest.Shared(b)
	db := openURL(b, cluster.Schema(b), Options{Conns: 20})
	fill(b, db, sessions)
	order := rand.New(rand.NewPCG(1, 2)).Perm(sessions)
	state := make([]session.Session, sessions)
	for i := range state {
		state[i] = benchSession(i)
	}
	renew := func() {
		inParallel(b, clients, sessions, func(i int) (err error) {
			n := order[i]
			state[n], err = db.Sessions().Move(context.Background(), nextMove(state[n]))
			return err
		})
	}
	renew() // until now the table has no room of its own for new versions
	cluster.Exec(b, "VACUUM")
	cluster.Exec(b, "CHECKPOINT")
	before := readStats(b, db)
	rows := float64(sessions) * 8192 / float64(before.heap)
	b.ReportMetric(rows, "sessions/page")
	b.ReportMetric(float64(before.size)/sessions, "B/session")
	renew()
	touched := readStats(b, db)
	spent := backends(b, cluster)
	renew()
	again := readStats(b, db)
	record := float64(again.wal-touched.wal) / sessions
	b.ReportMetric(record, "WAL-B/renewal")
	b.ReportMetric((float64(touched.wal-before.wal)/sessions-record)*rows, "WAL-B/page")
	b.ReportMetric(float64((backends(b, cluster)-spent).Microseconds())/sessions, "db-µs/renewal")

	const few = 2000
	inParallel(b, clients, few, func(i int) error { return db.Sessions().Create(context.Background(), benchSession(sessions+i)) })
	created := readStats(b, db)
	b.ReportMetric(float64(created.wal-again.wal)/few, "WAL-B/sign-in")
	inParallel(b, clients, few, func(i int) error {
		s := benchSession(sessions + i)
		return db.Sessions().End(context.Background(), s.ID, session.End{Reason: "signed_out", At: time.UnixMilli(1_790_000_000_000)},
			events.Event{At: time.UnixMilli(1_790_000_000_000), Kind: "session.ended", UserID: s.UserID, SessionID: s.ID.String(),
				Data: fmt.Appendf(nil, `{"session_id":"%s","reason":"signed_out"}`, s.ID)})
	})
	b.ReportMetric(float64(readStats(b, db).wal-created.wal)/few, "WAL-B/end")
}

// backends is the processor time of the cluster's processes, those that have ended
// included (Linux).
func backends(b *testing.B, c *pgtest.Cluster) (total time.Duration) {
	b.Helper()
	pid, err := os.ReadFile(filepath.Join(c.Dir(), "data", "postmaster.pid"))
	must(b, err)
	first, _, _ := strings.Cut(string(pid), "\n")
	children, err := os.ReadFile("/proc/" + first + "/task/" + first + "/children")
	must(b, err)
	const tick = 10 * time.Millisecond // of /proc, on every Linux that Go knows
	for _, p := range append(strings.Fields(string(children)), first) {
		stat, err := os.ReadFile("/proc/" + p + "/stat")
		if err != nil {
			continue // it has just ended, and the first process has its time
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)[11:15] // utime, stime, cutime, cstime
		if p != first {
			fields = fields[:2]
		}
		for _, f := range fields {
			n, err := strconv.ParseInt(f, 10, 64)
			must(b, err)
			total += time.Duration(n) * tick
		}
	}
	return total
}
