package gotests

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/e2e/proxy"
)

// renewRounds is a process that shares a token file.
func renewRounds(url, file, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	store, err := client.NewFileStore(file)
	if err != nil {
		return err
	}
	src, err := client.New(client.Config{URL: url, Store: store})
	if err != nil {
		return err
	}
	defer src.Close()
	for range n {
		if _, err := renewal(context.Background(), src); err != nil {
			return err
		}
	}
	return nil
}

// Two processes renew on one file as fast as they can, and answers get lost.
func TestTwoProcessesOnOneTokenFile(t *testing.T) {
	t.Parallel()
	n := rounds(60, 1000)
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "session.json")
	store, err := client.NewFileStore(file)
	must(t, err)
	src := s.signIn(store)

	stop := make(chan struct{})
	var lost, work sync.WaitGroup
	lost.Go(func() { // about every tenth call
		for next := 5; ; {
			select {
			case <-time.After(time.Millisecond):
			case <-stop:
				return
			}
			if now := s.calls(refreshPath); now >= next {
				kind := []string{"drop-answer", "drop-answer", "drop-request"}[rand.IntN(3)]
				s.proxy.Add(proxy.Fault{Path: refreshPath, Count: 1, Kind: kind})
				next = now + 5 + rand.IntN(10)
			}
		}
	})
	for range 2 {
		cmd := program(t, asClient, s.url+"/auth", file, strconv.Itoa(n))
		cmd.Stderr = os.Stderr
		must(t, cmd.Start())
		work.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("a process gave up: %v", err)
			}
		})
	}
	work.Wait()
	close(stop)
	lost.Wait()
	s.proxy.Reset()
	if _, err := renewal(t.Context(), src); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	t.Logf("2 × %d rounds: %v", n, s.outcomes())
	s.oneSession()
}
