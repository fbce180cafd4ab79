package session

import (
	"reflect"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// herdSize is how many presentations are remembered. Herds come within
// milliseconds, in which no server renews more sessions than that.
const herdSize = 1024

// herd lets equal presentations of one second share one access token. Each still
// gets a refresh token of its own, without which a thief who presents together
// with the owner would hold the owner's token and never be told apart; an access
// token rotates nothing, and its signature is most of what an answer costs.
type herd struct {
	mu     sync.Mutex
	recent *simplelru.LRU[rotation.Token, *signing]
}

// signing is one access token, signed once.
type signing struct {
	once   sync.Once
	claims wire.AccessClaims
	token  string
	err    error
}

func newHerd() *herd {
	recent, err := simplelru.NewLRU[rotation.Token, *signing](herdSize, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &herd{recent: recent}
}

// sign returns an access token for the claims, or one with the same grants that
// was signed in the same second for the same presentation, and the claims in it.
func (h *herd) sign(presented rotation.Token, c wire.AccessClaims, sign func(wire.AccessClaims) (string, error)) (string, wire.AccessClaims, error) {
	h.mu.Lock()
	s, ok := h.recent.Get(presented)
	if !ok || !s.serves(c) {
		s = &signing{claims: c}
		h.recent.Add(presented, s)
	}
	h.mu.Unlock()
	s.once.Do(func() { s.token, s.err = sign(s.claims) })
	if s.err != nil {
		h.mu.Lock()
		h.recent.Remove(presented)
		h.mu.Unlock()
	}
	return s.token, s.claims, s.err
}

// serves reports whether the token says what one with the claims c would say, but
// for its identifier and the spread of lifetimes.
func (s *signing) serves(c wire.AccessClaims) bool {
	c.ID, c.ExpiresAt = s.claims.ID, s.claims.ExpiresAt
	return reflect.DeepEqual(s.claims, c)
}
