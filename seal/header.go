package seal

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tacet-dev/tacet/wire/jose"
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
	// were sent. A response repeats them.
	Method, Path string
	// Status is the response's; 0 in requests.
	Status int
	// Sequence counts the requests under one agreement, from 1. A response
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
func parseHeader(data []byte) (Header, error) {
	var h unsafeHeader
	switch {
	case !jose.Members(data, h.member):
		return Header{}, ErrMalformed
	case h.extended || h.alg != algDirect || h.enc != encA256GCM:
		return Header{}, ErrAlgorithm
	}
	if h.KeyID == "" || len(h.KeyID) > maxName || len(h.Session) > maxName || h.Method == "" || !strings.HasPrefix(h.Path, "/") ||
		h.Sequence == 0 || h.Sequence > maxSequence || h.Time <= 0 || h.Status < 0 || h.Status > 999 ||
		strings.ContainsFunc(h.KeyID+h.Session+h.ContentType+h.Method+h.Path, func(c rune) bool { return c < ' ' || c > '~' }) {
		return Header{}, ErrMalformed
	}
	return h.Header, nil
}

// unsafeHeader is a header as it was written, before anything of it is checked.
type unsafeHeader struct {
	Header
	alg, enc string
	extended bool // by crit or zip
}

// member takes in one member; members that it does not know are left alone.
func (h *unsafeHeader) member(name, value string) bool {
	var ok bool
	var err error
	switch name {
	case "alg":
		h.alg, ok = jose.String(value)
	case "enc":
		h.enc, ok = jose.String(value)
	case "kid":
		h.KeyID, ok = jose.String(value)
	case "epk":
		h.Client, err = ParsePublicKey([]byte(value))
		ok = err == nil
	case "sid":
		h.Session, ok = jose.String(value)
	case "cty":
		h.ContentType, ok = jose.String(value)
	case "method":
		h.Method, ok = jose.String(value)
	case "path":
		h.Path, ok = jose.String(value)
	case "status":
		h.Status, err = strconv.Atoi(value)
		ok = err == nil
	case "seq":
		h.Sequence, err = strconv.ParseUint(value, 10, 64)
		ok = err == nil
	case "time":
		h.Time, err = strconv.ParseInt(value, 10, 64)
		ok = err == nil
	case "crit", "zip":
		h.extended, ok = true, true
	default:
		ok = true
	}
	return ok
}
