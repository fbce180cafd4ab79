package suite

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/bench/proc"
	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/sqlite"
	"github.com/tacet-dev/tacet/rotation"
)

const (
	// fewSessions is the small database that the large one is compared with.
	fewSessions = 1000
	// writersAtOnce fill the store, so that it commits in groups.
	writersAtOnce = 256
	// renewalsEach is how often each session is renewed to see growth.
	renewalsEach = 3
	// userAgents is how many different ones the sessions have.
	userAgents = 500
)

// filled is a data directory with sessions, and what it takes.
type filled struct {
	dir      string
	Sessions int   `json:"sessions"`
	Empty    int64 `json:"empty"`   // bytes of the database without sessions
	Created  int64 `json:"created"` // with them
	Renewed  int64 `json:"renewed"` // after renewalsEach renewals of each
}

func (f filled) each(bytes int64) float64 { return float64(bytes-f.Empty) / float64(f.Sessions) }

// started is one start of a server on a filled directory.
type started struct {
	Ready time.Duration `json:"ready_ns"` // from exec to listening
	RSS   int64         `json:"rss"`
}

func runSize(ctx context.Context, e *Env, sec *report.Section) error {
	few, err := fill(ctx, e, min(fewSessions, e.Sessions))
	if err != nil {
		return err
	}
	many, err := fill(ctx, e, e.Sessions)
	if err != nil {
		return err
	}
	starts := map[int][]started{}
	for round := range e.Rounds + 1 {
		for i, f := range []filled{few, many} {
			s, err := startOn(ctx, e, f.dir, nil)
			if err != nil {
				return err
			}
			if round == 0 {
				continue // the first start makes the keys
			}
			e.Progress("start on %s sessions, round %d: %v, RSS %s MiB", report.Count(float64(f.Sessions)), round, s.Ready.Round(time.Millisecond), report.MB(float64(s.RSS)))
			starts[i] = append(starts[i], s)
		}
	}
	writeSize(e, sec, few, many, starts[0], starts[1])
	return nil
}

// fill makes a data directory with n sessions of n users and renews each a few
// times, through the store as the server does.
func fill(ctx context.Context, e *Env, n int) (filled, error) {
	dir, err := e.tempDir("size")
	if err != nil {
		return filled{}, err
	}
	f := filled{dir: dir, Sessions: n}
	if f.Empty, err = inStore(ctx, dir, 0, nil); err != nil {
		return f, err
	}
	e.Progress("create %s sessions", report.Count(float64(n)))
	sessions := make([]session.Session, n)
	now := time.Now().Add(-time.Hour)
	f.Created, err = inStore(ctx, dir, n, func(db *sqlite.DB, i int) error {
		sessions[i] = newSession(i, now.Add(time.Duration(i)*time.Millisecond))
		return db.Sessions().Create(ctx, sessions[i])
	})
	if err != nil {
		return f, err
	}
	for r := range renewalsEach {
		e.Progress("renew each, %d of %d", r+1, renewalsEach)
		f.Renewed, err = inStore(ctx, dir, n, func(db *sqlite.DB, i int) (err error) {
			s := sessions[i]
			var tag rotation.Tag
			rand.Read(tag[:])
			child := rotation.Child(s.ID, s.State.Head, tag)
			sessions[i], err = db.Sessions().Move(ctx, session.Move{
				ID: s.ID, Condition: s.State.Condition(), At: time.Now(), Contact: s.Contact,
				Head: rotation.Head{Generation: child.Generation, Tag: child.Tag, Parent: child.Parent},
			})
			return err
		})
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// newSession is like one that a sign-in starts: an id that begins with the
// time, a user of its own, an address, one of a few hundred user agents.
func newSession(i int, at time.Time) session.Session {
	var random [40]byte
	rand.Read(random[:])
	var id rotation.SessionID
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16)
	copy(id[6:], random[:10])
	var tag rotation.Tag
	copy(tag[:], random[10:18])
	address := netip.AddrFrom4([4]byte(random[18:22]))
	if i%2 == 1 {
		address = netip.AddrFrom16([16]byte(random[18:34]))
	}
	return session.Session{
		ID:       id,
		UserID:   "usr_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[24:40])),
		ClientID: "tacet-web",
		State:    rotation.State{Head: rotation.Root(tag), HeadAt: at, CreatedAt: at},
		Contact: session.Contact{
			Address:   address.Unmap(),
			UserAgent: fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 100+i%userAgents),
		},
	}
}

