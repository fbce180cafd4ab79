package pgtest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patroni is a highly available PostgreSQL as people run it: Patroni on each node,
// etcd, and HAProxy that leads to the primary.
type Patroni struct {
	base  *Cluster // directory and user only
	proxy string
	nodes []*patroniNode
}

type patroniNode struct {
	name      string
	port, api int
	process   *process
}

// process is a program of its own with what it has started.
type process struct {
	cmd    *exec.Cmd
	ended  chan error
	killed bool
	log    string
}

const patroniConfig = `scope: tacet
name: %[1]s
restapi: {listen: "127.0.0.1:%[3]d", connect_address: "127.0.0.1:%[3]d"}
etcd3: {hosts: ["127.0.0.1:%[4]d"]}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    synchronous_mode: %[6]t
    postgresql: {use_pg_rewind: true, parameters: {shared_buffers: 32MB, max_connections: 200, max_wal_size: 512MB, wal_log_hints: "on"}}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, no-sync]
postgresql:
  listen: 127.0.0.1:%[2]d
  connect_address: 127.0.0.1:%[2]d
  data_dir: %[5]s/data-%[1]s
  bin_dir: %[7]s
  pgpass: %[5]s/pgpass-%[1]s
  authentication: {superuser: {username: ` + superuser + `, password: x}, replication: {username: standby, password: x}, rewind: {username: rewind, password: x}}
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
  parameters: {unix_socket_directories: %[5]s}
`

// NewPatroni starts three nodes, with synchronous replication or without, and waits
// until there is a primary with a standby that may take its place. It ends with the
// test.
func NewPatroni(t testing.TB, synchronous bool) *Patroni {
	t.Helper()
	p := &Patroni{}
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	p.base, err = empty(nil)
	fail(err)
	t.Cleanup(func() { _ = os.RemoveAll(p.base.dir) })
	postgres, err := program("pg_controldata") // which Debian keeps with the server's programs
	fail(err)
	postgres, err = filepath.EvalSymlinks(postgres)
	fail(err)
	ports := make([]int, 9)
	for i := range ports {
		ports[i], err = FreePort()
		fail(err)
	}
	etcd := ports[0]
	url := func(port int) string { return fmt.Sprint("http://127.0.0.1:", port) }
	p.start(t, "etcd", "etcd", "--data-dir", filepath.Join(p.base.dir, "etcd"), "--unsafe-no-fsync", "--listen-client-urls", url(etcd), "--advertise-client-urls", url(etcd),
		"--listen-peer-urls", url(ports[1]), "--initial-advertise-peer-urls", url(ports[1]), "--initial-cluster", "default="+url(ports[1]))
	haproxy := fmt.Sprintf(`defaults
  mode tcp
  timeout connect 2s
  timeout client 30m
  timeout server 30m
listen primary
  bind 127.0.0.1:%d
  option httpchk OPTIONS /primary
  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
`, ports[2])
	for i := range 3 {
		n := &patroniNode{name: fmt.Sprint("n", i), port: ports[3+2*i], api: ports[4+2*i]}
		p.nodes = append(p.nodes, n)
		haproxy += fmt.Sprintf("  server %s 127.0.0.1:%d check port %d\n", n.name, n.port, n.api)
		fail(os.WriteFile(p.config(n), fmt.Appendf(nil, patroniConfig, n.name, n.port, n.api, etcd, p.base.dir, synchronous, filepath.Dir(postgres)), 0o644))
		p.Start(t, n.name)
	}
	fail(os.WriteFile(filepath.Join(p.base.dir, "haproxy.cfg"), []byte(haproxy), 0o644))
	p.start(t, "haproxy", "haproxy", "-db", "-f", filepath.Join(p.base.dir, "haproxy.cfg"))
	p.proxy = fmt.Sprint("127.0.0.1:", ports[2])
	standby := "/replica?lag=16MB"
	if synchronous {
		standby = "/sync"
	}
	p.await(t, "a standby", func() bool { return p.role("/primary") != "" && p.role(standby) != "" })
	return p
}

func (p *Patroni) config(n *patroniNode) string { return filepath.Join(p.base.dir, n.name+".yaml") }

// Start starts the node of that name, also again after Kill.
func (p *Patroni) Start(t testing.TB, name string) {
	t.Helper()
	n := p.node(name)
	n.process = p.start(t, name, "patroni", p.config(n))
}

