// Package gotests runs the Go packages that other programs import (client,
// client/oauth2source, verify) against the real server, through a proxy that
// loses answers, across processes and over kill -9. It holds only tests.
//
// TACET_SOAK=1 asks for the long form of those that are short by default.
package gotests

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/cli"
)

// The test binary is also the programs that tests start and kill: role says
// which, and the arguments follow.
const role = "TACET_GOTESTS_ROLE"

const (
	asServer = "server" // the tacet command line
	asClient = "client" // renewRounds: URL FILE ROUNDS
)

// soak is not for the children: the command line knows no such setting.
var soak bool

func TestMain(m *testing.M) {
	is := os.Getenv(role)
	soak = os.Getenv("TACET_SOAK") != ""
	_ = os.Unsetenv(role)
	_ = os.Unsetenv("TACET_SOAK")
	switch is {
	case asServer:
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case asClient:
		if err := renewRounds(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		// Tests in parallel wait more than they compute; the command line overrides.
		_ = flag.Set("test.parallel", "8")
		os.Exit(m.Run())
	}
}

// program prepares this binary as another program.
func program(t *testing.T, as string, args ...string) *exec.Cmd {
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), role+"="+as)
	return cmd
}

// rounds is short, or long in a soak.
func rounds(short, long int) int {
	if soak {
		return long
	}
	return short
}

// renewal renews what the source has, whatever trouble there is, as a program
// does that has nothing else to do. It gives up after about a minute.
func renewal(ctx context.Context, s *client.Source) (client.Token, error) {
	for range 1200 {
		tok, err := s.Token(ctx)
		if err == nil {
			tok, err = s.Renew(ctx, tok)
		}
		if _, ok := errors.AsType[*client.TemporaryError](err); !ok {
			return tok, err
		}
		time.Sleep(time.Duration(25+rand.IntN(50)) * time.Millisecond)
	}
	return client.Token{}, errors.New("a minute of trouble")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor waits for what happens soon; it gives up after about a minute.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 3000 {
		if done() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}