// startOn starts a server on a data directory, lets it settle and stops it.
func startOn(ctx context.Context, e *Env, dir string, db *database) (started, error) {
	program, err := e.program(ctx, "tacet")
	if err != nil {
		return started{}, err
	}
	from := time.Now()
	r, err := serveTacet(ctx, program, dir, db)
	if err != nil {
		return started{}, err
	}
	s := started{Ready: time.Since(from)}
	time.Sleep(settle)
	u, err := proc.ReadUsage(r.Pids[0])
	s.RSS = u.RSS
	if stopped := r.Stop(); err == nil {
		err = stopped
	}
	return s, err
}

// settle is how long a server is left alone before its memory is read.
const settle = time.Second

func writeSize(e *Env, sec *report.Section, few, many filled, startFew, startMany []started) {
	ready := func(ss []started) (out []float64) {
		for _, s := range ss {
			out = append(out, float64(s.Ready))
		}
		return out
	}
	rss := func(ss []started) (out []float64) {
		for _, s := range ss {
			out = append(out, float64(s.RSS))
		}
		return out
	}
	t := report.Table{Header: []string{"sessions", "B each on disk", "B each after renewals", "database MiB", "start-up ms", "idle RSS MiB"}}
	for _, row := range []struct {
		f filled
		s []started
	}{{few, startFew}, {many, startMany}} {
		t.Rows = append(t.Rows, []string{report.Count(float64(row.f.Sessions)), report.Count(row.f.each(row.f.Created)),
			report.Count(row.f.each(row.f.Renewed)), report.MB(float64(row.f.Renewed)),
			report.Millis(report.Median(ready(row.s))), report.MB(report.Median(rss(row.s)))})
	}
	n := report.Count(float64(many.Sessions))
	slower := report.Median(report.Ratios(ready(startMany), ready(startFew)))
	memory := (report.Median(rss(startMany)) - report.Median(rss(startFew))) / float64(many.Sessions-few.Sessions)
	sec.Tables = []report.Table{t}
	sec.Samples = map[string]any{"few": few, "many": many, "starts_few": startFew, "starts_many": startMany}
	sec.Settings = fmt.Sprintf("%d interleaved starts on each database, medians.", e.Rounds)
	sec.Notes = []string{
		fmt.Sprintf("Sessions are of as many users, half of them with IPv6 addresses, with %d different user agents; all indexes are counted, the empty database is not. Each was renewed %d times.", userAgents, renewalsEach),
		fmt.Sprintf("Memory per session of an idle server: %.1f B (the difference of the two servers' RSS %v after the start). Start-up is from exec to listening.", memory, settle),
	}
	perSession := many.each(many.Renewed)
	growth := float64(many.Renewed-many.Created) / float64(many.Created)
	sec.Targets = []report.Target{
		{What: "bytes per session on disk, all indexes, " + n + " sessions", Reference: "345 B (PostgreSQL)", Goal: "≤ 250", Measured: report.Count(perSession), Met: perSession <= 250},
		{What: fmt.Sprintf("growth on disk after %d renewals of each session", renewalsEach), Reference: "–", Goal: "none", Measured: fmt.Sprintf("%+.1f %%", 100*growth), Met: growth < 0.01},
		report.AtMost("start-up with "+n+" sessions", "start-up with "+report.Count(float64(few.Sessions)), 1.2, slower),
	}
}
