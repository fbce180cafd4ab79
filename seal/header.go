package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Limits of what is read before a message is known to be good.
const (
	// MaxHeader bounds the encoded header, in bytes. It leaves room for paths of
	// about 5,000 bytes.
	MaxHeader = 8 << 10
	// maxSequence is the largest integer that JSON carries everywhere.
	maxSequence = 1<<53 - 1
	maxName     = 256
)

// Header is the protected header (RFC 7516 §4). All of it is authenticated with
// the content; none of it is secret.
type Header struct {
	// KeyID names the server's key: its RFC 7638 thumbprint.
	KeyID string
	// Client is the client's ephemeral public key, in requests only.
	Client *PublicKey
	// Session is the session (sid) that the keys belong to, in requests only.
	// Empty: there is none yet, as at sign-in.
	Session string
	// ContentType is the media type of what is inside (cty, unabridged). Empty:
	// there is no content, or nothing is known of it.
	ContentType string
	// Method and Path are the request's, the path with its query, as they
	// were sent. An answer repeats them.
	Method, Path string
	// Status is the answer's; 0 in requests.
	Status int
	// Sequence counts the requests under one agreement, from 1. An answer
	// repeats it.
	Sequence uint64
	// Time is when the message was sealed, in milliseconds since the epoch.
	Time int64
}

// headerJSON is the header as it is written, in this order.
type headerJSON struct {
	Alg    string     `json:"alg"`
	Enc    string     `json:"enc"`
	Kid    string     `json:"kid"`
	Epk    *PublicKey `json:"epk,omitempty"`
	Sid    string     `json:"sid,omitempty"`
	Cty    string     `json:"cty,omitempty"`
	Method string     `json:"method"`
	Path   string     `json:"path"`
	Status int        `json:"status,omitempty"`
	Seq    uint64     `json:"seq"`
	Time   int64      `json:"time"`
}

const (
	algDirect  = "dir"
	encA256GCM = "A256GCM"
)

// encode is the header's JSON, with & and the like as they are.
func (h *Header) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(headerJSON{algDirect, encA256GCM, h.KeyID, h.Client, h.Session, h.ContentType, h.Method, h.Path, h.Status, h.Sequence, h.Time})
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// parseHeader reads a header. Only the one pair of algorithms is taken, whatever
// the key (RFC 8725 §3.1); crit and zip are refused, because there is no
// extension to understand (RFC 7516 §4.1.13) and content is never compressed.
func parseHeader(data []byte) (h Header, err error) {
	m, err := object(data)
	if err != nil {
		return h, ErrMalformed
	}
	var alg, enc string
	for name, dst := range map[string]any{
		"alg": &alg, "enc": &enc, "kid": &h.KeyID, "sid": &h.Session, "cty": &h.ContentType,
		"method": &h.Method, "path": &h.Path, "status": &h.Status, "seq": &h.Sequence, "time": &h.Time,
	} {
		if raw, ok := m[name]; ok && (string(raw) == "null" || json.Unmarshal(raw, dst) != nil) {
			return h, ErrMalformed
		}
	}
	if m["crit"] != nil || m["zip"] != nil || alg != algDirect || enc != encA256GCM {
		return h, ErrAlgorithm
	}
	if raw, ok := m["epk"]; ok {
		if h.Client, err = ParsePublicKey(raw); err != nil {
			return h, ErrMalformed
		}
	}
	if h.KeyID == "" || len(h.KeyID) > maxName || len(h.Session) > maxName || h.Method == "" || !strings.HasPrefix(h.Path, "/") ||
		h.Sequence == 0 || h.Sequence > maxSequence || h.Time <= 0 || h.Status < 0 || h.Status > 999 ||
		strings.ContainsFunc(h.KeyID+h.Session+h.ContentType+h.Method+h.Path, func(c rune) bool { return c < ' ' || c > '~' }) {
		return h, ErrMalformed
	}
	return h, nil
}

// object reads one JSON object in UTF-8. Names are compared exactly, and one that
// comes twice is an error (RFC 7516 §4): two readers must not see two headers.
func object(data []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if !utf8.Valid(data) || json.Unmarshal(data, &m) != nil || m == nil || names(data) != len(m) {
		return nil, errors.New("seal: not one JSON object whose members all have their own names")
	}
	return m, nil
}

// names counts the members of an object that is known to be valid.
func names(data []byte) (n int) {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		case c == ':' && depth == 1:
			n++
		}
	}
	return n
}
