package session

import (
	"context"
	"errors"
	"strings"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// ErrProof is returned to a caller who has a good refresh token of a session that
// is bound to a key (RFC 9449 §5), and has not proved to have the key. It is
// decided before anything else: the token is as good as before, and nobody can
// end somebody's session with an old copy.
var ErrProof = errors.New("session: the token is bound to a key that the caller has not proved to have")

type provenKey struct{}

// WithProof returns a context that says that the caller has proved to have the
// key with this thumbprint (RFC 9449 §6.1). Access tokens that are made in it are
// bound to the key, and so are sessions of public clients that are started in it.
func WithProof(ctx context.Context, thumbprint string) context.Context {
	return context.WithValue(ctx, provenKey{}, thumbprint)
}

// Proven is the key of [WithProof], empty if there is none.
func Proven(ctx context.Context) string {
	thumbprint, _ := ctx.Value(provenKey{}).(string)
	return thumbprint
}

func confirmation(ctx context.Context) *wire.Confirmation {
	if key := Proven(ctx); key != "" {
		return &wire.Confirmation{KeyThumbprint: key}
	}
	return nil
}

// binding is the key that a new session is bound to. Clients with a secret show
// that for every renewal, and may change keys (RFC 9449 §5).
func (s *Service) binding(ctx context.Context, clientID string) (string, error) {
	key := Proven(ctx)
	if key == "" || s.Confidential == nil {
		return key, nil
	}
	confidential, err := s.Confidential(ctx, clientID)
	if err != nil {
		return "", unavailable(err)
	}
	if confidential {
		return "", nil
	}
	return key, nil
}

// boundBit of the last byte of a session's id says that the session is bound to a
// key, so that a renewal knows before its one write whether it has to look.
// Sessions from before this was so have it by chance: there it costs a look.
const boundBit = 1

func marked(id rotation.SessionID, bound bool) rotation.SessionID {
	if id[len(id)-1] &^= boundBit; bound {
		id[len(id)-1] |= boundBit
	}
	return id
}

// possessed refuses those who lack the key of a session, before anything is
// consumed.
func (s *Service) possessed(ctx context.Context, id rotation.SessionID) error {
	if id[len(id)-1]&boundBit == 0 {
		return nil
	}
	sess, err := s.Store.Get(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // refused in its turn
	case err != nil:
		return s.undecided(unavailable(err))
	case sess.Key != "" && sess.Key != Proven(ctx):
		return ErrProof
	}
	return nil
}

// boundSessions keeps Session.Key with the client in the store: what a session's
// tokens are good for is one thing, is written once, and goes wherever the row
// goes. Ids of clients have no space in them. A program that does not know of
// keys finds no such client, and refuses.
type boundSessions struct{ Store }

const keyMark = " dpop="

func packed(s Session) Session {
	if s.Key != "" {
		s.ClientID += keyMark + s.Key
	}
	return s
}

func unpacked(s Session) Session {
	s.ClientID, s.Key, _ = strings.Cut(s.ClientID, keyMark)
	return s
}

func (b boundSessions) Create(ctx context.Context, s Session) error {
	return b.Store.Create(ctx, packed(s))
}

func (b boundSessions) Get(ctx context.Context, id rotation.SessionID) (Session, error) {
	s, err := b.Store.Get(ctx, id)
	return unpacked(s), err
}

func (b boundSessions) Move(ctx context.Context, m Move) (Session, error) {
	s, err := b.Store.Move(ctx, m)
	return unpacked(s), err
}

func (b boundSessions) List(ctx context.Context, userID string, before rotation.SessionID, limit int) ([]Session, error) {
	list, err := b.Store.List(ctx, userID, before, limit)
	for i := range list {
		list[i] = unpacked(list[i])
	}
	return list, err
}
