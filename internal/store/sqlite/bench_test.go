package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"net/netip"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// benchSession looks like the real thing: a UUIDv7, a user with a 36-character
// id, one of a few hundred user agents.
func benchSession(n int) session.Session {
	var id rotation.SessionID
	binary.BigEndian.PutUint64(id[:], uint64(1_790_000_000_000+n)<<16)
	id[6] = 0x70 | id[6]&0x0f
	binary.BigEndian.PutUint64(id[8:], uint64(n)*0x9e3779b97f4a7c15)
	at := time.UnixMilli(1_790_000_000_000 + int64(n))
	var user [16]byte
	binary.BigEndian.PutUint64(user[:], uint64(n/2)*0xd1342543de82ef95)
	return session.Session{
		ID: id, UserID: rotation.SessionID(user).String(), ClientID: "web",
		State: rotation.State{Head: rotation.Root(rotation.Tag(id[8:])), HeadAt: at, CreatedAt: at},
		Contact: session.Contact{Address: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
			UserAgent: fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", n%300)},
	}
}

// fill makes n sessions.
func fill(b testing.TB, st session.Store, n int) {
	const workers = 128
	var running sync.WaitGroup
	var next atomic.Int64
	for range workers {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := st.Create(context.Background(), benchSession(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

func openBench(b *testing.B) *DB {
	db, err := Open(b.Context(), b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMove renews: k clients, each with a session of its own, among many.
// Sessions that renew at the same time lie apart in the table, as they do in
// life (spread), or beside each other, as in a benchmark that has just started.
func BenchmarkMove(b *testing.B) {
	for _, c := range []struct {
		k, sessions int
	}{{1, 1000}, {128, 128}, {128, 100_000}} {
		b.Run(fmt.Sprintf("k=%d/sessions=%d", c.k, c.sessions), func(b *testing.B) {
			db := openBench(b)
			st := db.Sessions()
			fill(b, st, c.sessions)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			var running sync.WaitGroup
			all := make(chan []time.Duration, c.k)
			for i := range c.k {
				running.Go(func() {
					step := c.sessions / c.k
					var own []session.Session
					var took []time.Duration
					for j := range min(step, 64) {
						own = append(own, benchSession(i*step+j*max(step/64, 1)))
					}
					for n := 0; left.Add(-1) >= 0; n++ {
						s := &own[n%len(own)]
						h := rotation.Head{Generation: s.State.Head.Generation + 1, Parent: s.State.Head.Tag}
						binary.BigEndian.PutUint64(h.Tag[:], uint64(n)*0x9e3779b97f4a7c15)
						g := s.State.Condition()
						g.HeadAfter = s.State.HeadAt.Add(-time.Hour)
						g.CreatedAfter = s.State.CreatedAt.Add(-time.Hour)
						var err error
						called := time.Now()
						*s, err = st.Move(b.Context(), session.Move{ID: s.ID, Condition: g, Head: h, At: s.State.HeadAt.Add(time.Second), Contact: s.Contact})
						if err != nil {
							b.Error(err)
							return
						}
						took = append(took, time.Since(called))
					}
					all <- took
				})
			}
			running.Wait()
			b.StopTimer()
			reportLatency(b, all)
			b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e3, "cpu-µs/op")
			wal, err := os.Stat(db.Path() + "-wal")
			if err == nil {
				b.ReportMetric(float64(wal.Size())/1e6, "wal-MB")
			}
		})
	}
}

func reportLatency(b *testing.B, all chan []time.Duration) {
	close(all)
	var took []time.Duration
	for t := range all {
		took = append(took, t...)
	}
	slices.Sort(took)
	if len(took) > 0 {
		b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
		b.ReportMetric(float64(took[len(took)-1])/1e6, "max-ms")
	}
}

// BenchmarkOpen opens a database with many sessions. ns/op must not depend on
// their number; bytes/session is the whole file, with its indexes.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n, " sessions"), func(b *testing.B) {
			dir := b.TempDir()
			db, err := Open(b.Context(), dir, Options{})
			if err != nil {
				b.Fatal(err)
			}
			empty := fileSize(b, dir)
			fill(b, db.Sessions(), n)
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			size := fileSize(b, dir)
			b.ResetTimer()
			for b.Loop() {
				db, err := Open(b.Context(), dir, Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(size-empty)/float64(n), "bytes/session")
		})
	}
}

func fileSize(b testing.TB, dir string) int64 {
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
