package sqlite

import (
	"bufio"
	"fmt"
	"testing"

	"github.com/tacet-dev/tacet/rotation"
)

// TestNothingAcknowledgedIsLostByKill: a process that renews sessions is killed
// in the middle, ten times; what it had acknowledged is there.
func TestNothingAcknowledgedIsLostByKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]uint32{}
	for round := range 10 {
		kill := 60 + 17*round // lines after which the process dies
		cmd := helper(t, "rotate", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			var id string
			var generation uint32
			if n, _ := fmt.Sscan(scanner.Text(), &id, &generation); n != 2 {
				t.Fatalf("line %q", scanner.Text())
			}
			acknowledged[id] = generation
			if lines++; lines == kill {
				if err := cmd.Process.Kill(); err != nil { // SIGKILL; the rest of the pipe still counts
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || lines < kill {
			t.Fatalf("the process ended by itself after %d lines: %v", lines, err)
		}
		checkAcknowledged(t, dir, acknowledged)
	}
	if len(acknowledged) < 10*rotators/2 {
		t.Errorf("only %d sessions in ten rounds", len(acknowledged))
	}
}

func checkAcknowledged(t *testing.T, dir string, acknowledged map[string]uint32) {
	t.Helper()
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for text, generation := range acknowledged {
		id, err := rotation.ParseSessionID(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := db.Sessions().Get(t.Context(), id)
		if err != nil {
			t.Fatalf("acknowledged session %s: %v", text, err)
		}
		// The last renewal may have been committed and not told any more.
		if g := s.State.Head.Generation; g != generation && g != generation+1 {
			t.Errorf("session %s is at generation %d, acknowledged was %d", text, g, generation)
		}
	}
}
