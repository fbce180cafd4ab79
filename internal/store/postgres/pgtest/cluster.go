// Package pgtest runs PostgreSQL clusters of their own for tests and
// benchmarks: made by initdb in a temporary directory, listening on loopback
// and on a socket in that directory, stopped and removed at the end. None that
// is already running is ever used.
//
// PostgreSQL does not run as root; there, the cluster belongs to the user
// postgres that Debian's package makes. If the programs are missing, the error
// says how to get them.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a PostgreSQL server with its data.
type Cluster struct {
	dir      string // removed by Remove
	port     int
	settings []string
	owner    *syscall.SysProcAttr

	cmd   *exec.Cmd
	stay  io.Closer    // closed: the server stops
	ended <-chan error // of cmd
}

// superuser owns the cluster and needs no password on loopback.
const superuser = "tacet"

// startTimeout is generous: the machine may be busy.
const startTimeout = 60 * time.Second

// New makes a cluster and starts it. settings are like "fsync=off", after those
// that keep a test cluster small. End it with Remove.
func New(settings ...string) (*Cluster, error) {
	c, err := empty(settings)
	if err != nil {
		return nil, err
	}
	// Names in ICU's order by default: the store must not depend on it.
	err = c.run("initdb", "-D", c.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions",
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en")
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	return c, nil
}

// empty makes the directory of a cluster.
func empty(settings []string) (*Cluster, error) {
	c := &Cluster{settings: settings}
	if _, err := program("postgres"); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tacet-pg-")
	if err != nil {
		return nil, err
	}
	c.dir = dir
	if os.Geteuid() == 0 {
		if err := c.disown(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return c, nil
}

// disown gives the directory to the user that the server will run as.
func (c *Cluster) disown() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres to run it as (run scripts/need postgres): %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c.owner = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(c.dir, int(uid), int(gid))
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// program finds one of PostgreSQL's programs: in the directory PGTEST_BIN, if that
// is set, to test with another version; Debian keeps them out of the PATH.
func program(name string) (string, error) {
	if dir := os.Getenv("PGTEST_BIN"); dir != "" {
		return exec.LookPath(filepath.Join(dir, name))
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is right
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL (%s) is not installed: run scripts/need postgres", name)
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return found[len(found)-1], nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 if it is none
	return n
}

// run runs one of PostgreSQL's programs to its end.
func (c *Cluster) run(name string, args ...string) error {
	path, err := program(name)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.SysProcAttr = c.dir, c.owner
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// supervisor runs the server until this process is gone, however it went: then
// its standard input, which the shell hides from what runs behind its back,
// comes to an end.
const supervisor = `exec 3<&0; "$@" 3<&- & pid=$!; (cat <&3 >/dev/null; kill -INT $pid) 2>/dev/null & wait $pid`

// Start starts the server, also again after Stop or Kill, at the same address,
// and waits until it answers.
func (c *Cluster) Start() error {
	if c.cmd != nil {
		return errors.New("the cluster is running")
	}
	path, err := program("postgres")
	if err != nil {
		return err
	}
	var last error
	for range 5 { // another process may take the port that was free
		if c.port == 0 {
			if c.port, err = FreePort(); err != nil {
				return err
			}
		}
		if last = c.start(path); last == nil {
			return nil
		}
		if !strings.Contains(c.Log(), "could not bind") {
			break
		}
		c.port = 0
	}
	return fmt.Errorf("start PostgreSQL: %w\n%s", last, c.Log())
}

func (c *Cluster) start(path string) error {
	args := []string{"-c", supervisor, "sh", path, "-D", c.data(), "-k", c.dir, "-p", strconv.Itoa(c.port)}
	for _, s := range append([]string{"listen_addresses=127.0.0.1", "shared_buffers=32MB", "max_connections=100", "max_wal_size=512MB",
		"restart_after_crash=off", "log_min_messages=warning"}, c.settings...) {
		args = append(args, "-c", s)
	}
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = c.dir, c.owner, log, log
	if c.stay, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd = cmd
	ended := make(chan error, 1)
	c.ended = ended
	go func() { ended <- cmd.Wait() }()
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		select {
		case err := <-ended:
			c.cmd = nil
			return fmt.Errorf("the server ended at once: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if c.ping() == nil {
			return nil
		}
	}
	return errors.Join(errors.New("the server does not respond"), c.Kill())
}

func (c *Cluster) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL())
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// FreePort returns a port on loopback that nobody listens on. It is below those
// that systems give to outgoing connections, so that none of these takes it
// while a server that is restarted is away.
func FreePort() (port int, err error) {
	for range 100 {
		port = 20000 + rand.IntN(12000)
		var ln net.Listener
		if ln, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, ln.Close()
		}
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}

func (c *Cluster) logFile() string { return filepath.Join(c.dir, "log") }

// Log is what the server has logged.
func (c *Cluster) Log() string {
	b, _ := os.ReadFile(c.logFile()) // none yet: nothing was logged
	return string(b)
}

// Addr is where the server listens.
func (c *Cluster) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// Dir is the cluster's directory.
func (c *Cluster) Dir() string { return c.dir }

// URL names the database postgres as the superuser.
func (c *Cluster) URL() string { return URL(c.Addr()) }

// URL is that of a cluster behind another address, such as a proxy's.
func URL(addr string) string {
	return "postgres://" + superuser + "@" + addr + "/postgres?sslmode=disable"
}

// Pid is that of the server's first process, whose children the others are.
func (c *Cluster) Pid() (int, error) {
	b, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strconv.Atoi(line)
}

// Stop ends the server in an orderly way (fast: connections are cut).
func (c *Cluster) Stop() error { return c.end(syscall.SIGINT) }

// Kill ends all processes of the server at once (SIGKILL), as a crash does.
func (c *Cluster) Kill() error { return c.end(syscall.SIGKILL) }

// Freeze makes the server stand still until Thaw: connections stay and nothing
// answers.
func (c *Cluster) Freeze() error { return c.signal(syscall.SIGSTOP) }

// Thaw is the end of Freeze.
func (c *Cluster) Thaw() error { return c.signal(syscall.SIGCONT) }

// signal sends sig to the first process and its children.
func (c *Cluster) signal(sig syscall.Signal) error {
	pid, err := c.Pid()
	if err != nil {
		return err
	}
	for _, p := range append(children(pid), pid) {
		if err := syscall.Kill(p, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

func children(pid int) (list []int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // elsewhere than on Linux they find out by themselves
	for _, f := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(f); err == nil {
			list = append(list, n)
		}
	}
	return list
}

func (c *Cluster) end(sig syscall.Signal) error {
	if c.cmd == nil {
		return nil
	}
	pid, err := c.Pid()
	if err != nil {
		return err
	}
	all := append(children(pid), pid)
	if sig == syscall.SIGKILL {
		slices.Reverse(all) // the first process before it can notice
		for _, p := range all {
			if err := syscall.Kill(p, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
	} else if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for slices.ContainsFunc(all, alive) {
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not end after %v", sig)
		}
		time.Sleep(2 * time.Millisecond)
	}
	_ = c.stay.Close()
	<-c.ended
	c.cmd = nil
	return nil
}

// alive reports whether the process runs; one that has ended and that nobody
// has asked for yet does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(after, "Z")
}

// Remove ends the server and deletes its directory.
func (c *Cluster) Remove() error {
	if c.cmd != nil {
		_ = c.Thaw() // a test may have failed while it was frozen
	}
	return errors.Join(c.end(syscall.SIGINT), os.RemoveAll(c.dir))
}
