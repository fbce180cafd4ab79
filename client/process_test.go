package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
)

// The test binary runs itself as the other process: childEnv holds the auth
// server's URL, and the arguments are in the other variables.
const (
	childEnv  = "TACET_CLIENT_TEST_CHILD"
	fileEnv   = "TACET_CLIENT_TEST_FILE"
	roundsEnv = "TACET_CLIENT_TEST_ROUNDS"
	// soakEnv asks for the long form of tests that are short by default.
	soakEnv = "TACET_SOAK"
)

// child renews as often as it is told to, on the shared file, and survives
// trouble. It exits with 0 unless it was signed out.
func child() int {
	rounds, _ := strconv.Atoi(os.Getenv(roundsEnv))
	if err := renewRounds(os.Getenv(childEnv), os.Getenv(fileEnv), rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func renewRounds(url, file string, rounds int) error {
	store, err := client.NewFileStore(file)
	if err != nil {
		return err
	}
	s, err := client.New(client.Config{URL: url, Store: store})
	if err != nil {
		return err
	}
	defer s.Close()
	for trouble := 0; rounds > 0; {
		tok, err := s.Token(context.Background())
		if err == nil {
			_, err = s.Renew(context.Background(), tok)
		}
		if t, ok := errors.AsType[*client.TemporaryError](err); ok && trouble < 20 {
			trouble++
			time.Sleep(t.RetryAfter)
			continue
		} else if err != nil {
			return err
		}
		rounds--
	}
	return nil
}

// shared is a server and a token file that somebody signed in to.
func shared(t *testing.T) (auth authority, watch *fakeauth.Watch, url, file string) {
	auth = newAuthority(15 * time.Minute)
	watch = fakeauth.NewWatch(auth)
	srv := httptest.NewServer(watch)
	t.Cleanup(srv.Close)
	url, file = srv.URL+"/auth", filepath.Join(t.TempDir(), "token.json")
	store, err := client.NewFileStore(file)
	must(t, err)
	s, err := client.New(client.Config{URL: url, Store: store})
	must(t, err)
	defer s.Close()
	_, err = s.SignIn(t.Context(), fakeauth.Username, fakeauth.Password)
	must(t, err)
	return auth, watch, url, file
}

func childProcess(t *testing.T, url, file string, rounds int) *exec.Cmd {
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+url, fileEnv+"="+file, roundsEnv+"="+strconv.Itoa(rounds))
	cmd.Stderr = os.Stderr
	return cmd
}

func TestTwoProcessesShareATokenFile(t *testing.T) {
	rounds := 500
	if os.Getenv(soakEnv) != "" {
		rounds = 1000
	}
	auth, watch, url, file := shared(t)
	var wg sync.WaitGroup
	for range 2 {
		cmd := childProcess(t, url, file, rounds)
		must(t, cmd.Start())
		wg.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("a process gave up: %v", err)
			}
		})
	}
	wg.Wait()
	n := watch.Good(refreshPath)
	t.Logf("2 × %d rounds: %d renewals", rounds, n)
	if auth.Refused() != 0 || auth.Living() != 1 {
		t.Errorf("%d presentations refused, %d sessions left", auth.Refused(), auth.Living())
	}
	if n < rounds || n > 2*rounds {
		t.Errorf("%d renewals", n)
	}
}

// Processes die at any moment, also with the lock held or with an answer that
// they had no time to store; answers get lost besides. Nobody is signed out,
// nobody is blocked.
func TestProcessesThatDieTakeNothingWithThem(t *testing.T) {
	deaths := 25
	if os.Getenv(soakEnv) != "" {
		deaths = 500
	}
	auth, watch, url, file := shared(t)
	watch.Plan(func(*http.Request) fakeauth.Fault {
		switch rand.IntN(10) {
		case 0:
			return fakeauth.Fault{Kind: fakeauth.LoseAnswer}
		case 1, 2, 3:
			return fakeauth.Fault{Kind: fakeauth.Slow, Delay: time.Duration(rand.IntN(20)) * time.Millisecond}
		}
		return fakeauth.Fault{}
	})
	for range deaths {
		from := watch.Calls(refreshPath)
		cmd := childProcess(t, url, file, 1_000_000)
		must(t, cmd.Start())
		busy := from + 1 + rand.IntN(8)
		for range 6000 { // until it is in the middle of its work, a minute at most
			if watch.Calls(refreshPath) >= busy {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		if cmd.ProcessState.Exited() || watch.Calls(refreshPath) < busy {
			t.Fatalf("a process gave up: %v", cmd.ProcessState)
		}
	}
	t.Logf("%d deaths, %d renewals", deaths, watch.Good(refreshPath))
	watch.Plan(nil)
	must(t, renewRounds(url, file, 3))
	if auth.Refused() != 0 || auth.Living() != 1 {
		t.Errorf("%d presentations refused, %d sessions left", auth.Refused(), auth.Living())
	}
}

// What one process did, the others see: a sign-out ends them, a sign-in wakes
// them up, a renewal saves them theirs.
func TestSourcesOnOneFile(t *testing.T) {
	auth, watch, url, file := shared(t)
	open := func() *client.Source {
		store, err := client.NewFileStore(file)
		must(t, err)
		s, err := client.New(client.Config{URL: url, Store: store})
		must(t, err)
		t.Cleanup(s.Close)
		return s
	}
	a, b := open(), open()
	old, err := a.Token(t.Context())
	must(t, err)
	if tok, err := b.Token(t.Context()); err != nil || tok.AccessToken != old.AccessToken || watch.Calls(refreshPath) != 0 {
		t.Fatalf("the stored token was not used: %v, %d calls", err, watch.Calls(refreshPath))
	}
	renewed, err := a.Renew(t.Context(), old)
	must(t, err)
	if tok, err := b.Renew(t.Context(), old); err != nil || tok.AccessToken != renewed.AccessToken || watch.Good(refreshPath) != 1 {
		t.Fatalf("the other's renewal was not used: %v, %d renewals", err, watch.Good(refreshPath))
	}
	must(t, a.SignOut(t.Context()))
	_, err = b.Renew(t.Context(), renewed)
	wantErr[*client.SignedOutError](t, err)
	_, err = a.SignIn(t.Context(), fakeauth.Username, fakeauth.Password)
	must(t, err)
	if _, err = b.Token(t.Context()); err != nil || auth.Refused() != 0 {
		t.Errorf("after a new sign-in: %v", err)
	}
}
