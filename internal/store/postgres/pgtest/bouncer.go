package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bouncer is a pgbouncer in transaction mode before a cluster, configured as its
// package comes: it takes no parameters of libpq's, and keeps no prepared
// statements. Few connections serve all clients of a database.
type Bouncer struct {
	cluster *Cluster
	dir     string // in the cluster's
	port    int

	cmd   *exec.Cmd
	ended <-chan error
}

// NewBouncer starts a pgbouncer before the cluster; settings are lines of its
// configuration, like "default_pool_size=2". End it with Stop.
func (c *Cluster) NewBouncer(settings ...string) (*Bouncer, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	b := &Bouncer{cluster: c, port: port, dir: filepath.Join(c.dir, fmt.Sprint("bouncer-", port))}
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return nil, err
	}
	_, pgPort, _ := net.SplitHostPort(c.Addr())
	lines := append([]string{
		"[databases]", "* = host=127.0.0.1 port=" + pgPort,
		"[pgbouncer]", "listen_addr=127.0.0.1", "listen_port=" + strconv.Itoa(port), "unix_socket_dir=",
		"auth_type=trust", "auth_file=" + filepath.Join(b.dir, "users"),
		// Roles are made while it runs.
		"auth_user=" + superuser, "auth_query=SELECT rolname::text, ''::text FROM pg_roles WHERE rolname = $1",
		"pool_mode=transaction", "default_pool_size=4", "max_client_conn=1000", "server_idle_timeout=2",
		"server_login_retry=1", "log_connections=0", "log_disconnections=0",
	}, settings...)
	err = errors.Join(os.WriteFile(b.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o644),
		os.WriteFile(filepath.Join(b.dir, "users"), []byte(`"`+superuser+`" ""`+"\n"), 0o644))
	if err != nil {
		return nil, err
	}
	return b, b.Start()
}

func (b *Bouncer) config() string { return filepath.Join(b.dir, "pgbouncer.ini") }

// Start starts it again after Stop, at the same address, and waits until it
// lets clients through.
func (b *Bouncer) Start() error {
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer" // not in everybody's PATH
	}
	if _, err := os.Stat(path); err != nil {
		return errors.New("pgbouncer is not installed: run scripts/need pgbouncer")
	}
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path, b.config())
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if b.cluster.owner != nil {
		cmd.SysProcAttr.Credential = b.cluster.owner.Credential // it does not run as root either
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	b.cmd, b.ended = cmd, ended
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-ended:
			b.cmd = nil
			return fmt.Errorf("pgbouncer ended at once: %v\n%s", err, b.Log())
		default:
		}
		if b.ping() == nil {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("pgbouncer does not respond\n%s", b.Log()), b.Stop())
}

func (b *Bouncer) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}

// Stop ends it and cuts all connections. After that Stop does nothing.
func (b *Bouncer) Stop() error {
	if b.cmd == nil {
		return nil
	}
	err := b.cmd.Process.Kill()
	<-b.ended
	b.cmd = nil
	return err
}

// Log is what it has logged.
func (b *Bouncer) Log() string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "log")) // none yet: nothing was logged
	return string(text)
}

// Addr is where it listens.
func (b *Bouncer) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)) }

// URL names the database postgres as the superuser.
func (b *Bouncer) URL() string { return URL(b.Addr()) }

// Schema makes an empty schema, for one test, with a role of its name, whose
// statements meet that schema: a pooler lets no search_path through. It returns
// the URLs through the pooler and directly.
func (b *Bouncer) Schema(t testing.TB) (through, direct string) {
	t.Helper()
	name := fmt.Sprintf("b%d", shared.schemas.Add(1))
	b.cluster.Exec(t, fmt.Sprintf("CREATE ROLE %[1]s LOGIN SUPERUSER; CREATE SCHEMA %[1]s AUTHORIZATION %[1]s", name))
	as := func(url string) string { return strings.Replace(url, superuser+"@", name+"@", 1) }
	return as(b.URL()), as(b.cluster.URL())
}

// SharedBouncer is one before Shared, for all tests of a package.
func SharedBouncer(t testing.TB) *Bouncer {
	t.Helper()
	c := Shared(t)
	shared.bouncerOnce.Do(func() { shared.bouncer, shared.bouncerErr = c.NewBouncer() })
	if shared.bouncerErr != nil {
		t.Fatal(shared.bouncerErr)
	}
	return shared.bouncer
}
