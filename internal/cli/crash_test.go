package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// program is the server as a process that can be killed and started again.
type program struct {
	t    testing.TB
	addr string
	args []string
	path string   // of another program than this one
	dir  string   // that it runs in; empty: this one's
	env  []string // beyond that of the test
	log  *lockedBuffer
	cmd  *exec.Cmd
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newProgram is "tacet serve" on a data directory, at an address that stays.
func newProgram(t testing.TB, dir string, flags ...string) *program {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	p := &program{t: t, addr: addr, log: &lockedBuffer{},
		args: append([]string{"serve", "--listen", addr, "--data", dir}, flags...)}
	t.Cleanup(func() { p.kill() })
	return p
}

// command is the program with these arguments as another process.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// Settings of tests are none of the program's, which would not know them.
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "TACET_SOAK=") || strings.HasPrefix(kv, "TACET_DEEP=")
	})
	cmd.Env = append(env, asProgram+"=1")
	return cmd
}

func (p *program) command(args ...string) *exec.Cmd {
	cmd := command(args...)
	if p.path != "" {
		cmd.Path = p.path
	}
	cmd.Env = append(cmd.Env, p.env...)
	cmd.Dir = p.dir
	return cmd
}

func (p *program) start() {
	p.t.Helper()
	p.cmd = p.command(p.args...)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for range 600 {
		if r, err := http.Get("http://" + p.addr + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("the server did not start:\n%s", p.log)
}

func (p *program) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// seedSessions opens n sessions in a data directory at rest, without the cost of
// n password checks, and returns their refresh tokens.
func seedSessions(t *testing.T, dir string, n int) []string {
	t.Helper()
	a, err := app.Open(t.Context(), app.Config{PublicURL: "http://localhost", DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	u, err := a.Directory.Add(t.Context(), directory.NewUser{Name: "alice", Password: "alice-password"})
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]string, n)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			g, err := a.Sessions.Start(t.Context(), session.SignIn{UserID: u.ID, Client: session.Client{ID: "test"}})
			if err != nil {
				t.Error(err)
			}
			tokens[i] = g.RefreshToken
		})
	}
	wg.Wait()
	return tokens
}

// rotator is a client that renews as fast as it can and, when an answer is lost,
// does nothing cleverer than to try again with what it has.
type rotator struct {
	token   string
	access  string // of the last renewal
	renewed int
}

// renew makes one attempt; refused is set when the server says that the session
// is over.
func (r *rotator) renew(ctx context.Context, addr string) (refused string) {
	body := fmt.Sprintf(`{"refresh_token":%q}`, r.token)
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+addr+"/auth/refresh", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "" // lost: try again
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode >= 500:
		return ""
	case resp.StatusCode != http.StatusOK:
		return fmt.Sprintf("%d %s", resp.StatusCode, data)
	}
	var a wire.TokenResponse
	if err := json.Unmarshal(data, &a); err != nil {
		return err.Error()
	}
	if a.RefreshToken != "" {
		r.token = a.RefreshToken
	}
	r.access = a.AccessToken
	r.renewed++
	return ""
}

// me uses an access token and returns the status, 0 if there was no answer.
func me(ctx context.Context, addr, access string) int {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/auth/me", nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+access)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// kill -9 in the middle of 200 rotating clients, ten times: nobody is signed
// out and no acknowledged write is missing.
func TestKillNineSignsNobodyOut(t *testing.T) {
	const clients, kills, between = 200, 10, 300
	dir := t.TempDir()
	tokens := seedSessions(t, dir, clients)
	p := newProgram(t, dir)
	p.start()

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var renewals atomic.Int64
	var stopped atomic.Bool
	rotators := make([]rotator, clients)
	var wg sync.WaitGroup
	for i := range rotators {
		r := &rotators[i]
		r.token = tokens[i]
		wg.Go(func() {
			for !stopped.Load() && ctx.Err() == nil {
				before := r.renewed
				if refused := r.renew(ctx, p.addr); refused != "" {
					t.Errorf("client %d was signed out after %d renewals: %s", i, r.renewed, refused)
					return
				}
				if r.renewed == before {
					time.Sleep(20 * time.Millisecond) // the server is down
				} else {
					renewals.Add(1)
				}
			}
		})
	}
	for range kills {
		for target := renewals.Load() + between; renewals.Load() < target && ctx.Err() == nil && !t.Failed(); {
			time.Sleep(5 * time.Millisecond)
		}
		p.kill()
		p.start()
	}
	stopped.Store(true)
	wg.Wait()
	for i := range rotators { // and each goes on
		before := rotators[i].renewed
		if refused := rotators[i].renew(ctx, p.addr); refused != "" || rotators[i].renewed == before {
			t.Errorf("client %d can't renew after the last restart: %s", i, refused)
		}
	}
	// A store that had forgotten an acknowledged renewal would say so.
	if strings.Contains(p.log.String(), "caught_up") {
		t.Error("the store has forgotten acknowledged writes")
	}
	t.Logf("%d renewals by %d clients over %d kills", renewals.Load(), clients, kills)
}

// A stop on request cuts nobody off: every answer that was begun arrives.
func TestGracefulStopCutsNoRequest(t *testing.T) {
	dir := t.TempDir()
	tokens := seedSessions(t, dir, 50)
	p := newProgram(t, dir)
	p.start()
	var wg sync.WaitGroup
	var renewals atomic.Int64
	for i := range tokens {
		wg.Go(func() {
			r := rotator{token: tokens[i]}
			for {
				before := r.renewed
				if refused := r.renew(t.Context(), p.addr); refused != "" {
					t.Errorf("client %d: %s", i, refused)
					return
				}
				if r.renewed == before {
					return // the listener is gone
				}
				renewals.Add(1)
			}
		})
	}
	for renewals.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := p.cmd.Wait()
	p.cmd = nil
	wg.Wait()
	if err != nil {
		t.Errorf("the server ended with %v:\n%s", err, p.log)
	}
	if !strings.Contains(p.log.String(), "every acknowledged write is on disk") {
		t.Errorf("the log does not say that all is well:\n%s", p.log)
	}
}
