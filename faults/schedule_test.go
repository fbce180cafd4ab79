package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// fault is one line of a schedule.
type fault struct {
	At, For time.Duration
	Kind    string
	Node    int   // where it is about one
	Param   int64 // permille, or milliseconds
}

func (f fault) String() string {
	return fmt.Sprintf("%6.2fs %5.2fs  %s node %d, %d", f.At.Seconds(), f.For.Seconds(), f.Kind, f.Node, f.Param)
}

// Kinds of faults. Those of the first list are about a node and its clients, those
// of the second about the database and the way to it.
var (
	nodeFaults  = []string{killNode, restartNode, freezeNode, resetClients, slowClients, partitionClients, loseAnswers, skewClock}
	storeFaults = []string{killDatabase, freezeDatabase, cutCommits, slowDatabase, partitionDatabase}
)

const (
	killNode         = "kill node"
	restartNode      = "restart node"
	freezeNode       = "freeze node"
	resetClients     = "reset clients"
	slowClients      = "slow clients"
	partitionClients = "partition clients"
	loseAnswers      = "lose answers"
	skewClock        = "skew clock"

	killDatabase      = "kill database"
	freezeDatabase    = "freeze database"
	cutCommits        = "cut commits"
	slowDatabase      = "slow database"
	partitionDatabase = "partition database"

	backUp         = "back up"
	promoteReplica = "promote replica"
	restoreBackup  = "restore backup"
)

// isLong tells the forms apart.
func (p plan) isLong() bool { return p.For > 10*time.Second }

// schedule draws the faults of a run: one after the other about nodes and, at the
// same time, one after the other about the database. At fixed times the store
// loses acknowledged writes: a replica without the last of them is promoted, and
// a backup is restored.
func schedule(p plan, database bool) (list []fault) {
	random := rand.New(rand.NewPCG(p.Seed, 1<<40))
	var special []fault
	if database {
		special = append(special, fault{At: p.For * 40 / 100, For: min(p.Longest, time.Second), Kind: promoteReplica})
	}
	if p.isLong() || !database {
		special = append(special, fault{At: p.For * 15 / 100, Kind: backUp}, fault{At: p.For * 80 / 100, Kind: restoreBackup})
		if database {
			special = append(special, fault{At: p.For * 65 / 100, For: time.Second, Kind: promoteReplica})
		}
	}
	// Nothing else happens to a database that is being replaced, nor to the only
	// node on its files.
	apart := func(lane []fault) []fault {
		return slices.DeleteFunc(lane, func(f fault) bool {
			return slices.ContainsFunc(special, func(s fault) bool {
				return f.At < s.At+s.For+p.For/10 && s.At < f.At+f.For+p.Longest/2
			})
		})
	}
	list = lane(p, random, nodeFaults)
	if database {
		list = append(list, apart(lane(p, random, storeFaults))...)
	} else {
		list = apart(list)
	}
	list = append(list, special...)
	slices.SortFunc(list, func(a, b fault) int { return cmp.Compare(a.At, b.At) })
	return list
}

func lane(p plan, random *rand.Rand, kinds []string) (list []fault) {
	var order []int
	for at := p.Longest / 2; ; {
		if len(list)%len(kinds) == 0 {
			order = random.Perm(len(kinds)) // each comes up before any comes twice
		}
		f := fault{At: at, For: p.Longest/4 + time.Duration(random.Int64N(int64(p.Longest*3/4))),
			Kind: kinds[order[len(list)%len(kinds)]], Node: random.IntN(p.Nodes)}
		switch f.Kind {
		case resetClients, loseAnswers, cutCommits:
			f.Param = 100 + random.Int64N(500)
		case slowClients, slowDatabase:
			f.Param = 20 + random.Int64N(200)
		case skewClock:
			f.Param = random.Int64N(240_000) - 120_000
		}
		if f.At+f.For > p.For {
			return list
		}
		list = append(list, f)
		at += f.For + p.Longest/4 + time.Duration(random.Int64N(int64(p.Longest/2)))
	}
}

func describe(list []fault) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}
