package cli

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A full disk: renewals are answered 503 with Retry-After, the log says what is
// wrong, nobody is signed out, and with room again all goes on without a restart.
func TestFullDiskSignsNobodyOut(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("a small disk can be made by root only")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	data := filepath.Join(disk, "data")
	token := seedSessions(t, data, 20)[0]
	p := newProgram(t, data)
	p.start()
	t.Cleanup(p.kill) // before the disk goes

	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	_ = filler.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}

	r := rotator{token: token}
	var status int
	var problem, after string
	for range 2000 { // the log of the database has some room of its own
		resp, err := http.Post("http://"+p.addr+"/auth/refresh", "application/json", strings.NewReader(`{"refresh_token":"`+r.token+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if status, problem, after = resp.StatusCode, string(body), resp.Header.Get("Retry-After"); status != http.StatusOK {
			if cookies := resp.Cookies(); len(cookies) > 0 {
				t.Error("the answer touches cookies")
			}
			break
		}
		if refused := r.renew(t.Context(), p.addr); refused != "" { // moves the head on
			t.Fatalf("signed out: %s", refused)
		}
	}
	if status != http.StatusServiceUnavailable || after == "" || !strings.Contains(problem, "temporarily_unavailable") {
		t.Fatalf("on a full disk: %d, Retry-After %q, %s", status, after, problem)
	}
	said := func() bool {
		log := p.log.String()
		return strings.Contains(log, "disk") && strings.Contains(log, "make room")
	}
	// The response may be here before the line in the log, which comes by a pipe.
	for end := time.Now().Add(10 * time.Second); !said(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not say what is wrong:\n%s", p.log.String())
		}
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	before := r.renewed
	for range 50 {
		if refused := r.renew(t.Context(), p.addr); refused != "" {
			t.Fatalf("signed out after the disk was full: %s", refused)
		}
		if r.renewed > before {
			return
		}
	}
	t.Fatalf("the server does not recover:\n%s", p.log)
}
