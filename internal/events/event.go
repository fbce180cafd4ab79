// Package events is what happened, committed in the same transaction as what
// it tells and numbered by the store.
//
// The table is the truth; what is kept here is a copy of its end. A [Hub] reads
// the events that were committed, by this process or another one, and hands
// them to whoever subscribed. Being told of a commit (Config.Wake) and looking
// from time to time (Config.Poll) only make it look: nothing depends on a
// message arriving. Since numbers grow in the order of commits, whoever has seen
// a number has seen everything before it, and can go on from there.
//
// Nobody is waited for. A subscriber that does not keep up is dropped, and comes
// back with the last number that it has seen: the ring in memory serves those
// who were away for a moment ([Hub.Subscribe]), the table those who need every
// event ([Hub.Replay]); who was away for too long is told to start over.
package events

import "time"

// Event is one committed change. Seq is given by the store and grows; Kind is a
// wire.Event… name; Data is the JSON of that kind's payload.
type Event struct {
	Seq       int64
	At        time.Time
	Kind      string
	UserID    string
	SessionID string // canonical text, empty if the event is not about one session
	Data      []byte
}
