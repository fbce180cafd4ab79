// Package sharded keeps sessions in several PostgreSQL databases.
//
// One of them is the home: users, roles, keys, OAuth clients and the log of
// events are there, and nowhere else. Sessions are in the home, which is shard
// 0, and in any number of further shards.
//
// # Which session is where
//
// The id of a session says it. In shard 0 ids are UUIDs of version 7, as they are
// without shards. Elsewhere they are of version 8 (RFC 9562 §5.8), laid out alike,
// with the number of the shard in the 12 bits behind the version: no id that was
// given before there were shards can be mistaken, and ids stay in order of time.
// New sessions of a user go to one of the open shards by a hash of the user's id
// (rendezvous hashing). Nothing that exists ever moves: to add a shard moves no
// session, and of the users it takes only those over, for new sessions, that it
// gets.
//
// # Events
//
// A session's end and its events are one transaction, in the session's shard. From
// the log there they are relayed into the log of the home, in a transaction that
// also moves the home's cursor into the shard's log: whoever dies when, each event
// gets there once. All nodes relay; who is late finds the cursor moved. If a
// shard's log went back, because a backup was restored or a standby promoted that
// lacked the last writes, what it holds then is relayed again, and hearing of
// something twice changes nothing.
//
// # A shard that is down
//
// Its sessions cannot be renewed; everything else goes on, and new sessions go to
// other shards. It is looked at every second. What asks for all sessions of a
// user fails, with [session.ErrIncomplete] and those of the other shards.
package sharded
