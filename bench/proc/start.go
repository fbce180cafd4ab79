package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running child. What it prints is kept, for error messages.
type Process struct {
	Name  string
	Pid   int
	Addr  string         // where it listens, if it said so
	Stdin io.WriteCloser // closing it asks the bench's own servers to stop

	cmd    *exec.Cmd
	output tail
	lines  chan string
	exited chan struct{}
	err    error
}

// listening matches what servers say when they are ready, as text or JSON.
var listening = regexp.MustCompile(`listening.*addr"?[=:]\s*"?(127\.0\.0\.1:\d+)`)

// readyWithin bounds the wait for a server to say that it listens.
const readyWithin = 30 * time.Second

// stopWithin bounds a graceful stop; after it the process is killed.
const stopWithin = 15 * time.Second

// Start runs a program. It is killed when ctx ends.
func Start(ctx context.Context, name string, program string, args ...string) (*Process, error) {
	p := &Process{Name: name, lines: make(chan string, 64), exited: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, program, args...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.cmd.Stdout
	if p.Stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.Pid = p.cmd.Process.Pid
	go func() {
		p.read(out)
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// StartServer runs a program and waits until it says where it listens.
func StartServer(ctx context.Context, name string, program string, args ...string) (*Process, error) {
	p, err := Start(ctx, name, program, args...)
	if err != nil {
		return nil, err
	}
	late := time.After(readyWithin)
	for {
		select {
		case line := <-p.lines:
			if m := listening.FindStringSubmatch(line); m != nil {
				p.Addr = m[1]
				return p, nil
			}
		case <-p.exited:
			return nil, fmt.Errorf("%s stopped before it listened (%v); it said:\n%s", name, p.err, p.output.String())
		case <-late:
			p.Kill()
			return nil, fmt.Errorf("%s did not say that it listens within %v; it said:\n%s", name, readyWithin, p.output.String())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// read keeps the last output and offers lines to who waits for them; nobody
// has to, so a full channel drops them.
func (p *Process) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			p.output.add(line)
			select {
			case p.lines <- line:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// Stop asks the process to end (SIGTERM and end of stdin) and waits; it is
// killed when it takes too long. A process that was killed is an error.
func (p *Process) Stop() error {
	p.Stdin.Close()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		p.Kill()
		return fmt.Errorf("%s did not stop within %v and was killed; it said:\n%s", p.Name, stopWithin, p.output.String())
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) && !exit.Exited() {
		return nil // it died of the SIGTERM that we sent: it has nothing to tidy up
	}
	return p.err
}

// Kill ends the process at once.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

// Output is the last that the process printed.
func (p *Process) Output() string { return p.output.String() }

// tail keeps the last lines of an output.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 40

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "")
}

// Build compiles a package, found from the module in dir, into a program below
// out and returns its path.
func Build(ctx context.Context, dir, pkg, out string) (string, error) {
	program := filepath.Join(out, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, said)
	}
	return program, nil
}
