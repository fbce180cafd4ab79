package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// Origin says which identity provider vouched for the user of a sign-in. The
// zero value: none, the user signed in here.
type Origin struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	SID     string `json:"sid,omitempty"` // the provider's session, if it has named one
	// Vouched is when the provider said so, by its own clock. It is not stored
	// with links.
	Vouched time.Time `json:"at,omitzero"`
}

// Link is a session and where it came from.
type Link struct {
	Origin
	Session rotation.SessionID
	At      time.Time // of the sign-in
}

// Links keeps which sessions began at an identity provider, so that they can be
// ended when it says so (OpenID Connect Back-Channel Logout 1.0), and notes of
// what it has said. NewLinks makes it of documents; tests have others. Writes are durable when they return; times are stored to
// the millisecond.
type Links interface {
	// AddLink adds a link, and deletes some of those older than before.
	AddLink(ctx context.Context, l Link, before time.Time) error
	// Links returns the links of an issuer that have this subject, this SID, or
	// both, in order of session; empty is any. At most limit.
	Links(ctx context.Context, issuer, subject, sid string, limit int) ([]Link, error)
	// RemoveLinks deletes the links of these sessions.
	RemoveLinks(ctx context.Context, ids []rotation.SessionID) error
	// Note keeps a note until the time given. To note something twice is no error.
	Note(ctx context.Context, n NoteKey, until time.Time) error
	// Noted returns until when a note is kept, or the zero time if there is none.
	Noted(ctx context.Context, n NoteKey) (until time.Time, err error)
}

// NoteKey names a note: a SHA-256 of what it is about.
type NoteKey [sha256.Size]byte

// NoteOf is the key of a note about these things.
func NoteOf(about ...string) NoteKey {
	return sha256.Sum256(fmt.Appendf(nil, "%q", about)) // quoted, so that no two lists are one text
}

// linkPage bounds how many links are read at once.
const linkPage = 200

// lateSignIn is how long the end of a provider's session is remembered, for
// sign-ins that it overtook.
const lateSignIn = time.Hour

// reasonUnfinished is a wire.Reason: the name is that of a sign-out because the
// user never saw the session.
const reasonUnfinished = "signed_out"

func (s *Service) link(ctx context.Context, sess Session, o Origin) error {
	if s.cfg.Links == nil {
		return unavailable(errNoLinks)
	}
	now := s.Now()
	// By any policy in force, sessions that old are over and swept.
	old := now.Add(-s.cfg.Lifetimes.Absolute - Retention)
	if err := s.cfg.Links.AddLink(ctx, Link{Origin: o, Session: sess.ID, At: now}, old); err != nil {
		return unavailable(err)
	}
	if o.SID == "" {
		return nil
	}
	// The provider may have ended its session while this one was being started.
	// Should it use the same SID again, what it said since then counts.
	until, err := s.cfg.Links.Noted(ctx, sidNote(o.Issuer, o.SID))
	switch {
	case err != nil:
		return unavailable(err)
	case !until.IsZero() && !o.Vouched.After(until.Add(-lateSignIn)):
		return &Refusal{rotation.Ended}
	}
	return nil
}

func sidNote(issuer, sid string) NoteKey { return NoteOf("sid", issuer, sid) }

// EndFrom ends the sessions that began at a provider: those of its session SID,
// or, without one, all of the subject, because of what it said at the time
// o.Vouched. It returns how many it ended.
func (s *Service) EndFrom(ctx context.Context, o Origin, reason string) (ended int, err error) {
	if o.Subject == "" && o.SID == "" || s.cfg.Links == nil {
		return 0, nil
	}
	if o.SID != "" {
		if err := s.cfg.Links.Note(ctx, sidNote(o.Issuer, o.SID), o.Vouched.Add(lateSignIn)); err != nil {
			return 0, unavailable(err)
		}
	}
	for {
		list, err := s.cfg.Links.Links(ctx, o.Issuer, o.Subject, o.SID, linkPage)
		if err != nil {
			return ended, unavailable(err)
		}
		ids := make([]rotation.SessionID, len(list))
		for i, l := range list {
			ids[i] = l.Session
			switch err := s.End(ctx, l.Session, reason); {
			case err == nil:
				ended++
			case !errors.Is(err, ErrNotFound):
				return ended, err
			}
		}
		// What is over needs no link any more, and the next page begins behind it.
		if len(ids) > 0 {
			if err := s.cfg.Links.RemoveLinks(ctx, ids); err != nil {
				return ended, unavailable(err)
			}
		}
		if len(list) < linkPage {
			return ended, nil
		}
	}
}

// Noted returns until when a note is kept, or the zero time ([Links]).
func (s *Service) Noted(ctx context.Context, n NoteKey) (time.Time, error) {
	if s.cfg.Links == nil {
		return time.Time{}, unavailable(errNoLinks)
	}
	until, err := s.cfg.Links.Noted(ctx, n)
	if err != nil {
		return time.Time{}, unavailable(err)
	}
	return until, nil
}

// Note keeps a note until the time given ([Links]).
func (s *Service) Note(ctx context.Context, n NoteKey, until time.Time) error {
	if s.cfg.Links == nil {
		return unavailable(errNoLinks)
	}
	if err := s.cfg.Links.Note(ctx, n, until); err != nil {
		return unavailable(err)
	}
	return nil
}

var errNoLinks = errors.New("no store of links is configured")
