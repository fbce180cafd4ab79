package cli

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// freeAddr is an address on this machine where nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// The commands of docs/sign-in.md, in both languages.
func TestSignInGuide(t *testing.T) {
	for _, file := range []string{"../../docs/sign-in.md", "../../docs/sign-in.zh-CN.md"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir, ran := t.TempDir(), 0
			sh := newShell(t, dir, "PATH="+programDir(t)+":"+os.Getenv("PATH"))
			t.Cleanup(func() { // what is left if it fails
				for _, pid := range pidsOf(dir) {
					_ = exec.Command("kill", "-TERM", pid).Run()
				}
			})
			for _, st := range readSteps(t, file, strings.NewReplacer("127.0.0.1:8080", freeAddr(t))) {
				if st.kind == "sh" {
					sh.run(st)
					ran++
				}
			}
			if ran < 7 {
				t.Errorf("the guide has only %d pieces to run", ran)
			}
		})
	}
}

// The commands of docs/webhooks.md, in both languages.
func TestWebhooksGuide(t *testing.T) {
	for _, file := range []string{"../../docs/webhooks.md", "../../docs/webhooks.zh-CN.md"} {
		sh, ran := newShell(t, t.TempDir(), "PATH="+programDir(t)+":"+os.Getenv("PATH")), 0
		for _, st := range readSteps(t, file, strings.NewReplacer()) {
			if st.kind == "sh" {
				sh.run(st)
				ran++
			}
		}
		if ran == 0 {
			t.Errorf("%s has nothing to run", file)
		}
	}
}

// What docs/users.md says is done, in both languages, to the letter but for the
// ports.
func TestUsersGuide(t *testing.T) {
	for _, file := range []string{"../../docs/users.md", "../../docs/users.zh-CN.md"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir := t.TempDir()
			program, err := os.ReadFile("../../examples/users-python/users.py")
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "users.py"), program, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			tacet, users := freeAddr(t), freeAddr(t)
			_, port, _ := net.SplitHostPort(users)
			sh := newShell(t, dir, "PATH="+programDir(t)+":"+os.Getenv("PATH"), "PORT="+port, "TACET_URL=http://"+tacet)
			t.Cleanup(func() { // what is left if it fails
				for _, pid := range pidsOf(dir) {
					_ = exec.Command("kill", "-TERM", pid).Run()
				}
			})
			ran := 0
			for _, st := range readSteps(t, file, strings.NewReplacer("127.0.0.1:8080", tacet, "127.0.0.1:9100", users)) {
				if st.kind == "sh" {
					sh.run(st)
					ran++
				}
			}
			if ran < 5 {
				t.Errorf("the guide has only %d pieces to run", ran)
			}
		})
	}
}
