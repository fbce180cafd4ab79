package suite

import (
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/bench/proc"
	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/rotation"
)

// rounds makes a cell with so many renewals per second in each round.
func rounds(server string, k int, perSecond ...int64) *cell {
	c := &cell{Server: server, Clients: k}
	for _, n := range perSecond {
		c.Rounds = append(c.Rounds, load.RenewResult{
			Renewals: n, Elapsed: time.Second, P50: time.Millisecond, P99: 2 * time.Millisecond, Max: 3 * time.Millisecond,
			Usage: proc.Usage{User: time.Duration(n) * 90 * time.Microsecond, System: time.Duration(n) * 10 * time.Microsecond, RSS: 1 << 20, Written: 100 * n},
		})
	}
	return c
}

func TestRenewalTargetsCompareWithTheRunNextToThem(t *testing.T) {
	// The machine is slow in the last round, for both: the ratio is 0.9 in each.
	cells := []*cell{rounds(limitName, 128, 10000, 10000, 1000), rounds(tacetName, 128, 9000, 9000, 900)}
	half := []*cell{rounds(limitName, 128, 5000), rounds(tacetName, 128, 4500)}
	targets := renewalTargets(cells, half)
	if len(targets) != 3 || !targets[0].Met || targets[0].Measured != report.Ratio(0.9) {
		t.Fatalf("%+v", targets)
	}
	cells[1] = rounds(tacetName, 128, 7000, 7000, 7000)
	if renewalTargets(cells, half)[0].Met {
		t.Error("0.7 meets the target of 0.8")
	}
	if renewalTargets(cells[:1], half[:1]) != nil {
		t.Error("targets without a measurement")
	}
}

// With a database, the server's own CPU is held against the target of the
// server process, and everything is shown.
func TestRenewalTargetsTellServerAndDatabaseApart(t *testing.T) {
	c := rounds(postgresName, 128, 9000)
	r := &c.Rounds[0]
	r.Each = []proc.Usage{{User: 9000 * 70 * time.Microsecond}, {User: 9000 * 30 * time.Microsecond}}
	c.WAL = []float64{321.4}
	targets := renewalTargets([]*cell{rounds(limitName, 128, 10000), c}, []*cell{rounds(limitName, 128, 5000), rounds(postgresName, 128, 4500)})
	if len(targets) != 3 || targets[0].Measured != report.Ratio(0.9) || targets[1].Measured != report.Ratio(0.7) {
		t.Errorf("%+v", targets)
	}
	table := databaseTable([]*cell{rounds(limitName, 128, 1), c})
	if len(table.Rows) != 1 || table.Rows[0][1] != "70.0" || table.Rows[0][2] != "30.0" || table.Rows[0][3] != "321" {
		t.Errorf("%v", table.Rows)
	}
}

func TestRenewalTableHasACellForEveryHeader(t *testing.T) {
	cells := []*cell{rounds(limitName, 1, 10, 10), rounds("other", 1, 5, 5)}
	table := renewalTable("t", cells)
	for _, r := range table.Rows {
		if len(r) != len(table.Header) {
			t.Errorf("%d cells under %d headers: %v", len(r), len(table.Header), r)
		}
	}
	if got := table.Rows[1]; got[1] != "5" || got[2] != report.Ratio(0.5) || got[7] != "100.0" {
		t.Errorf("%v", got)
	}
	charts := renewalCharts(cells, []int{1})
	if len(charts) != 3 || len(charts[0].Series) != 2 || charts[0].Series[1].Values[0] != 5 {
		t.Errorf("%+v", charts)
	}
}

