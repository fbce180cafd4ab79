package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// command and reply are the lines between the benchmark and the generator's
// process; exactly one member of command is set.
type command struct {
	Configure *Config     `json:"configure,omitempty"`
	SignIn    *signInSpec `json:"sign_in,omitempty"`
	Adopt     *AdoptSpec  `json:"adopt,omitempty"`
	Keep      *AdoptSpec  `json:"keep,omitempty"`
	Renew     *RenewSpec  `json:"renew,omitempty"`
	Herd      *HerdSpec   `json:"herd,omitempty"`
}

type signInSpec struct{ Sessions, Parallel int }

type reply struct {
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// Serve carries out commands from in until it ends.
func Serve(in io.Reader, out io.Writer) error {
	var g Generator
	commands, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var c command
		if err := commands.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var rep reply
		result, err := g.do(c)
		if err == nil {
			rep.Result, err = json.Marshal(result)
		}
		if err != nil {
			rep.Error = err.Error()
		}
		if err := replies.Encode(rep); err != nil {
			return err
		}
	}
}

func (g *Generator) do(c command) (any, error) {
	switch {
	case c.Configure != nil:
		g.Configure(*c.Configure)
		return nil, nil
	case c.SignIn != nil:
		return nil, g.SignIn(c.SignIn.Sessions, c.SignIn.Parallel)
	case c.Adopt != nil:
		return nil, g.Adopt(*c.Adopt)
	case c.Keep != nil:
		return nil, g.Keep(*c.Keep)
	case c.Renew != nil:
		return g.Renew(*c.Renew)
	case c.Herd != nil:
		return g.Herd(*c.Herd)
	}
	return nil, errors.New("an empty command")
}

// Remote is a generator in another process.
type Remote struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	replies *json.Decoder
}

// StartRemote starts the program of cmd/load. It is killed when ctx ends.
func StartRemote(ctx context.Context, name, program string) (*Remote, error) {
	r := &Remote{name: name, cmd: exec.CommandContext(ctx, program)}
	var err error
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.replies = json.NewDecoder(out)
	return r, r.cmd.Start()
}

// Close ends the process.
func (r *Remote) Close() error {
	r.stdin.Close()
	return r.cmd.Wait()
}

// Configure: see [Generator.Configure].
func (r *Remote) Configure(cfg Config) error { return r.call(command{Configure: &cfg}, nil) }

// SignIn: see [Generator.SignIn].
func (r *Remote) SignIn(n, parallel int) error {
	return r.call(command{SignIn: &signInSpec{n, parallel}}, nil)
}

// Adopt: see [Generator.Adopt].
func (r *Remote) Adopt(spec AdoptSpec) error { return r.call(command{Adopt: &spec}, nil) }

// Keep: see [Generator.Keep].
func (r *Remote) Keep(spec AdoptSpec) error { return r.call(command{Keep: &spec}, nil) }

// Renew: see [Generator.Renew].
func (r *Remote) Renew(spec RenewSpec) (res RenewResult, err error) {
	err = r.call(command{Renew: &spec}, &res)
	return res, err
}

// Herd: see [Generator.Herd].
func (r *Remote) Herd(spec HerdSpec) (res HerdResult, err error) {
	err = r.call(command{Herd: &spec}, &res)
	return res, err
}

func (r *Remote) call(c command, result any) error {
	if err := json.NewEncoder(r.stdin).Encode(c); err != nil {
		return fmt.Errorf("load generator of %s: %w", r.name, err)
	}
	var rep reply
	if err := r.replies.Decode(&rep); err != nil {
		return fmt.Errorf("load generator of %s: %w", r.name, err)
	}
	if rep.Error != "" {
		return fmt.Errorf("%s: %s", r.name, rep.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(rep.Result, result)
}
