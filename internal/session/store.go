package session

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/rotation"
)

// Contact is where a request came from. Address has no zone and is unmapped.
type Contact struct {
	Address   netip.Addr
	UserAgent string // at most MaxUserAgent bytes
}

// MaxUserAgent is how many bytes of a User-Agent header are kept.
const MaxUserAgent = 256

// Session is one sign-in on one device, as stored. Contact is that of the last
// presentation that moved the head (or of the sign-in).
type Session struct {
	ID       rotation.SessionID
	UserID   string
	ClientID string
	// Constraint is what a refresh token must be presented with.
	Constraint Constraint
	Details    string // Details.Encode
	State      rotation.State
	Contact    Contact
	End        End // zero while the session lives
}

// End says why and when a session was ended. Reason is a wire.Reason… name.
type End struct {
	Reason string
	At     time.Time
}

// Move makes a presented token the head.
type Move struct {
	ID         rotation.SessionID
	Condition  rotation.Condition // must hold, else ErrConflict
	Constraint Constraint         // must be that of the session, else ErrConflict
	Head       rotation.Head
	At         time.Time // becomes HeadAt
	Contact    Contact
}

// Errors of a Store. Any other error means that the store could not be reached
// or could not make the write durable; callers then change and clear nothing.
var (
	ErrNotFound = errors.New("session: not found")
	ErrConflict = errors.New("session: the stored state is not the expected one")
)

// Store keeps sessions. Every write that returned nil is durable, and all calls
// are linearisable per session. Times are stored to the millisecond.
// internal/store/storetest is this contract as tests.
type Store interface {
	// Create adds a session.
	Create(ctx context.Context, s Session) error
	// Get returns a session, living or ended, or ErrNotFound.
	Get(ctx context.Context, id rotation.SessionID) (Session, error)
	// Move replaces the head if the condition holds (rotation.Condition.Holds)
	// and the constraint is that of the session, and returns the session after
	// it; else ErrConflict (also when there is no such session).
	Move(ctx context.Context, m Move) (Session, error)
	// End ends a living session and appends the events in one transaction. It
	// returns ErrConflict, and appends nothing, if the session has ended
	// already, and ErrNotFound if there is none.
	End(ctx context.Context, id rotation.SessionID, e End, ev ...events.Event) error
	// List returns the user's sessions that have not ended, newest first. An
	// empty userID lists those of all users. Only sessions older than before
	// (by id order) are returned if it is not zero; at most limit.
	List(ctx context.Context, userID string, before rotation.SessionID, limit int) ([]Session, error)
	// Sweep looks at up to limit sessions after the id from, in id order, deletes
	// those for which dead reports true, and returns the last id it looked at (the
	// zero id at the end of the table) and how many it deleted.
	Sweep(ctx context.Context, from rotation.SessionID, limit int, dead func(Session) bool) (next rotation.SessionID, deleted int, err error)
}
