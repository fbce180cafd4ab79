// Package sim is the whole server in a simulated world: browsers, command-line
// clients and thieves, a network that loses and repeats, nodes that crash and whose
// clocks differ, and a store that slows down, goes away, forgets its last second
// and comes back from a backup. It has tests only.
//
// The server is the real one: internal/app composes it, requests go through its
// HTTP handler, tokens are signed and sealed by its key ring, background work runs
// in its own goroutines. Simulated are the time (testing/synctest), the store
// (the reference store of storetest behind a queue), the network, and everybody
// outside. Passwords are the exception: hashing them would be most of the work.
//
// One scheduler (world) decides what happens next. A request runs in a goroutine
// of its own, but wherever it could meet another one, at each call to the store, it
// waits for its turn, so that between two turns one goroutine moves at a time.
// Everything that is random comes from the seed. So the same seed gives the same
// history, to the last microsecond; TestSameSeedSameHistory holds it to that.
//
// The oracle knows what nobody in that world can know: who is a thief, what the
// store has really committed, what it has forgotten. It judges every response.
// Wrong servers (mutants) prove that it can.
//
//	go test ./internal/sim                           the short form
//	SIM_SEED=17 go test ./internal/sim -run Faults   one history again, with its trace if it fails
//	SIM_SEEDS=50 go test ./internal/sim -run Faults  that many
//	make test-sim                                    a million session-hours
//
// # Capacity
//
// testdata/capacity.txt says what one session asks of a server on a realistic day:
// renewals, writes, events, and how much more at the peak than on the mean. It is
// measured in this world and checked on every test run (TestCapacity); with -update
// it is written anew. docs/capacity.md calculates with it.
package sim
