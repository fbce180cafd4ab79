package session

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Presentation is a refresh token as it was presented, and what the request has
// shown beside it.
type Presentation struct {
	Token rotation.Token // from Open or FromCarried
	// Kept is a second token of the session, which the browser has added by itself
	// (rotation.Choose); zero: none. Its request came from no foreign page.
	Kept    rotation.Token
	Contact Contact
	Client  Client
	// Owner, if set, reports whether the user with this id is the one whom the
	// request names.
	Owner   func(userID string) bool
	Binding Binding
	// Scope is what the access token is to grant at most, and Resource who it is to be
	// for (RFC 6749 §6, RFC 8707 §2.2). Empty: what the session has.
	Scope, Resource string
	// Forged is why the request may come from a foreign page. Nil: it does not,
	// or no browser has added the token by itself.
	Forged error
}

// shows is the constraint that the presentation meets.
func (p *Presentation) shows() Constraint { return p.Client.constraint(p.Binding) }

// check makes the checks that need the session: proof of possession, client,
// owner, scope and audience. own is the audience of the service.
func (p *Presentation) check(s Session, own string) error {
	if err := p.shows().unmet(s.Constraint); err != nil {
		return err
	}
	if err := p.Client.mayUse(s); err != nil {
		return err
	}
	if p.Owner != nil && !p.Owner(s.UserID) {
		return ErrOwner
	}
	if p.Scope == "" && p.Resource == "" {
		return nil
	}
	d, err := DecodeDetails(s.Details)
	switch {
	case err != nil:
		return unavailable(err)
	case d.exceeds(p.Scope):
		return ErrScope
	case p.Resource != "" && !SameAudience(p.Resource, cmp.Or(d.Audience, own)):
		return ErrAudience
	}
	return nil
}

// Refresh is the response to a presented refresh token: all checks, then the
// decision, then the tokens (PROTOCOL.md §5). The error is Forged, ErrClient,
// ErrProof, ErrOwner, ErrScope or ErrAudience of the presentation, a *Refusal, or wraps ErrUnavailable.
func (s *Service) Refresh(ctx context.Context, p Presentation) (Grant, error) {
	d, err := s.present(ctx, p)
	if err != nil {
		return Grant{}, err
	}
	now := s.Now()
	seen := d.seen(p, now)
	if !d.Outcome.Granted() {
		s.observe(seen)
		return Grant{}, &Refusal{d.Outcome}
	}
	user, err := s.cfg.Directory.Grants(ctx, d.session.UserID)
	if errors.Is(err, ErrNoUser) {
		if err := s.end(ctx, d.session, wire.ReasonUserDisabled); err != nil {
			return Grant{}, err
		}
		return Grant{}, &Refusal{rotation.Ended}
	}
	if err != nil {
		return Grant{}, unavailable(err)
	}
	r := response{session: d.session, user: user, binding: p.Binding, scope: p.Scope, mints: d.Outcome.Mints(), now: now}
	if d.repeated { // the usual renewal is not, and need not be remembered
		r.presented = &d.token
	}
	g, minted, err := s.grant(r)
	if err != nil {
		return Grant{}, err
	}
	seen.Minted = minted
	s.observe(seen)
	return g, nil
}

// Confirm makes a token that the client has stored the head at once, so that
// its parent is dead (PROTOCOL.md, "Confirm"). Errors are those of Refresh.
func (s *Service) Confirm(ctx context.Context, p Presentation) error {
	d, err := s.present(ctx, p)
	if err != nil {
		return err
	}
	s.observe(d.seen(p, s.Now()))
	if !d.Outcome.Granted() {
		return &Refusal{d.Outcome}
	}
	return nil
}

// Peek returns the session of a token (from Open) that Refresh would accept,
// else a *Refusal. It changes nothing, whatever it finds: reading with a cookie
// is no renewal, and a copy that turns up here is found out when it renews.
func (s *Service) Peek(ctx context.Context, t rotation.Token) (Session, error) {
	sess, err := s.Living(ctx, t.Session)
	if err != nil {
		return Session{}, err
	}
	if d := rotation.Decide(sess.State, t, s.cfg.Lifetimes.Policy, s.Now()); !d.Outcome.Granted() {
		return Session{}, &Refusal{d.Outcome}
	}
	return sess, nil
}

// decision is a decision that has been applied.
type decision struct {
	rotation.Decision
	token    rotation.Token // that it is about
	session  Session        // after it
	repeated bool           // others present, or have presented, the same token
}

