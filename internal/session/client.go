package session

import (
	"context"
	"errors"
	"slices"
)

// ClientProved says that the caller has proved to be the client of the session,
// as [Config.Confidential] may ask.
const ClientProved Option = 2

// ErrClient is returned by Refresh to a caller who has a good token of a client
// with a secret, and has not shown the secret. The owner loses nothing by it:
// the token is as good as before.
var ErrClient = errors.New("session: the token belongs to a client that must authenticate")

func (s *Service) proved(ctx context.Context, clientID string, how []Option) error {
	if s.Confidential == nil || slices.Contains(how, ClientProved) {
		return nil
	}
	switch confidential, err := s.Confidential(ctx, clientID); {
	case err != nil:
		return unavailable(err)
	case confidential:
		return ErrClient
	}
	return nil
}
