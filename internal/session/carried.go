package session

import (
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/tacet-dev/tacet/rotation"
)

// A carried refresh token travels in the access token, as the claim "chain", for
// clients that know only one token and are handed a new one near its end. The
// chain is that of the protocol: a copy that is used beside the original is found
// out when both have renewed. It lives no longer than the access token around it,
// because nothing but a valid access token makes it authentic.

// ErrNotCarried is returned by FromCarried for an access token without a chain.
var ErrNotCarried = errors.New("session: the access token carries no refresh token")

// carriedLen is generation 4 · tag 8 · parent 8.
const carriedLen = 20

func carry(t rotation.Token) string {
	var b [carriedLen]byte
	binary.BigEndian.PutUint32(b[:], t.Generation)
	copy(b[4:], t.Tag[:])
	copy(b[12:], t.Parent[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// FromCarried is what Open is for other refresh tokens. Both arguments must be
// claims (sid, chain) of an access token that has just been verified and has not
// expired: its signature is what authenticates them.
func FromCarried(sessionID, chain string) (rotation.Token, error) {
	id, err := rotation.ParseSessionID(sessionID)
	if err != nil {
		return rotation.Token{}, ErrNotCarried
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(chain)
	if err != nil || len(b) != carriedLen {
		return rotation.Token{}, ErrNotCarried
	}
	t := rotation.Token{Session: id, Generation: binary.BigEndian.Uint32(b)}
	copy(t.Tag[:], b[4:])
	copy(t.Parent[:], b[12:])
	return t, nil
}
