// Package faults breaks a running Tacet in every way that its schedule knows,
// under honest clients and thieves, and has an oracle say whether anybody was
// wronged. It holds only tests.
//
// A run is made from a seed: which faults strike whom, when and for how long
// (schedule_test.go), on a deployment of real processes with proxies between
// all of them (world_test.go). Clients keep renewing meanwhile (honest_test.go,
// thief_test.go); every call and its answer is written down (record_test.go) and
// judged at the end (oracle_test.go, model_test.go).
//
// go test makes one short run on each store. FAULTS_SEEDS=20 asks for the long
// form with the seeds 1 to 20, FAULTS_SEED=n for the long form with that one,
// which is how a failure is repeated. What nodes and PostgreSQL have logged stays
// in a directory that the failure names.
package faults

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// The test binary is also the node that tests start and kill; its argument is
// the file with its configuration.
const role = "TACET_FAULTS_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "node" {
		if err := runNode(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	_ = flag.Set("test.parallel", "8") // they wait more than they compute; the command line overrides
	os.Exit(m.Run())
}

// plan is the size of a run.
type plan struct {
	Seed    uint64
	For     time.Duration // the faults; what comes before and after is extra
	Nodes   int
	Clients int
	Thieves int
	Least   int // renewals, however long they take

	Access   time.Duration // lifetime of access tokens
	Overlap  time.Duration
	Database time.Duration // a node's time-out of one call to PostgreSQL
	Patience time.Duration // a client's with one attempt
	Pace     time.Duration // between two renewals of a client, on average
	Longest  time.Duration // of one fault
	// Life is how long a request may still be on its way after its client has
	// given it up (PROTOCOL.md, section 8.1): the longest freeze, and what a node
	// needs at most to reach a decision, which is 6 s.
	// What is shorter than three quarters of Access package client waits by itself.
	Life time.Duration

	Mutant string // what is wrong with the nodes, for tests of the suite itself
	Faults []fault
}

func long(seed uint64) plan {
	return plan{Seed: seed, For: 20 * time.Second, Nodes: 3, Clients: 1000, Thieves: 40, Least: 2000,
		Access: 13 * time.Second, Overlap: 2 * time.Second, Database: 2 * time.Second, Patience: 4 * time.Second,
		Pace: 8 * time.Second, Longest: 2 * time.Second, Life: 9 * time.Second}
}

// short is for every test run: a few seconds of a few faults.
func short(seed uint64) plan {
	return plan{Seed: seed, For: 4 * time.Second, Nodes: 2, Clients: 150, Thieves: 10, Least: 300,
		Access: 11 * time.Second, Overlap: time.Second, Database: 2 * time.Second, Patience: 4 * time.Second,
		Pace: 600 * time.Millisecond, Longest: 500 * time.Millisecond, Life: 8 * time.Second}
}

// seeds are those of the long form that were asked for; none: the short form.
func seeds(t *testing.T) (list []uint64) {
	t.Helper()
	if s := os.Getenv("FAULTS_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("FAULTS_SEED=%s is not a number", s)
		}
		return []uint64{n}
	}
	if s := os.Getenv("FAULTS_SEEDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("FAULTS_SEEDS=%s is not a number: give how many seeds to run, from 1 on", s)
		}
		for i := range n {
			list = append(list, i+1)
		}
	}
	return list
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
