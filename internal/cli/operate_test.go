package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/wire"
)

const guideFile = "../../docs/operate.md"

// step is one piece of the guide that the test does something with.
type step struct {
	section string
	kind    string // sh, clients, or another language
	arg     string // of a file: its name; of clients: where they go
	text    string
	line    int
}

var (
	fence   = regexp.MustCompile("^```(\\w+)(?: (\\S+))?$")
	clients = regexp.MustCompile(`^<!-- clients (\S+) -->$`)
)

// readGuide takes the guide apart; ports are replaced by free ones.
func readGuide(t *testing.T, ports *strings.Replacer) []step {
	t.Helper()
	return readSteps(t, guideFile, ports)
}

func readSteps(t *testing.T, file string, ports *strings.Replacer) (steps []step) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section, open := "", -1
	for i, line := range strings.Split(ports.Replace(string(data)), "\n") {
		switch {
		case open >= 0 && line == "```":
			open = -1
		case open >= 0:
			steps[open].text += line + "\n"
		case fence.MatchString(line):
			m := fence.FindStringSubmatch(line)
			open = len(steps)
			steps = append(steps, step{section: section, kind: m[1], arg: m[2], line: i + 1})
		case strings.HasPrefix(line, "## "):
			section = strings.TrimPrefix(line, "## ")
		case clients.MatchString(line):
			steps = append(steps, step{section: section, kind: "clients", arg: clients.FindStringSubmatch(line)[1], line: i + 1})
		}
	}
	return steps
}

// freePorts returns a number q such that q1, q2 and q3 are free ports.
func freePorts(t *testing.T) string {
	t.Helper()
	for range 200 {
		q := 1100 + rand.IntN(2000) // below the ports that the system gives out itself
		ok := true
		for n := range 3 {
			ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d%d", q, n+1))
			if ok = ok && err == nil; err == nil {
				_ = ln.Close()
			}
		}
		if ok {
			return fmt.Sprint(q)
		}
	}
	t.Fatal("there are no free ports")
	return ""
}

// shell is one shell that runs the commands of the guide.
type shell struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // of what it prints
	out   lockedBuffer
}

func newShell(t *testing.T, dir string, env ...string) *shell {
	t.Helper()
	s := &shell{t: t, lines: make(chan string, 1024)}
	s.cmd = exec.Command("bash", "-eu", "-o", "pipefail")
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), env...)
	var err error
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	go func() {
		defer close(s.lines)
		defer r.Close()
		for sc := bufio.NewScanner(r); sc.Scan(); {
			_, _ = s.out.Write(append(sc.Bytes(), '\n'))
			s.lines <- sc.Text()
		}
	}()
	t.Cleanup(func() {
		_ = s.stdin.Close()
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	return s
}

// run runs commands to their end.
func (s *shell) run(st step) {
	s.t.Helper()
	const done, failed = "operate-guide-step-done", "operate-guide-step-failed"
	if _, err := io.WriteString(s.stdin, "trap 'echo "+failed+"' EXIT\n"+st.text+"echo "+done+"\n"); err != nil {
		s.t.Fatalf("line %d: %v\n%s", st.line, err, s.out.String())
	}
	late := time.NewTimer(2 * time.Minute)
	defer late.Stop()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok || line == failed {
				s.t.Fatalf("the commands at line %d of the guide failed (%s):\n%s\nall output:\n%s", st.line, st.section, st.text, s.out.String())
			}
			if line == done {
				return
			}
		case <-late.C:
			s.t.Fatalf("the commands at line %d of the guide do not end:\n%s\nall output:\n%s", st.line, st.text, s.out.String())
		}
	}
}

// guests are clients that renew all the time, each its own session.
type guests struct {
	t       *testing.T
	url     string
	renewed atomic.Int64
	failed  atomic.Int64 // answers that were lost, or said "later"
	stop    context.CancelFunc
	running sync.WaitGroup
}

