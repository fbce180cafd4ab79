package session

import (
	"reflect"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// sharedSize is how many presentations are remembered. Equal ones come within
// milliseconds, in which no server renews more sessions than that.
const sharedSize = 1024

// sharedSigning lets equal presentations of one second share one access token. Each still
// gets a refresh token of its own, without which a thief who presents together
// with the owner would hold the owner's token and never be told apart; an access
// token rotates nothing, and its signature is most of what a response costs.
type sharedSigning struct {
	mu     sync.Mutex
	recent *simplelru.LRU[signingKey, *signing]
}

// signingKey is what an access token was signed for: a presented token, or the
// head of which the presentations are slow duplicates.
type signingKey struct {
	token     rotation.Token
	duplicate bool
}

// signing is one access token, signed once.
type signing struct {
	once   sync.Once
	claims wire.AccessClaims
	token  string
	err    error
}

func newSharedSigning() *sharedSigning {
	recent, err := simplelru.NewLRU[signingKey, *signing](sharedSize, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &sharedSigning{recent: recent}
}

// sign returns an access token for the claims, or one with the same grants that
// was signed in the same second for the same key, and the claims in it.
func (s *sharedSigning) sign(k signingKey, c wire.AccessClaims, sign func(wire.AccessClaims) (string, error)) (string, wire.AccessClaims, error) {
	s.mu.Lock()
	one, ok := s.recent.Get(k)
	if !ok || !one.serves(c) {
		one = &signing{claims: c}
		s.recent.Add(k, one)
	}
	s.mu.Unlock()
	one.once.Do(func() { one.token, one.err = sign(one.claims) })
	if one.err != nil {
		s.mu.Lock()
		s.recent.Remove(k)
		s.mu.Unlock()
	}
	return one.token, one.claims, one.err
}

// serves reports whether the token says what one with the claims c would say, but
// for its identifier and the spread of lifetimes.
func (s *signing) serves(c wire.AccessClaims) bool {
	c.ID, c.ExpiresAt = s.claims.ID, s.claims.ExpiresAt
	return reflect.DeepEqual(s.claims, c)
}
