package rotation

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Prefix starts every refresh token, so that secret scanners recognise one.
const Prefix = "tacet_rt_"

// Version is the token format that this package writes and reads.
const Version = 1

// Layout of the bytes behind Prefix (base64url without padding, RFC 4648 §5):
//
//	version 1 · key id 4 · session 16 · generation 4 · tag 8 · parent 8 · MAC 32
//
// Integers are big-endian. The MAC is HMAC-SHA-256 over macLabel and all bytes
// before it.
const (
	offKey     = 1
	offSession = offKey + 4
	offGen     = offSession + 16
	offTag     = offGen + 4
	offParent  = offTag + 8
	offMAC     = offParent + 8
	rawLen     = offMAC + sha256.Size
)

const macLabel = "tacet refresh token v1\x00"

var encoding = base64.RawURLEncoding.Strict()

// EncodedLen is the length of every sealed token, in bytes.
const EncodedLen = len(Prefix) + (rawLen*8+5)/6

// ErrInvalid is the one response to everything that is not an authentic token:
// malformed, unknown version, unknown key, wrong MAC. It says no more on
// purpose ("no oracle").
var ErrInvalid = errors.New("rotation: not an authentic refresh token")

// KeyID names a MAC key.
type KeyID uint32

// Key is a MAC key: 32 secret random bytes under an id.
type Key struct {
	ID     KeyID
	Secret [32]byte
}

// SessionID is 128 bits that name a session. It is not a secret.
type SessionID [16]byte

// Tag is 64 random bits that tell one child of a token from another.
type Tag [8]byte

// Token is what a refresh token says. A Token returned by [Open] is authentic;
// a server acts on no other.
type Token struct {
	Session    SessionID
	Generation uint32
	Tag        Tag
	Parent     Tag
}

// Child is the token to mint in response to a presentation that left the session
// at head. The tag must be fresh random bits for every child.
func Child(session SessionID, head Head, tag Tag) Token {
	return Token{Session: session, Generation: head.Generation + 1, Tag: tag, Parent: head.Tag}
}

// Seal encodes t and authenticates it under k.
func Seal(k Key, t Token) string {
	var raw [rawLen]byte
	raw[0] = Version
	binary.BigEndian.PutUint32(raw[offKey:], uint32(k.ID))
	copy(raw[offSession:], t.Session[:])
	binary.BigEndian.PutUint32(raw[offGen:], t.Generation)
	copy(raw[offTag:], t.Tag[:])
	copy(raw[offParent:], t.Parent[:])
	sum := mac(&k, &raw)
	copy(raw[offMAC:], sum[:])

	var out [EncodedLen]byte
	copy(out[:], Prefix)
	encoding.Encode(out[len(Prefix):], raw[:])
	return string(out[:])
}

// Open decodes and authenticates a presented token. keys returns the secret for
// a key id and whether it is known. The only error is [ErrInvalid].
func Open(keys func(KeyID) (Key, bool), s string) (Token, error) {
	if len(s) != EncodedLen || s[:len(Prefix)] != Prefix {
		return Token{}, ErrInvalid
	}
	var raw [rawLen]byte
	if n, err := encoding.Decode(raw[:], []byte(s[len(Prefix):])); err != nil || n != rawLen || raw[0] != Version {
		return Token{}, ErrInvalid
	}
	// An unknown key costs the same MAC as a known one: the time of a refusal
	// does not tell which key ids exist.
	k, known := keys(KeyID(binary.BigEndian.Uint32(raw[offKey:])))
	sum := mac(&k, &raw)
	if subtle.ConstantTimeCompare(sum[:], raw[offMAC:]) != 1 || !known {
		return Token{}, ErrInvalid
	}
	var t Token
	copy(t.Session[:], raw[offSession:])
	t.Generation = binary.BigEndian.Uint32(raw[offGen:])
	copy(t.Tag[:], raw[offTag:])
	copy(t.Parent[:], raw[offParent:])
	return t, nil
}

// mac is HMAC-SHA-256 (RFC 2104) of macLabel and the bytes before the MAC. It is
// written out because everything has a fixed size here: crypto/hmac would move
// it all to the heap, nine allocations for each token. Tests hold it against
// crypto/hmac.
func mac(k *Key, raw *[rawLen]byte) [sha256.Size]byte {
	var inner [sha256.BlockSize + len(macLabel) + offMAC]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:], k.Secret[:])
	copy(outer[:], k.Secret[:])
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	n := copy(inner[sha256.BlockSize:], macLabel)
	copy(inner[sha256.BlockSize+n:], raw[:offMAC])
	sum := sha256.Sum256(inner[:])
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
