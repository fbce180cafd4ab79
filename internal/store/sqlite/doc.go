// Package sqlite keeps everything that Tacet stores in one SQLite file,
// tacet.db, in a data directory. It holds no rule and reads no clock.
//
// # Writing
//
// One goroutine owns the one connection that writes. Writes that are asked for
// while a commit is under way wait in a queue and are then committed together,
// in one transaction with one fsync (group commit); a lone write goes at once.
// A call returns only after the COMMIT that holds its write, so what was
// acknowledged survives kill -9 and, as far as the disk keeps its word about
// fsync, a loss of power (WAL, synchronous=FULL).
//
// A caller whose context ends while it waits gets the context's error; its
// write may or may not be made, whole, as with any response that is lost.
//
// Functions that are handed in (the change of a user or role, Sweep's dead) run
// on that goroutine, inside the transaction: they must be quick, must not call
// the store, and may run again if the transaction had to be repeated.
//
// # Reading
//
// Reads use a few connections of their own. They see every write that returned
// before they began.
//
// # Several processes
//
// The command line may write to the file of a running server. SQLite's lock
// lets one transaction in at a time; a writer waits for it up to
// [Options.BusyTimeout]. [DB.ChangedElsewhere] tells caches about such writes.
//
// # Format
//
// Times are integer milliseconds since 1970 UTC, rounded down; texts that many
// sessions share (user agents, client ids) are stored once. A renewal changes
// one row in place, without making it longer, and no index.
package sqlite
