package cli

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// rss is the resident memory of a process in bytes.
func rss(b *testing.B, pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("the memory of another process can't be read here:", err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb * 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// BenchmarkOpenStreams opens the event streams of 1,000 users on a server in
// another process. It reports what each costs the server in memory, and how long
// it takes from the call that ends a session to the event in the open page, and
// from the command line's edit of a role that all hold to the event in all pages.
func BenchmarkOpenStreams(b *testing.B) {
	const n = 1000
	dir := b.TempDir()
	grants := seedUsers(b, dir, n)
	p := newProgram(b, dir)
	p.start()
	access := make([]wire.TokenResponse, n)
	for i := range access { // by this server, whose address is in its tokens
		access[i] = p.post(wire.PathRefresh, grants[i].RefreshToken)
	}
	idle := rss(b, p.cmd.Process.Pid)
	told := make([]chan string, n)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0}}
	var opened sync.WaitGroup
	for i := range told {
		told[i] = make(chan string, 64)
		req, err := http.NewRequestWithContext(b.Context(), "GET", "http://"+p.addr+"/auth/events", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+access[i].AccessToken)
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		opened.Add(1)
		go readEvents(resp.Body, told[i], opened.Done)
	}
	opened.Wait()
	memory := (rss(b, p.cmd.Process.Pid) - idle) / n

	var all []time.Duration
	for b.Loop() {
		began := time.Now()
		p.run("role", "grant", "everybody", "--permission", fmt.Sprint("orders:n", len(all)), "--data", dir)
		ran := time.Since(began)
		for i := range told {
			<-told[i]
		}
		all = append(all, max(time.Since(began)-ran, 0))
	}
	slices.Sort(all)
	b.ReportMetric(memory, "B/stream")
	b.ReportMetric(float64(all[len(all)/2].Milliseconds()), "ms-after-command-to-all")

	var each []time.Duration
	for i := range told {
		began := time.Now()
		p.post(wire.PathLogout, access[i].RefreshToken)
		<-told[i]
		each = append(each, time.Since(began))
	}
	slices.Sort(each)
	b.ReportMetric(float64(each[n/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(each[n*99/100].Microseconds())/1000, "p99-ms")
}

// readEvents passes on the kinds of events.
func readEvents(body io.ReadCloser, to chan<- string, ready func()) {
	defer body.Close()
	in := bufio.NewScanner(body)
	for in.Scan() {
		if strings.HasPrefix(in.Text(), "retry:") {
			ready()
		}
		if kind, ok := strings.CutPrefix(in.Text(), "event: "); ok {
			to <- kind
		}
	}
}

// seedUsers makes n users with a session each, without hashing passwords.
func seedUsers(b *testing.B, dir string, n int) []session.Grant {
	a, err := app.Open(b.Context(), app.Config{PublicURL: "http://localhost", DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	if err := a.Directory.AddRole(b.Context(), "everybody", "orders:read"); err != nil {
		b.Fatal(err)
	}
	grants := make([]session.Grant, n)
	for i := range grants {
		u := directory.User{ID: fmt.Sprintf("usr_%022d", i), Name: fmt.Sprint("user", i), Roles: []string{"everybody"}, GrantsVersion: 1, CreatedAt: time.Now()}
		if err := directory.NewStore(a.DB.Documents()).CreateUser(b.Context(), u); err != nil {
			b.Fatal(err)
		}
		if grants[i], err = a.Sessions.Start(b.Context(), session.SignIn{UserID: u.ID, Client: session.Client{ID: "bench"}}); err != nil {
			b.Fatal(err)
		}
	}
	return grants
}
