package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// End ends one session. Ending one that is over already is not an error;
// ErrNotFound says that there is none. Reason is a wire.Reason… name.
func (s *Service) End(ctx context.Context, id rotation.SessionID, reason string) error {
	sess, err := s.cfg.Store.Get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return err
	}
	if err != nil {
		return unavailable(err)
	}
	return s.end(ctx, sess, reason)
}

func (s *Service) end(ctx context.Context, sess Session, reason string) error {
	now := s.Now()
	err := s.cfg.Store.End(ctx, sess.ID, End{Reason: reason, At: now}, ended(sess, reason, now))
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return unavailable(err)
}

// EndAll ends every living session of a user, but not the one called except
// (zero: none is spared), and makes void what the user has approved before. If some cannot be reached, the others are ended all the
// same, and the error says that it must be done again.
func (s *Service) EndAll(ctx context.Context, userID, reason string, except rotation.SessionID) error {
	if v, ok := s.cfg.Directory.(Voider); ok {
		// First: what is started in between is ended below.
		if err := v.Void(ctx, userID); err != nil {
			return unavailable(err)
		}
	}
	return s.each(ctx, userID, rotation.SessionID{}, func(sess Session) error {
		if sess.ID == except {
			return nil
		}
		return s.end(ctx, sess, reason)
	})
}

// revoke ends a session of which two parties hold copies, and tells who.
func (s *Service) revoke(ctx context.Context, sess Session, presenter Contact, now time.Time) error {
	data := mustJSON(wire.ReuseDetected{
		SessionID: sess.ID.String(),
		Head:      sess.Contact.wire(),
		Presented: presenter.wire(),
		HeadAt:    sess.State.HeadAt.UTC().Format(time.RFC3339Nano),
		At:        now.Format(time.RFC3339Nano),
	})
	reuse := events.Event{At: now, Kind: wire.EventReuseDetected, UserID: sess.UserID, SessionID: sess.ID.String(), Data: data}
	err := s.cfg.Store.End(ctx, sess.ID, End{Reason: wire.ReasonReuseDetected, At: now},
		reuse, ended(sess, wire.ReasonReuseDetected, now))
	if err == nil {
		s.cfg.Logger.Warn("a refresh token was presented that only a copy can be; the session is revoked",
			"event", wire.EventReuseDetected, "session", sess.ID.String(), "user", sess.UserID,
			"head_address", sess.Contact.Address.String(), "head_user_agent", sess.Contact.UserAgent,
			"presented_address", presenter.Address.String(), "presented_user_agent", presenter.UserAgent)
	}
	return err
}

func ended(sess Session, reason string, now time.Time) events.Event {
	id := sess.ID.String()
	return events.Event{At: now, Kind: wire.EventSessionEnded, UserID: sess.UserID, SessionID: id,
		Data: mustJSON(wire.SessionEnded{SessionID: id, Reason: reason})}
}

func (c Contact) wire() wire.Contact {
	w := wire.Contact{UserAgent: c.UserAgent}
	if c.Address.IsValid() {
		w.Address = c.Address.String()
	}
	return w
}

// Living returns a session that is neither ended nor expired, else a *Refusal.
func (s *Service) Living(ctx context.Context, id rotation.SessionID) (Session, error) {
	sess, err := s.cfg.Store.Get(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return Session{}, &Refusal{rotation.Ended}
	case err != nil:
		return Session{}, unavailable(err)
	case sess.State.Ended:
		return Session{}, &Refusal{rotation.Ended}
	case s.cfg.Lifetimes.Expired(sess.State, s.Now()):
		return Session{}, &Refusal{rotation.Expired}
	}
	return sess, nil
}

// maxListed bounds what one response lists.
const maxListed = 1000

// List returns the living sessions of a user (of everybody if userID is empty),
// newest first; at most 1,000.
func (s *Service) List(ctx context.Context, userID string) ([]Session, error) {
	return s.Page(ctx, userID, rotation.SessionID{}, maxListed)
}

// Page is List from the session before on (zero: from the newest), which it
// leaves out; at most limit.
func (s *Service) Page(ctx context.Context, userID string, before rotation.SessionID, limit int) ([]Session, error) {
	var out []Session
	err := s.each(ctx, userID, before, func(sess Session) error {
		if len(out) == limit {
			return errEnough
		}
		out = append(out, sess)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return out, nil
}

var errEnough = errors.New("enough")

// each calls f with every living session of a user, newest first, from before on
// as in Page.
func (s *Service) each(ctx context.Context, userID string, before rotation.SessionID, f func(Session) error) error {
	const page = 200
	now := s.Now()
	for {
		list, err := s.cfg.Store.List(ctx, userID, before, page)
		if err != nil {
			return unavailable(err)
		}
		for _, sess := range list {
			if s.cfg.Lifetimes.Expired(sess.State, now) {
				continue
			}
			if err := f(sess); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		before = list[len(list)-1].ID
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("session: encode event: %v", err)) // plain structs of strings cannot fail
	}
	return b
}
