package limit

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"time"
)

// A refresh token is base64url of: session 16 · generation 4 · tag 8 · HMAC-SHA-256 32.
const (
	recordLen = 16 + 4 + 8
	tokenLen  = recordLen + sha256.Size
)

// record is what a token says, and what the log keeps of a renewal.
type record [recordLen]byte

func (r *record) session() []byte { return r[:16] }

// child is the token that follows r: next generation, fresh tag.
func (r *record) child() record {
	var c record
	copy(c[:16], r[:16])
	binary.BigEndian.PutUint32(c[16:], binary.BigEndian.Uint32(r[16:])+1)
	rand.Read(c[20:])
	return c
}

var (
	b64           = base64.RawURLEncoding
	errToken      = errors.New("limit: not an authentic refresh token")
	encodedLen    = b64.EncodedLen(tokenLen)
	accessTTL     = 15 * time.Minute
	accessHeader  = b64.EncodeToString([]byte(`{"alg":"EdDSA","typ":"at+jwt","kid":"1"}`))
	issuerAndMore = `","iss":"http://127.0.0.1","aud":"http://127.0.0.1","client_id":"bench","grants_version":1,"sub":"`
)

// signer holds the two keys. The HMAC states are pooled: setting up the key is
// a third of the cost of so short a message.
type signer struct {
	macs sync.Pool
	key  ed25519.PrivateKey
}

type macState interface {
	Write([]byte) (int, error)
	Sum([]byte) []byte
	Reset()
}

func newSigner() *signer {
	secret := make([]byte, 32)
	rand.Read(secret)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err) // crypto/rand never fails (Go 1.24)
	}
	s := &signer{key: key}
	s.macs.New = func() any { return hmac.New(sha256.New, secret) }
	return s
}

func (s *signer) mac(dst []byte, r *record) {
	m := s.macs.Get().(macState)
	m.Reset()
	m.Write(r[:])
	m.Sum(dst)
	s.macs.Put(m)
}

// seal encodes and authenticates r.
func (s *signer) seal(dst []byte, r *record) []byte {
	var raw [tokenLen]byte
	copy(raw[:], r[:])
	s.mac(raw[recordLen:recordLen], r)
	return b64.AppendEncode(dst, raw[:])
}

// open decodes and authenticates a refresh token.
func (s *signer) open(token string) (record, error) {
	var raw [tokenLen]byte
	var r record
	if len(token) != encodedLen {
		return r, errToken
	}
	if n, err := b64.Decode(raw[:], []byte(token)); err != nil || n != tokenLen {
		return r, errToken
	}
	copy(r[:], raw[:recordLen])
	var sum [sha256.Size]byte
	s.mac(sum[:0], &r)
	if !hmac.Equal(sum[:], raw[recordLen:]) {
		return record{}, errToken
	}
	return r, nil
}

// access appends a signed access token (RFC 9068) for the session of r.
func (s *signer) access(dst []byte, r *record, now time.Time) []byte {
	var jti [16]byte
	rand.Read(jti[:])
	payload := make([]byte, 0, 320)
	payload = append(payload, `{"jti":"`...)
	payload = hex.AppendEncode(payload, jti[:])
	payload = append(payload, issuerAndMore...)
	payload = hex.AppendEncode(payload, r.session())
	payload = append(payload, `","sid":"`...)
	payload = hex.AppendEncode(payload, r.session())
	payload = append(payload, `","iat":`...)
	payload = strconv.AppendInt(payload, now.Unix(), 10)
	payload = append(payload, `,"exp":`...)
	payload = strconv.AppendInt(payload, now.Add(accessTTL).Unix(), 10)
	payload = append(payload, '}')

	start := len(dst)
	dst = append(dst, accessHeader...)
	dst = append(dst, '.')
	dst = b64.AppendEncode(dst, payload)
	sig := ed25519.Sign(s.key, dst[start:])
	dst = append(dst, '.')
	return b64.AppendEncode(dst, sig)
}
