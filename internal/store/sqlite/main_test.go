package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Helper processes are this test binary again, with the directory to work on in
// the environment.
const helperEnv, helperDirEnv = "TACET_STORE_TEST_HELPER", "TACET_STORE_TEST_DIR"

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) == "" {
		os.Exit(m.Run())
	}
	if err := helpers[os.Getenv(helperEnv)](os.Getenv(helperDirEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var helpers = map[string]func(dir string) error{
	"rotate":   rotateUntilKilled,
	"replacer": replaceRings,
}

func helper(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), helperEnv+"="+name, helperDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

const rotators = 6

// rotateUntilKilled renews sessions of its own and writes "id generation" for
// each write that was acknowledged. Ids start where the directory's end.
func rotateUntilKilled(dir string) error {
	ctx := context.Background()
	db, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	st := db.Sessions()
	list, err := st.List(ctx, "", rotation.SessionID{}, 1)
	if err != nil {
		return err
	}
	base := uint64(0)
	if len(list) > 0 {
		base = binary.BigEndian.Uint64(list[0].ID[:8])
	}
	failed := make(chan error, rotators)
	var running sync.WaitGroup
	for i := range rotators {
		running.Go(func() {
			s := benchSession(0)
			binary.BigEndian.PutUint64(s.ID[:8], base+1+uint64(i))
			if err := st.Create(ctx, s); err != nil {
				failed <- err
				return
			}
			for n := range 100_000 {
				fmt.Printf("%s %d\n", s.ID, s.State.Head.Generation) // one write(2): the parent sees it whole
				// A lull after some acknowledgements: what is not durable yet when
				// they are given then stays so, until the kill comes.
				time.Sleep(time.Duration((i+n)%5) * time.Millisecond)
				h := rotation.Head{Generation: s.State.Head.Generation + 1, Tag: rotation.Tag{byte(n), byte(n >> 8), 1}, Parent: s.State.Head.Tag}
				if s, err = st.Move(ctx, session.Move{ID: s.ID, Condition: s.State.Condition(), Head: h, At: s.State.HeadAt, Contact: s.Contact}); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	running.Wait()
	return <-failed
}
