package faults

import (
	"fmt"
	"strings"
	"testing"
)

// TestPostgres: two or three nodes on a database that is replicated.
func TestPostgres(t *testing.T) { each(t, true) }

// TestSQLite: one node on its own files.
func TestSQLite(t *testing.T) { each(t, false) }

func each(t *testing.T, database bool) {
	list := seeds(t)
	if len(list) == 0 {
		t.Parallel()
		pass(t, short(1), database)
		return
	}
	for _, seed := range list {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { pass(t, long(seed), database) })
	}
}

func pass(t *testing.T, p plan, database bool) {
	v := run(t, p, database)
	for i, wrong := range v.wrongs {
		if i == 5 {
			t.Errorf("and %d more", len(v.wrongs)-i)
			break
		}
		t.Error(wrong)
	}
	if v.renewals < p.Clients || v.robbed == 0 || v.unknown == 0 {
		t.Error("hardly anything has happened")
	}
}

// run makes a run and has it judged.
func run(t *testing.T, p plan, database bool) verdict {
	t.Helper()
	if p.Faults == nil {
		p.Faults = schedule(p, database)
	}
	t.Logf("FAULTS_SEED=%d, the faults are:\n%s", p.Seed, describe(p.Faults))
	w := newWorld(t, p, database)
	w.run(t.Context())
	v := w.judge()
	t.Log(v)
	for _, l := range w.losses {
		t.Logf("what was written from %.2fs to %.2fs was lost", l.From.Seconds(), l.Down.Seconds())
	}
	return v
}

// The oracle notices servers that are wrong.
func TestMutantsAreNoticed(t *testing.T) {
	if len(seeds(t)) > 0 {
		t.Skip("of the short form")
	}
	t.Parallel()
	for mutant, complaint := range map[string]string{
		"no caught_up":  "an honest client was signed out",
		"no revocation": "thief",
		"no comparison": "no order of the calls explains",
		"forgetful":     "the store has forgotten more than it was made to",
	} {
		if raced && mutant != "no caught_up" {
			continue // all four are tried where it is fast
		}
		t.Run(mutant, func(t *testing.T) {
			t.Parallel()
			p := short(2)
			p.Mutant, p.Clients, p.Thieves = mutant, 60, 8
			v := run(t, p, false)
			for _, wrong := range v.wrongs {
				if strings.Contains(wrong, complaint) {
					return
				}
			}
			t.Errorf("nobody said %q; there were %d complaints: %.2000s", complaint, len(v.wrongs), v.wrongs)
		})
	}
}