func (p *Patroni) node(name string) *patroniNode {
	for _, n := range p.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// start runs a program until the test ends.
func (p *Patroni) start(t testing.TB, name, program string, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path = "/usr/sbin/" + program; !alsoThere(path) {
			t.Fatalf("%s is not installed: run scripts/need patroni etcd haproxy", program)
		}
	}
	pr := &process{cmd: exec.Command(path, args...), ended: make(chan error, 1), log: filepath.Join(p.base.dir, name+".log")}
	log, err := os.OpenFile(pr.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	pr.cmd.Dir, pr.cmd.Stdout, pr.cmd.Stderr = p.base.dir, log, log
	pr.cmd.Env = append(os.Environ(), "HOME="+p.base.dir)
	pr.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.base.owner != nil {
		pr.cmd.SysProcAttr.Credential = p.base.owner.Credential
	}
	if err := pr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { pr.ended <- pr.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(pr.log)
			t.Logf("%s has logged\n%s", name, text[max(0, len(text)-3000):])
		}
		p.kill(name, pr)
	})
	return pr
}

func alsoThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// kill ends a program and all that it has started, at once. The server of a node
// is not its Patroni's child any more.
func (p *Patroni) kill(name string, pr *process) {
	pr.killed = true
	all := []int{pr.cmd.Process.Pid}
	if n := p.node(name); n != nil {
		if pid := p.postmaster(n); pid != 0 {
			all = append(all, pid)
		}
	}
	for i := 0; i < len(all); i++ {
		all = append(all, children(all[i])...)
	}
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone: all the better
	}
}

// role asks the nodes for the one that calls itself what is asked for; empty: none.
func (p *Patroni) role(path string) string {
	c := http.Client{Timeout: time.Second}
	for _, n := range p.nodes {
		resp, err := c.Get(fmt.Sprintf("http://127.0.0.1:%d%s", n.api, path))
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return n.name
		}
	}
	return ""
}

// Primary is the name of the node that is the primary; empty: none.
func (p *Patroni) Primary() string { return p.role("/primary") }

func (p *Patroni) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * startTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if condition() {
			return
		}
		for _, n := range p.nodes {
			select {
			case err := <-n.process.ended:
				if n.process.ended <- err; !n.process.killed {
					t.Fatalf("%s ended before there was %s: %v", n.name, what, err)
				}
			default:
			}
		}
	}
	t.Fatalf("it did not come to %s", what)
}

// KillPrimary ends a node with its Patroni, as a machine that dies, and waits until
// another is the primary.
func (p *Patroni) KillPrimary(t testing.TB) (killed string) {
	t.Helper()
	killed = p.Primary()
	n := p.node(killed)
	if n == nil {
		t.Fatal("there is no primary")
	}
	p.kill(killed, n.process)
	p.await(t, "another primary", func() bool { name := p.Primary(); return name != "" && name != killed })
	return killed
}

// postmaster is the first process of a node's server, which is not Patroni's child.
func (p *Patroni) postmaster(n *patroniNode) int {
	b, err := os.ReadFile(filepath.Join(p.base.dir, "data-"+n.name, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, _ := strconv.Atoi(line)
	return pid
}

// Switchover asks the primary to hand over, and waits until it has.
func (p *Patroni) Switchover(t testing.TB) {
	t.Helper()
	from := p.Primary()
	p.await(t, "a switchover", func() bool {
		resp, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/switchover", p.node(from).api), "application/json", strings.NewReader(`{"leader": "`+from+`"}`))
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	p.await(t, "another primary", func() bool { name := p.Primary(); return name != "" && name != from })
}

// Proxy is the URL of the primary behind HAProxy.
func (p *Patroni) Proxy() string { return URL(p.proxy) }

// Hosts is the URL that names all nodes and asks for the one that takes writes.
func (p *Patroni) Hosts() string {
	var hosts []string
	for _, n := range p.nodes {
		hosts = append(hosts, fmt.Sprint("127.0.0.1:", n.port))
	}
	return URL(strings.Join(hosts, ",")) + "&target_session_attrs=read-write"
}

// Bouncer starts a pgbouncer before HAProxy. End it with Stop.
func (p *Patroni) Bouncer() (*Bouncer, error) {
	_, port, ok := strings.Cut(p.proxy, ":")
	number, err := strconv.Atoi(port)
	if !ok || err != nil {
		return nil, fmt.Errorf("there is no HAProxy")
	}
	return (&Cluster{dir: p.base.dir, owner: p.base.owner, port: number}).NewBouncer("default_pool_size=20")
}
