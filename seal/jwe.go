package seal

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"

	"github.com/tacet-dev/tacet/wire/jose"
)

// Parts of the serialization header.key.iv.content.tag, of which the key is
// empty under "dir" (RFC 7516 §5.1, step 5).
const (
	ivBytes  = 12
	tagBytes = 16
	ivChars  = 16 // in base64url
	tagChars = 22
)

// SealRequest and SealResponse return the JWE of a message in compact
// serialization. The nonce is random: one agreement is good for 2³² messages
// (NIST SP 800-38D §8.3), and sequence numbers may come twice, when a request
// is repeated.
func (k *Keys) SealRequest(h Header, content []byte) ([]byte, error) {
	return seal(k.request, k.random, h, content)
}

// SealResponse is [Keys.SealRequest] for the other direction.
func (k *Keys) SealResponse(h Header, content []byte) ([]byte, error) {
	return seal(k.response, k.random, h, content)
}

func seal(aead cipher.AEAD, random io.Reader, h Header, content []byte) ([]byte, error) {
	header, err := h.encode()
	if err != nil {
		return nil, err
	}
	if jose.Base64.EncodedLen(len(header)) > MaxHeader {
		return nil, errors.New("seal: the path and query are too long for an encrypted request; send what is long in the body")
	}
	if random == nil {
		random = rand.Reader
	}
	var iv [ivBytes]byte
	if _, err := io.ReadFull(random, iv[:]); err != nil {
		return nil, err
	}
	out := make([]byte, 0, jose.Base64.EncodedLen(len(header))+ivChars+tagChars+4+jose.Base64.EncodedLen(len(content)))
	out = jose.Base64.AppendEncode(out, header)
	// The additional data is the encoded header, in ASCII (RFC 7516 §5.1, step 14).
	box := aead.Seal(make([]byte, 0, len(content)+tagBytes), iv[:], content, out)
	out = append(out, '.', '.')
	out = append(jose.Base64.AppendEncode(out, iv[:]), '.')
	out = append(jose.Base64.AppendEncode(out, box[:len(content)]), '.')
	return jose.Base64.AppendEncode(out, box[len(content):]), nil
}

// Message is a JWE of which the header has been read, and nothing has been
// checked yet.
type Message struct {
	Header  Header
	encoded []byte // the header, as it came: the additional data
	rest    *bufio.Reader
}

// Read reads the header of a message, at most [MaxHeader] bytes, so that what
// can't be good is refused before its content is read.
func Read(r io.Reader) (*Message, error) {
	m := &Message{rest: bufio.NewReaderSize(r, MaxHeader+2)}
	line, err := m.rest.ReadSlice('.')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err != nil || len(line) > MaxHeader+1 {
		return nil, ErrMalformed
	}
	m.encoded = bytes.Clone(line[:len(line)-1])
	raw, ok := jose.AppendDecode(nil, m.encoded)
	if !ok {
		return nil, ErrMalformed
	}
	m.Header, err = parseHeader(raw)
	return m, err
}

// MaxEncoded is how long a message with so much content can be.
func MaxEncoded(content int64) int64 {
	return MaxHeader + ivChars + tagChars + 4 + (content*4+2)/3
}

// OpenRequest reads the rest of the message and returns its content, at most max
// bytes, once it is known to be as it was sealed.
func (k *Keys) OpenRequest(m *Message, max int64) ([]byte, error) { return m.open(k.request, max) }

// OpenResponse is [Keys.OpenRequest] for the other direction.
func (k *Keys) OpenResponse(m *Message, max int64) ([]byte, error) { return m.open(k.response, max) }

func (m *Message) open(aead cipher.AEAD, max int64) ([]byte, error) {
	limit := MaxEncoded(max) - MaxHeader
	rest, err := io.ReadAll(io.LimitReader(m.rest, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(rest)) > limit:
		return nil, ErrTooLarge
	case len(rest) < ivChars+tagChars+3:
		return nil, ErrMalformed
	}
	// .iv.content.tag
	content := len(rest) - tagChars - 1
	if rest[0] != '.' || rest[1+ivChars] != '.' || rest[content] != '.' {
		return nil, ErrMalformed
	}
	iv, ok1 := jose.AppendDecode(make([]byte, 0, ivBytes), rest[1:1+ivChars])
	box := make([]byte, 0, jose.Base64.DecodedLen(content-ivChars-2)+tagBytes)
	box, ok2 := jose.AppendDecode(box, rest[ivChars+2:content])
	box, ok3 := jose.AppendDecode(box, rest[content+1:])
	if !ok1 || !ok2 || !ok3 {
		return nil, ErrMalformed
	}
	plain, err := aead.Open(box[:0], iv, box, m.encoded)
	switch {
	case err != nil:
		return nil, ErrDecrypt
	case int64(len(plain)) > max: // base64 comes in groups
		return nil, ErrTooLarge
	}
	return plain, nil
}
