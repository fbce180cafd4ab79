package wire

import "strconv"

// The feed tells resource servers which sessions have ended and whose grants
// have changed, so that they need not ask per request. It is a stream of
// server-sent events at PathFeed below the base path, for callers with the
// feed's secret as bearer token. What the server promises:
//
//   - The first event is EventFeedHello.
//   - A reader that sends Last-Event-ID: N, where N was the id of a tick
//     ([FeedID]), is sent every event with a number above that tick's seq. If the
//     server cannot do that (no N, one that is pruned, too old, or from a history
//     that a restored backup has undone) it says reset and sends every session.ended and grants.changed
//     of the last access_ttl + FeedMargin seconds: older ones concern no token
//     that still lives. A reader need not forget anything on a reset: an ended
//     session stays ended, and a grants_version never goes down.
//   - EventFeedTick follows when all of that has been sent, and from then on
//     every tick seconds. It means: everything that was committed up to seq, and
//     so everything before now, stands above this line. Silence for three times
//     as long means that the connection is dead.
//   - Events may come twice and in any order. A slow reader is disconnected
//     rather than skipped over.
const (
	PathFeed = "/feed" // GET, text/event-stream, resource servers only

	EventFeedHello = "hello"
	EventFeedTick  = "tick"
	// Beside these: EventSessionEnded with FeedSessionEnded, EventGrantsChanged
	// with FeedGrantsChanged, and EventKeysRotated with {}. Readers skip others.

	// FeedMargin is how many seconds longer than an access token lives an event
	// is kept for readers, and by them: it covers their leeway and clocks that
	// are wrong, up to 5 minutes together.
	FeedMargin = 300
)

// FeedHello is the data of the first event of a connection.
type FeedHello struct {
	Now       string `json:"now"`        // the server's clock, RFC 3339 with fraction
	Seq       int64  `json:"seq"`        // number of the last event committed
	AccessTTL int64  `json:"access_ttl"` // longest life of an access token, seconds
	Tick      int64  `json:"tick"`       // seconds between ticks
	Reset     bool   `json:"reset"`      // start over: see above
}

// FeedTick says how far the feed has come.
type FeedTick struct {
	Now string `json:"now"` // taken before the events up to Seq were read
	Seq int64  `json:"seq"`
	// Mark tells the event with the number Seq from another one that has got
	// the same number after a backup was restored. Empty: not known.
	Mark string `json:"mark,omitempty"`
}

// FeedID is the id of a tick, to be sent as Last-Event-ID.
func FeedID(seq int64, mark string) string {
	id := strconv.FormatInt(seq, 10)
	if mark != "" {
		id += "-" + mark
	}
	return id
}

// FeedSessionEnded is the data of session.ended on the feed.
type FeedSessionEnded struct {
	SessionID string `json:"session_id"`
	UserID    string `json:"user_id,omitempty"`
	Reason    string `json:"reason,omitempty"`
	At        string `json:"at"` // by the server's clock, RFC 3339
}

// FeedGrantsChanged is the data of grants.changed on the feed: access tokens of
// the user with a smaller grants_version are stale.
type FeedGrantsChanged struct {
	UserID        string `json:"user_id"`
	GrantsVersion int64  `json:"grants_version"`
	At            string `json:"at"`
}
