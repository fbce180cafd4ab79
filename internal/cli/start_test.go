package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/wire"
)

func TestASecondServerOnADataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := newProgram(t, dir)
	first.start()
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0", "--data", dir}, {"dev", "--listen", "127.0.0.1:0", "--data", dir}} {
		var out bytes.Buffer
		if code := Main(t.Context(), args, nil, &out, &out); code != exitFailed || !strings.Contains(out.String(), "a server is running on the data directory "+dir) {
			t.Errorf("%s: exit code %d, %s", args[0], code, out.String())
		}
	}
	var out bytes.Buffer
	if code := Main(t.Context(), []string{"user", "list", "--data", dir}, nil, &out, &out); code != exitOK {
		t.Errorf("a command beside the server: exit code %d, %s", code, out.String())
	}
	first.kill() // which leaves the file, but not the lock
	first.start()
}

func TestListenErrorsNameTheSettingAndTheRemedy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct{ setting, addr, want string }{
		{"listen", taken.Addr().String(), "another program listens there"},
		{"listen", "192.0.2.1:8080", "this machine does not have the address"},
		{"listen", "localhost", "like 127.0.0.1:8080"},
		{"admin-listen", taken.Addr().String(), "another program listens there"},
	} {
		var out bytes.Buffer
		code := Main(t.Context(), []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--" + c.setting, c.addr}, nil, &out, &out)
		if code == exitOK || !strings.Contains(out.String(), "--"+c.setting) || !strings.Contains(out.String(), c.want) {
			t.Errorf("--%s %s: exit code %d, %s", c.setting, c.addr, code, out.String())
		}
	}
}

// A server that is started before its database says so to everybody, and serves
// when the database is there.
func TestAServerWaitsForItsDatabase(t *testing.T) {
	cluster, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	ctx, stop := context.WithCancel(context.Background())
	var out lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"serve", "--listen", addr, "--database-url", cluster.URL(), "--data", t.TempDir()}, nil, &out, &out)
	}()
	get := func(path string) (status int, body string) {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	until := func(path string, want int) string {
		t.Helper()
		var status int
		var body string
		for range 600 {
			if status, body = get(path); status == want {
				return body
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%s: %d %s, want %d\n%s", path, status, body, want, out.String())
		return ""
	}
	if body := until("/readyz", http.StatusServiceUnavailable); !strings.Contains(body, wire.CodeUnavailable) {
		t.Error(body)
	}
	until("/livez", http.StatusOK)
	until("/auth/me", http.StatusServiceUnavailable)
	if log := out.String(); !strings.Contains(log, "it will be tried again") || !strings.Contains(log, cluster.Addr()) {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	until("/readyz", http.StatusOK)
	until("/auth/me", http.StatusUnauthorized)
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
}

// Stopped while it waits, the program ends and says so. What will not come back by
// itself ends it at once.
func TestAServerThatWaitsCanBeStopped(t *testing.T) {
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var out lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--database-url", fmt.Sprintf("postgres://a@127.0.0.1:%d/x", port), "--data", t.TempDir()}, nil, &out, &out)
	}()
	for i := 0; !strings.Contains(out.String(), "tried again"); i++ {
		if i == 600 {
			t.Fatal(out.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	if code := <-ended; code != exitFailed || !strings.Contains(out.String(), "stopped before the database could be reached") {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
}
