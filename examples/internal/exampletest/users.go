package exampletest

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/remoteusers"
	"github.com/tacet-dev/tacet/wire"
)

const usersSecret = "a-secret-of-two-systems"

// Users checks a program that keeps the users of a Tacet server: the command runs
// it in the directory of the test.
func Users(t *testing.T, command ...string) {
	ln := listen(t)
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte(usersSecret+"\n"), 0o600))
	p := &program{t: t, command: command, env: []string{"SECRET_FILE=" + secret, "TACET_URL=http://" + ln.Addr().String()}}
	p.start("0")
	s := &Server{URL: "http://" + ln.Addr().String(), t: t}
	a, err := app.Open(t.Context(), app.Config{PublicURL: s.URL, DataDir: t.TempDir(), RemoteUsers: remoteusers.Settings{UsersURL: p.url, UsersSecretFile: secret},
		Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	a.Start()
	srv := &http.Server{Handler: a.Handler}
	go func() { _ = srv.Serve(ln) }() // until the test closes it
	t.Cleanup(func() {
		_ = srv.Close()
		must(t, a.Close())
	})
	for name, password := range map[string]string{"ada": "wrong", "nobody": "nobody-password", `"}`: `\"` + "\u00e9\u674e<&>", "": "x"} {
		if code := signInCode(t, s.URL, name, password); code != wire.CodeInvalidCredentials && !(name == "" && code == wire.CodeInvalidRequest) {
			t.Errorf("%q may sign in with %q, or the program fails: %s", name, password, code)
		}
	}
	ada, grace := s.SignIn("ada"), s.SignIn("grace")
	want(t, s.URL, ada, `"permissions":["orders:read"]`)

	// The program is restarted; nobody notices.
	port := p.stop()
	_, err = renewed(t, grace)
	if _, ok := errors.AsType[*client.SignedOutError](err); err == nil || ok {
		t.Errorf("without the program: %v", err)
	}
	p.start(port)
	waitFor(t, "a refresh", func() bool { _, err := renewed(t, grace); return err == nil })

	// A new role counts with the next request.
	p.call("PUT", "/users/7/role", `{"role":"clerk"}`, 204)
	old, err := ada.Token(t.Context())
	must(t, err)
	res := do(t, "GET", s.URL+"/auth/me", "", http.Header{"Authorization": {"Bearer " + old.AccessToken}})
	if read(t, res); res.StatusCode != 401 || !strings.Contains(res.Header.Get("WWW-Authenticate"), wire.GrantsChanged) {
		t.Errorf("the old token: %s", res.Status)
	}
	_, err = renewed(t, ada)
	must(t, err)
	want(t, s.URL, ada, `"permissions":["orders:*"]`)

	// Who is removed is out.
	p.call("DELETE", "/users/7", "", 204)
	_, err = renewed(t, ada)
	if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
		t.Errorf("after the removal: %v", err)
	}
	want(t, s.URL, grace, `"username":"grace"`)
	p.call("GET", "/users/7", "", 404)
	p.secret = "another-secret-of-both"
	p.call("GET", "/users/8", "", 401)
}

func signInCode(t *testing.T, url, name, password string) string {
	t.Helper()
	src, err := client.New(client.Config{URL: url + wire.DefaultBasePath})
	must(t, err)
	defer src.Close()
	_, err = src.SignIn(t.Context(), name, password)
	if err == nil {
		return "signed in"
	}
	if p, ok := errors.AsType[*client.ProblemError](err); ok {
		return p.Code
	}
	return err.Error()
}

func renewed(t *testing.T, src *client.Source) (client.Token, error) {
	t.Helper()
	old, err := src.Token(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return src.Renew(ctx, old)
}

func want(t *testing.T, url string, src *client.Source, text string) {
	t.Helper()
	res := do(t, "GET", url+"/auth/me", "", http.Header{"Authorization": {bearer(t, src)}})
	if body := read(t, res); res.StatusCode != 200 || !strings.Contains(body, text) {
		t.Errorf("me: %s %s, want %s", res.Status, body, text)
	}
}

// program is a process that says on its first line where it listens.
type program struct {
	t       *testing.T
	command []string
	env     []string
	url     string
	secret  string
	cmd     *exec.Cmd
}

func (p *program) start(port string) {
	p.t.Helper()
	p.secret = usersSecret
	p.cmd = exec.Command(p.command[0], p.command[1:]...)
	p.cmd.Env = append(append(os.Environ(), p.env...), "PORT="+port)
	p.cmd.Stderr = p.t.Output()
	out, err := p.cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.cmd.Start())
	p.t.Cleanup(func() { p.stop() })
	line, err := bufio.NewReader(out).ReadString('\n')
	must(p.t, err)
	p.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

// stop kills the process and returns the port that it had.
func (p *program) stop() (port string) {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
	u, err := url.Parse(p.url)
	must(p.t, err)
	_, port, err = net.SplitHostPort(u.Host)
	must(p.t, err)
	return port
}

func (p *program) call(method, path, body string, status int) {
	p.t.Helper()
	res := do(p.t, method, p.url+path, body, http.Header{"Authorization": {"Bearer " + p.secret}})
	if text := read(p.t, res); res.StatusCode != status {
		p.t.Errorf("%s %s: %s %s, want %d", method, path, res.Status, text, status)
	}
}