func newGuests(t *testing.T, url string, n int) *guests {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	g := &guests{t: t, url: url, stop: cancel}
	for i := range n {
		r := rotator{token: signInAt(t, url)}
		g.running.Go(func() {
			addr := strings.TrimPrefix(url, "http://")
			for ctx.Err() == nil {
				before := r.renewed
				if refused := r.renew(ctx, addr); refused != "" && ctx.Err() == nil {
					t.Errorf("client %d of %s was signed out after %d renewals: %s", i, url, r.renewed, refused)
					return
				}
				if r.renewed > before {
					g.renewed.Add(1)
				} else if ctx.Err() == nil {
					g.failed.Add(1)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	return g
}

func signInAt(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Post(url+"/auth/login", "application/json", strings.NewReader(`{"username":"alice","password":"alice-password","delivery":"body"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	var a wire.TokenResponse
	if err := json.Unmarshal(body, &a); err != nil || a.RefreshToken == "" {
		t.Fatalf("sign-in at %s: %d %s", url, resp.StatusCode, body)
	}
	return a.RefreshToken
}

// goOn waits until all of them have renewed once more.
func (g *guests) goOn() {
	g.t.Helper()
	for target, n := g.renewed.Load()+40, 0; g.renewed.Load() < target; n++ {
		if n == 600 || g.t.Failed() {
			g.t.Fatalf("the clients of %s do not renew any more", g.url)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestOperateGuide does what docs/operate.md says, to the letter but for the
// ports, while clients renew: none is signed out, and in a rolling restart none
// even notices.
func TestOperateGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL, nginx and a dozen nodes")
	}
	operateGuide(t, func(*pgtest.Cluster) (database string) { return "$PGHOST:$PGPORT" })
}

// operateGuide is TestOperateGuide with nodes that reach the database there.
func operateGuide(t *testing.T, at func(*pgtest.Cluster) (database string)) {
	cluster, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Remove(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	sh := newShell(t, dir, guideEnv(t, cluster)...)
	nodes, admin, web := freePorts(t), freePorts(t), freePorts(t)+"1"
	steps := readGuide(t, strings.NewReplacer("@$PGHOST:$PGPORT/", "@"+at(cluster)+"/", "127.0.0.1:808", "127.0.0.1:"+nodes, "localhost:808", "localhost:"+nodes, "127.0.0.1:908", "127.0.0.1:"+admin,
		"127.0.0.1:8000", "127.0.0.1:"+web, "localhost:8000", "localhost:"+web))
	t.Cleanup(func() { // what is left if it fails
		for _, pid := range pidsOf(filepath.Join(dir, "try-tacet")) {
			_ = exec.Command("kill", "-TERM", pid).Run()
		}
	})
	var crowd []*guests
	ran := 0
	for _, st := range steps {
		switch {
		case st.kind == "sh":
			if st.section == "The end" {
				for _, g := range crowd {
					g.stop()
					g.running.Wait()
				}
			}
			var before int64
			if len(crowd) > 0 {
				before = crowd[0].failed.Load()
			}
			sh.run(st)
			ran++
			if st.section == "The end" {
				continue
			}
			for _, g := range crowd {
				g.goOn()
			}
			if n := crowdFailures(crowd) - before; strings.HasPrefix(st.section, "Rolling") && n > 0 {
				t.Errorf("line %d: %d renewals were not answered in a rolling restart", st.line, n)
			}
		case st.kind == "clients":
			crowd = append(crowd, newGuests(t, st.arg, 10))
		case st.arg != "":
			if err := os.WriteFile(filepath.Join(dir, "try-tacet", st.arg), []byte(st.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if ran < 15 || len(crowd) != 2 {
		t.Errorf("the guide has only %d pieces to run, and clients at %d places", ran, len(crowd))
	}
	for _, g := range crowd {
		t.Logf("%s: %d renewals, %d not answered", g.url, g.renewed.Load(), g.failed.Load())
	}
	if out := sh.out.String(); !regexp.MustCompile(`caught_up"\} [1-9]`).MatchString(out) {
		t.Errorf("after the restore nobody was ahead of the backup:\n%s", out)
	}
}

func crowdFailures(crowd []*guests) int64 {
	if len(crowd) == 0 {
		return 0
	}
	return crowd[0].failed.Load()
}

func pidsOf(dir string) (pids []string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			pids = append(pids, strings.TrimSpace(string(b)))
		}
	}
	return pids
}

// guideEnv is what the guide expects to be there: the programs, and the
// variables of PostgreSQL.
func guideEnv(t *testing.T, cluster *pgtest.Cluster) []string {
	t.Helper()
	path := []string{programDir(t), os.Getenv("PATH"), "/usr/sbin"}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	host, port, err := net.SplitHostPort(cluster.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + strings.Join(append(path, found...), ":"), "PGHOST=" + host, "PGPORT=" + port, "PGUSER=tacet", "PGDATABASE=postgres"}
}

// programDir is a directory with the program tacet in it.
func programDir(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nunset TACET_DEEP TACET_SOAK TACET_URL\n" + asProgram + "=1 exec '" + program + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "tacet"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return bin
}

// What the guide shows of Prometheus is not run, but it is right.
func TestOperateGuideShowsWhatWorks(t *testing.T) {
	var scrape bool
	for _, st := range readGuide(t, strings.NewReplacer()) {
		if st.kind == "yaml" {
			var tree map[string]any
			if err := yaml.Unmarshal([]byte(st.text), &tree); err != nil {
				t.Errorf("line %d: %v", st.line, err)
			}
			_, is := tree["scrape_configs"]
			scrape = scrape || is
		}
	}
	if !scrape {
		t.Error("the guide lost its scrape configuration")
	}
}

// TestTheUnitOfTheGuide: systemd understands all of it, finds it hardened, and what
// it starts runs with / as its directory.
func TestTheUnitOfTheGuide(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is not installed; run: scripts/need systemd-analyze")
	}
	var unit, settings string
	for _, st := range readGuide(t, strings.NewReplacer()) {
		if st.kind == "ini" {
			unit = st.text
		} else if st.arg == "tacet.yaml" {
			settings = st.text
		}
	}
	bin, etc := t.TempDir(), t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/usr/local/bin/tacet"
	if !strings.Contains(unit, "ExecStart="+installed+" ") || settings == "" {
		t.Fatal("the guide lost its unit or its settings")
	}
	service := filepath.Join(bin, "tacet@1.service")
	if err := os.WriteFile(service, []byte(strings.Replace(unit, installed, self, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", service).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", service).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}

	cluster, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Remove(); err != nil {
			t.Error(err)
		}
	})
	for name, text := range map[string]string{"tacet.yaml": settings, "database-url": cluster.URL() + "\n", "master.key": strings.Repeat("0123456789abcdef", 4) + "\n"} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, line, _ := strings.Cut(unit, "ExecStart="+installed+" ")
	line, _, _ = strings.Cut(line, "\n")
	nodes, admin := freePorts(t), freePorts(t)
	args := strings.Fields(strings.NewReplacer("/etc/tacet", etc, "127.0.0.1:808%i", "127.0.0.1:"+nodes+"1", "127.0.0.1:908%i", "127.0.0.1:"+admin+"1").Replace(line))
	node := &program{t: t, addr: "127.0.0.1:" + nodes + "1", dir: "/", args: args, log: &lockedBuffer{}}
	t.Cleanup(node.kill)
	node.start()
	if _, err := os.Stat("/tacet-data"); err == nil {
		t.Error("the node has made a directory in /")
	}
}

// Every alert names a place in the guide that says what to do.
func TestAlertsLeadToTheGuide(t *testing.T) {
	guide, err := os.ReadFile(guideFile)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../docs/prometheus/tacet.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(data), -1) {
		if !strings.Contains(string(data), "docs/operate.md#"+strings.ToLower(m[1])) || !strings.Contains(string(guide), "\n#### "+m[1]+"\n") {
			t.Errorf("the alert %s does not lead to a paragraph of docs/operate.md", m[1])
		}
	}
}
