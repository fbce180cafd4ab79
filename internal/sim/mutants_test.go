package sim

import (
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// mutant is a way in which the server is wrong. The store is where it can be bent
// from outside.
type mutant struct {
	name  string
	move  func(sessions, session.Move) (session.Session, error)
	end   func(sessions, rotation.SessionID, session.End, ...events.Event) (done bool, err error)
	sweep func(*world, session.Session) bool
	keys  func([]keys.Key) []keys.Key
	tune  func(*scenario)
}