func TestOneMoveTellsHerdsApart(t *testing.T) {
	key := rotation.Key{ID: 1}
	child := func(generation uint32, parent, tag byte) string {
		head := rotation.Head{Generation: generation - 1, Tag: rotation.Tag{parent}}
		return rotation.Seal(key, rotation.Child(rotation.SessionID{7}, head, rotation.Tag{tag}))
	}
	if err := oneMove([]string{child(5, 1, 1), child(5, 1, 2), child(5, 1, 3)}); err != nil {
		t.Errorf("children of one parent: %v", err)
	}
	if err := oneMove([]string{child(5, 1, 1), child(6, 1, 2)}); err == nil {
		t.Error("two generations passed for one move")
	}
	if err := oneMove([]string{child(5, 1, 1), child(5, 2, 2)}); err == nil {
		t.Error("children of two parents passed for one move")
	}
	if err := oneMove([]string{"what is this"}); err == nil {
		t.Error("no token passed for one")
	}
}

func TestHerdReportCountsWritesAgainstOneRenewal(t *testing.T) {
	herd := func(cpu time.Duration, written int64) load.HerdResult {
		return load.HerdResult{Granted: 20, Usage: proc.Usage{User: cpu, Written: written}}
	}
	r := herdRound{Signatures: 3, Inside: 3, Single: herd(0, 8000), Herds: map[string]load.HerdResult{
		noopName: herd(20*time.Millisecond, 0), limitName: herd(50*time.Millisecond, 9000), tacetName: herd(30*time.Millisecond, 8000),
	}}
	var sec report.Section
	e := &Env{Settings: Settings{Herd: 2, Rounds: 1}}
	writeHerd(e, &sec, []string{noopName, limitName, tacetName}, []herdRound{r})
	for _, target := range sec.Targets {
		if !target.Met {
			t.Errorf("not met: %+v", target)
		}
	}
	r.Inside = 4
	r.Herds[tacetName] = load.HerdResult{Granted: 19, Errors: 1, Usage: proc.Usage{User: time.Second, Written: 16000}}
	writeHerd(e, &sec, []string{noopName, limitName, tacetName}, []herdRound{r})
	for _, target := range sec.Targets {
		if target.Met {
			t.Errorf("met: %+v", target)
		}
	}
}

func TestSizeReport(t *testing.T) {
	few := filled{Sessions: 1000, Empty: 4096, Created: 4096 + 200*1000, Renewed: 4096 + 200*1000}
	many := filled{Sessions: 100_000, Empty: 4096, Created: 4096 + 200*100_000, Renewed: 4096 + 201*100_000}
	start := func(ms int) []started {
		return []started{{Ready: time.Duration(ms) * time.Millisecond, RSS: 20 << 20}}
	}
	var sec report.Section
	writeSize(&Env{Settings: Settings{Rounds: 1}}, &sec, few, many, start(10), start(11))
	for _, target := range sec.Targets {
		if !target.Met {
			t.Errorf("not met: %+v", target)
		}
	}
	if got := sec.Tables[0].Rows[1]; got[1] != "200" || got[2] != "201" {
		t.Errorf("%v", got)
	}
	many.Renewed *= 2
	writeSize(&Env{Settings: Settings{Rounds: 1}}, &sec, few, many, start(10), start(30))
	for _, target := range sec.Targets {
		if target.Met {
			t.Errorf("met: %+v", target)
		}
	}
}

func TestNewSessionsAreOrderedByTimeAndHaveNoTwoAlike(t *testing.T) {
	at := time.UnixMilli(1_795_000_000_000)
	a, b := newSession(1, at), newSession(2, at.Add(time.Millisecond))
	if strings.Compare(string(a.ID[:]), string(b.ID[:])) >= 0 {
		t.Errorf("%x is not before %x", a.ID, b.ID)
	}
	if a.UserID == b.UserID || a.State.Head.Tag == b.State.Head.Tag || !a.Contact.Address.Is6() || !b.Contact.Address.Is4() {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// Signing and checking must agree, or the suite would measure refusals.
func TestVerifyFixtureIsAccepted(t *testing.T) {
	f, err := newVerifyFixture()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	v, err := f.verifier()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := f.sign(3)
	if err != nil {
		t.Fatal(err)
	}
	if tokens[0] == tokens[1] {
		t.Error("two tokens are alike")
	}
	for _, raw := range tokens {
		token, err := v.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if token.Subject() == "" {
			t.Error("no subject")
		}
	}
}
