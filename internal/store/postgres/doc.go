// Package postgres keeps everything that Tacet stores in a PostgreSQL database
// that any number of nodes share. It holds no rule.
//
// # Renewals
//
// A renewal is one conditional UPDATE … RETURNING of one row, which touches no
// index (HOT) and does not lengthen the row. Renewals that are asked for while
// one statement is under way wait in a queue and go to the server together: one
// statement, one round trip, one commit for many sessions; a lone one goes at
// once, and one that has waited for long beside the other. Two for the same
// session never share a statement.
//
// # Other writes
//
// They are transactions of a few statements. Each begins by inserting a random
// mark (table tacet_attempts). When a connection breaks during COMMIT nobody
// knows whether it happened; the transaction is then made again with the same
// mark, and if the mark is there, or comes to be there while the server waits
// for the first attempt to end, it had happened. So nothing is lost and nothing
// is done twice. A renewal needs no mark: it is a compare-and-swap, and where
// its outcome is unknown the row is read and tells.
//
// # Events
//
// Their numbers come from one row (tacet_counters, "events") that the
// transaction updates last: it stays locked until the commit, so numbers are
// given in the order of commits, without gaps, and whoever has read a number
// has read all before it. A sequence could not promise that: a lower number may
// be committed after a higher one, and a reader that remembers the last number
// would miss it. The price is that transactions with events are committed one
// after the other. Those are sign-outs, revocations and changes of grants;
// renewals and sign-ins make none.
//
// LISTEN and NOTIFY only wake nodes up; what has happened is in the tables, and
// every node also looks there from time to time.
//
// # Poolers and databases of several machines
//
// No statement needs anything of the server's session, so a pooler may lend its
// connections by transaction (settings.go). Every statement about sessions
// changes one by its id or reads without locks, but for the batch of renewals,
// which can be turned off, and the sweep, which deletes by condition: a test
// looks at all of them.
//
// # SQL
//
// Statements keep to what PostgreSQL and the databases that speak its protocol
// share (CockroachDB, YugabyteDB, Citus, Aurora DSQL): no sequences, triggers,
// foreign keys or savepoints. The schema has two clauses that some of them do
// not know, COLLATE "C" and fillfactor; advisory locks (of a transaction) are
// used by migrations only, and a database without NOTIFY is polled. Only PostgreSQL is tested.
//
// Times are integer milliseconds since 1970 UTC, rounded down. The only times
// taken from a clock are how long a lease, a mark or a text is kept, and they
// are the database's.
package postgres
