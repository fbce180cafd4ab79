package cli

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// buildNewer builds this program with a migration that no release has.
func buildNewer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path, overlay := filepath.Join(dir, "tacet-newer"), filepath.Join(dir, "overlay.json")
	added, err := filepath.Abs("../store/postgres/migrations/99999_newer.sql")
	if err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs("testdata/newer.sql")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {added: file}})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "build", "-overlay", overlay, "-ldflags", "-s -w", "-o", path, "../../cmd/tacet").CombinedOutput()
	if err != nil {
		t.Fatalf("build the newer program: %v\n%s", err, out)
	}
	return path
}

// stop ends a node as a rolling restart does.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the node did not end well: %v\n%s", err, p.log)
	}
	p.cmd = nil
}

// fleet are clients that renew at the nodes in turn, and check every access
// token at another one.
type fleet struct {
	t       *testing.T
	nodes   []*program
	stopped atomic.Bool
	renewed atomic.Int64
	running sync.WaitGroup
}

func (f *fleet) start(ctx context.Context, tokens []string) {
	for i := range tokens {
		r := &rotator{token: tokens[i]}
		f.running.Go(func() {
			for n := i; !f.stopped.Load() && ctx.Err() == nil; n++ {
				before := r.renewed
				if refused := r.renew(ctx, f.nodes[n%len(f.nodes)].addr); refused != "" {
					f.t.Errorf("client %d was signed out after %d renewals: %s", i, r.renewed, refused)
					return
				}
				if r.renewed == before {
					time.Sleep(5 * time.Millisecond) // that node is down: the next one
					continue
				}
				f.renewed.Add(1)
				if status := me(ctx, f.nodes[(n+1)%len(f.nodes)].addr, r.access); status == 401 || status == 403 {
					f.t.Errorf("client %d: a node refuses the access token of another: %d", i, status)
				}
			}
		})
	}
}

// more waits until the clients have renewed n times more.
func (f *fleet) more(ctx context.Context, n int64) {
	f.t.Helper()
	for target := f.renewed.Load() + n; f.renewed.Load() < target && ctx.Err() == nil && !f.t.Failed(); {
		time.Sleep(5 * time.Millisecond)
	}
	if ctx.Err() != nil {
		f.t.Fatal("the clients have come to a standstill")
	}
	if f.t.Failed() {
		f.t.FailNow()
	}
}

// TestRollingUpgrade: nodes of two versions side by side, and the way back,
// under clients that renew and use what they get all the time. The newer version
// is this program with one more migration.
func TestRollingUpgrade(t *testing.T) {
	const clients, between = 40, 100
	cluster, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Remove(); err != nil {
			t.Error(err)
		}
	})
	url, master := cluster.Schema(t), strings.Repeat("0123456789abcdef", 4)
	tokens := seedDatabase(t, url, master, clients)
	env := []string{"TACET_DATABASE_URL=" + url, "TACET_MASTER_KEY=" + master}
	newer := buildNewer(t)
	f := &fleet{t: t}
	for range 2 {
		p := newProgram(t, t.TempDir(), "--public-url", "http://localhost")
		p.env = env
		p.start()
		f.nodes = append(f.nodes, p)
	}
	old, other := f.nodes[0], f.nodes[1]
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	f.start(ctx, tokens)
	restart := func(p *program, path string) {
		t.Helper()
		p.stop()
		p.path = path
		p.start()
		f.more(ctx, between)
	}
	f.more(ctx, between)

	t.Log("one node is upgraded; another of the older version goes on, and starts again")
	restart(other, newer)
	restart(old, "")
	status := old.run("migrate", "status")
	if !strings.Contains(status, "newer, and this program can run on it") {
		t.Errorf("status by the older program: %s", status)
	}
	t.Log("all are, two of them at once")
	old.stop()
	other.stop()
	old.path = newer
	var starting sync.WaitGroup
	starting.Go(old.start)
	starting.Go(other.start)
	starting.Wait()
	f.more(ctx, between)

	t.Log("and back: older nodes first, then the schema under them")
	restart(old, "")
	restart(other, "")
	p := program{t: t, path: newer, env: env}
	if out := p.run("migrate", "status"); !strings.Contains(out, "up to date; so can older ones") {
		t.Errorf("status by the newer program: %s", out)
	}
	_, back, _ := strings.Cut(status, "this program has ")
	back, _, _ = strings.Cut(back, ":")
	p.run("migrate", "down", "--to", back)
	f.more(ctx, between)
	restart(old, "")
	f.stopped.Store(true)
	f.running.Wait()
	if out := old.run("migrate", "status"); !strings.Contains(out, "has version "+back+", this program has "+back+": up to date") {
		t.Errorf("after the way back: %s", out)
	}
	for i, node := range f.nodes {
		if strings.Contains(node.log.String(), "reuse_detected") || strings.Contains(node.log.String(), "caught_up") {
			t.Errorf("node %d has taken somebody for a thief, or missed writes:\n%s", i, node.log)
		}
	}
	t.Logf("%d renewals by %d clients", f.renewed.Load(), clients)
}

// seedDatabase is seedSessions for a database.
func seedDatabase(t *testing.T, url, master string, n int) []string {
	t.Helper()
	a, err := app.Open(t.Context(), app.Config{PublicURL: "http://localhost", DatabaseURL: url, MasterKey: master, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	u, err := a.Directory.Add(t.Context(), directory.NewUser{Name: "alice", Password: "alice-password"})
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]string, n)
	for i := range tokens {
		g, err := a.Sessions.Start(t.Context(), session.SignIn{UserID: u.ID, Client: session.Client{ID: "test"}})
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = g.RefreshToken
	}
	return tokens
}