func (d *decision) seen(p Presentation, now time.Time) Decided {
	return Decided{Session: p.Token.Session, Presented: d.token, Outcome: d.Outcome, Contact: p.Contact,
		Head: d.Head, HeadFrom: d.session.Contact, At: now}
}

// present makes all checks, then decides and applies the decision. Equal
// presentations that are in flight together share one decision.
func (s *Service) present(ctx context.Context, p Presentation) (decision, error) {
	shown, err := s.admit(ctx, p)
	if err != nil {
		return decision{}, s.undecided(err)
	}
	v, err, shared := s.inFlight.Do(flightKey(p, shown), func() (any, error) {
		return s.decide(within{s.deadline.context(), ctx}, p, shown)
	})
	if err != nil {
		return decision{}, s.undecided(err)
	}
	d := v.(decision)
	d.repeated = shared || d.Outcome != rotation.Advanced
	return d, nil
}

// admit makes the checks that come before the decision, and returns the
// constraint that the presentation meets. Where nothing but the constraint is to
// be checked, the write that applies the decision does it.
func (s *Service) admit(ctx context.Context, p Presentation) (Constraint, error) {
	if p.Forged != nil {
		return "", p.Forged
	}
	if p.Client.ID == "" && p.Owner == nil && p.Scope == "" && p.Resource == "" {
		return p.shows(), nil
	}
	sess, err := s.Get(ctx, p.Token.Session)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", &Refusal{rotation.Ended}
	case err != nil:
		return "", err
	}
	return sess.Constraint, p.check(sess, s.cfg.Audience)
}

func flightKey(p Presentation, c Constraint) string {
	k := make([]byte, 0, 2*(16+4+8+8)+len(c))
	for _, t := range []rotation.Token{p.Token, p.Kept} {
		k = append(k, t.Session[:]...)
		k = binary.BigEndian.AppendUint32(k, t.Generation)
		k = append(append(k, t.Tag[:]...), t.Parent[:]...)
	}
	return string(append(k, c...))
}

// maxAttempts bounds the compare-and-swap loop. Every conflict means that some
// other presentation of the same session made progress.
const maxAttempts = 16

func (s *Service) decide(ctx context.Context, p Presentation, shown Constraint) (decision, error) {
	now := s.Now()
	t := p.Token
	if p.Kept.Session == t.Session {
		t = p.Kept // where it is Advanced, Choose can't choose the other one
	}
	move := Move{ID: t.Session, Constraint: shown, Head: rotation.Head{Generation: t.Generation, Tag: t.Tag, Parent: t.Parent}, At: now, Contact: p.Contact}

	// The usual renewal is one conditional write, without a read before it.
	if condition, ok := rotation.Expect(t, s.cfg.Lifetimes.Policy, now); ok {
		move.Condition = condition
		sess, err := s.cfg.Store.Move(ctx, move)
		if err == nil {
			return decision{Decision: rotation.Decision{Outcome: rotation.Advanced, Head: move.Head}, token: t, session: sess}, nil
		}
		if !errors.Is(err, ErrConflict) {
			return decision{}, unavailable(err)
		}
	}
	for range maxAttempts {
		sess, err := s.Get(ctx, t.Session)
		if errors.Is(err, ErrNotFound) {
			return decision{Decision: rotation.Decision{Outcome: rotation.Ended}, token: t}, nil
		}
		if err != nil {
			return decision{}, err
		}
		if err := shown.unmet(sess.Constraint); err != nil {
			return decision{}, err
		}
		t = rotation.Choose(sess.State, p.Token, p.Kept, s.cfg.Lifetimes.Policy, now)
		d := rotation.Decide(sess.State, t, s.cfg.Lifetimes.Policy, now)
		switch {
		case d.Outcome.Moves():
			move.Condition, move.Constraint, move.Head = sess.State.Condition(), sess.Constraint, d.Head
			sess, err = s.cfg.Store.Move(ctx, move)
		case d.Outcome == rotation.Reused:
			err = s.revoke(ctx, sess, p.Contact, now)
		}
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return decision{}, unavailable(err)
		}
		if d.Outcome == rotation.CaughtUp {
			s.cfg.Logger.Warn("the store had forgotten acknowledged renewals; a token signed by this server proved the newer state",
				"event", "caught_up", "session", t.Session.String(), "generation", t.Generation)
		}
		return decision{Decision: d, token: t, session: sess}, nil
	}
	return decision{}, unavailable(fmt.Errorf("session %s changed %d times while one decision was made", t.Session, maxAttempts))
}
