package session

import (
	"context"
	"errors"
	"slices"

	"github.com/tacet-dev/tacet/rotation"
)

// OpenAll authenticates the values of all cookies of one name: a browser also sends
// those that another host of the domain, or an older version, has set. It returns one
// token, the newest, of each session, in the order of the values. What is not
// authentic is as if it were not there; ErrNotAuthentic says that nothing is left. Any
// other error wraps ErrUnavailable.
func (s *Service) OpenAll(ctx context.Context, raw []string) ([]rotation.Token, error) {
	var tokens []rotation.Token
	for _, r := range raw {
		t, err := s.Open(ctx, r)
		if errors.Is(err, ErrNotAuthentic) {
			continue
		}
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(tokens, func(o rotation.Token) bool { return o.Session == t.Session })
		switch {
		case i < 0:
			tokens = append(tokens, t)
		case tokens[i].Generation < t.Generation:
			tokens[i] = t
		}
	}
	if tokens == nil {
		return nil, ErrNotAuthentic
	}
	return tokens, nil
}
