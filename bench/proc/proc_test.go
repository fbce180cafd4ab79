package proc

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestParseStatSurvivesAnyProgramName(t *testing.T) {
	stat := "4242 (a) b) R 1 4242 4242 0 -1 4194304 100 0 0 0 123 45 7 5 20 0 5 0 1 2 3"
	user, system, err := parseStat([]byte(stat))
	if err != nil || user != 1300*time.Millisecond || system != 500*time.Millisecond {
		t.Errorf("user %v system %v err %v, want 1.3s and 500ms with those of children", user, system, err)
	}
	for _, bad := range []string{"", "1 (x) R 1", "1 x R"} {
		if _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestParseField(t *testing.T) {
	data := []byte("Name:\tx\nVmRSS:\t  2048 kB\nwrite_bytes: 77\n")
	if n, err := parseField(data, "VmRSS"); err != nil || n != 2048 {
		t.Errorf("VmRSS = %d, %v", n, err)
	}
	if n, err := parseField(data, "write_bytes"); err != nil || n != 77 {
		t.Errorf("write_bytes = %d, %v", n, err)
	}
	if _, err := parseField(data, "VmHWM"); err == nil {
		t.Error("a missing field was found")
	}
}

// What a child has used is counted while it runs and after it has ended.
func TestUsageCountsChildren(t *testing.T) {
	if _, err := ReadUsage(os.Getpid()); err != nil {
		t.Skip("no /proc here: ", err)
	}
	parent := exec.Command("/bin/sh", "-c", `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo busy; read x'; echo ended; read x`)
	in, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	var cpu [2]time.Duration
	for i, want := range []string{"busy", "ended"} {
		if !said.Scan() || said.Text() != want {
			t.Fatalf("%q, want %q: %v", said.Text(), want, said.Err())
		}
		u, err := ReadUsage(parent.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		cpu[i] = u.CPU()
		in.Write([]byte("\n"))
	}
	if err := parent.Wait(); err != nil {
		t.Fatal(err)
	}
	if cpu[0] < tick || cpu[1] < cpu[0] {
		t.Errorf("%v while the child ran, %v after it had ended", cpu[0], cpu[1])
	}
}

func TestUsageOfThisProcessGrows(t *testing.T) {
	before, err := ReadUsage(os.Getpid())
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(make([]byte, 1<<20))
	f.Sync()
	for x := 0; x < 50_000_000; x++ { // about five ticks
	}
	after, err := ReadUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if d := after.Since(before); d.CPU() < 0 || d.Written < 0 || after.RSS <= 0 || after.Peak < after.RSS {
		t.Errorf("usage went backwards: %+v then %+v", before, after)
	}
	twice, err := ReadUsage(os.Getpid(), os.Getpid())
	if err != nil || twice.RSS < after.RSS*3/2 {
		t.Errorf("two processes are not added up: %+v %v", twice, err)
	}
	if _, err := ReadUsage(-1); err == nil {
		t.Error("usage of a process that is none")
	}
}

func TestListeningLines(t *testing.T) {
	for line, want := range map[string]string{
		"listening addr=127.0.0.1:4711\n":                                         "127.0.0.1:4711",
		`time=… level=INFO msg=listening addr=127.0.0.1:1 url=http://127.0.0.1:1`: "127.0.0.1:1",
		`{"level":"INFO","msg":"listening","addr":"127.0.0.1:8080"}`:              "127.0.0.1:8080",
		"connected to addr=127.0.0.1:5432":                                        "",
	} {
		got := ""
		if m := listening.FindStringSubmatch(line); m != nil {
			got = m[1]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestStartServerReportsWhatADeadServerSaid(t *testing.T) {
	_, err := StartServer(context.Background(), "dead", "sh", "-c", "echo no such database; exit 3")
	if err == nil || !strings.Contains(err.Error(), "no such database") {
		t.Errorf("err = %v, want the server's own words", err)
	}
}

func TestStopEndsAServer(t *testing.T) {
	p, err := StartServer(context.Background(), "sleeper", "sh", "-c", "echo listening addr=127.0.0.1:9; read x")
	if err != nil {
		t.Fatal(err)
	}
	if p.Addr != "127.0.0.1:9" {
		t.Errorf("addr = %q", p.Addr)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestReadMachine(t *testing.T) {
	m, err := ReadMachine(t.TempDir())
	if err != nil {
		t.Skip("cannot measure here: ", err)
	}
	if m.Cores < 1 || m.FsyncP50 <= 0 || m.FsyncP99 < m.FsyncP50 || m.Kernel == "" {
		t.Errorf("%+v", m)
	}
}
