package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// node is one process of Tacet, at an address that stays, behind a network of
// its own.
type node struct {
	t      testing.TB
	number int
	dir    string
	config nodeConfig
	front  *link // clients come this way
	store  []*link

	// incarnation grows when the process starts and when it has ended.
	incarnation atomic.Int64

	mu    sync.Mutex // held by whoever does something to the node
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has
	clock io.WriteCloser
}

func newNode(t testing.TB, number int, dir string, c nodeConfig) *node {
	c.Listen = freeAddr(t)
	n := &node{t: t, number: number, dir: dir, config: c, front: newLink(t, c.Listen)}
	t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.kill()
	})
	return n
}

func (n *node) log() string { return filepath.Join(n.dir, fmt.Sprintf("node%d.log", n.number)) }

// start starts the process and waits until it is ready; one that ends because
// the database is away is started again, as a supervisor does.
func (n *node) start() error {
	var err error
	for range 100 {
		if err = n.spawn(); err != nil {
			return err
		}
		if n.ready() {
			return nil
		}
		n.kill()
	}
	return fmt.Errorf("node %d does not start; its log is in %s", n.number, n.log())
}

func (n *node) spawn() error {
	b, err := json.Marshal(n.config)
	if err != nil {
		return err
	}
	file := filepath.Join(n.dir, fmt.Sprintf("node%d.json", n.number))
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(os.Args[0], file)
	cmd.Env = append(os.Environ(), role+"=node")
	cmd.Stderr = log
	if n.clock, err = cmd.StdinPipe(); err != nil {
		return err
	}
	n.incarnation.Add(1)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	n.cmd, n.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	return nil
}

var probe = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready waits until the node says that it is ready; false: it has ended.
func (n *node) ready() bool {
	for range 600 {
		if resp, err := probe.Get("http://" + n.config.Listen + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-n.ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

func (n *node) signal(s os.Signal) {
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(s) // it may have ended
	}
}

// kill ends the process at once, frozen or not.
func (n *node) kill() { n.end(syscall.SIGKILL) }

// stop lets running requests end.
func (n *node) stop() {
	late := time.AfterFunc(10*time.Second, func() { n.signal(syscall.SIGKILL) })
	defer late.Stop()
	n.end(syscall.SIGTERM)
}

func (n *node) end(s os.Signal) {
	if n.cmd == nil {
		return
	}
	n.signal(s)
	<-n.ended
	_ = n.clock.Close()
	n.cmd = nil
	n.incarnation.Add(1)
}

// skew sets how wrong the node's clock is, now and after a restart.
func (n *node) skew(d time.Duration) {
	n.config.Skew = d
	if n.cmd != nil {
		_, _ = fmt.Fprintln(n.clock, d) // a process that has ended reads it when it starts
	}
}
