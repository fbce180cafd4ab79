// Package events is what happened, committed in the same transaction as what
// it tells and numbered by the store.
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
