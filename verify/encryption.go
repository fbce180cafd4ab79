package verify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/wire"
)

// Defaults of [EncryptionConfig].
const (
	DefaultMaxContent = 16 << 20
	DefaultMaxAge     = time.Minute
	DefaultAgreements = 8192
)

// maxAnonymous bounds, in bytes, what is read for somebody who has not shown a
// token: it is enough for a sign-in.
const maxAnonymous = 64 << 10

// stall is how long a caller may pause within an encrypted body.
const stall = 30 * time.Second

// EncryptionConfig is what [NewEncryption] needs. Verifier and Keys are required.
type EncryptionConfig struct {
	// Verifier checks the access tokens that encrypted requests carry. Its
	// clock is used.
	Verifier *Verifier
	// Keys finds a key of this server by its kid, or returns nil. See
	// [EncryptionKeys] for keys that do not change.
	Keys func(kid string) *seal.ServerKey
	// MaxContent bounds the content of a request and of a response, in bytes; both
	// are held in memory as a whole. Zero: DefaultMaxContent.
	MaxContent int64
	// MaxAge is how long ago a request may have been sealed, by the server's
	// clock, and how far that clock may be behind. Within it, a request that this
	// process has not seen cannot be told from one that another process
	// has. Zero: DefaultMaxAge.
	MaxAge time.Duration
	// Agreements is how many are remembered (see [seal.Replays]). Zero:
	// DefaultAgreements.
	Agreements int
	// Path returns the path and query of a request as the client sent it. Nil:
	// the request line's, which is right unless a proxy before this server
	// changes it.
	Path func(*http.Request) string
	// Unbound also takes requests without access token and with one that is not
	// bound to the key: for the session server, where binding begins.
	Unbound bool
}

// Encryption decrypts requests and encrypts their responses (docs/encryption.md).
// It is safe for concurrent use.
type Encryption struct {
	c              EncryptionConfig
	known, unknown *seal.Replays // with and without a session
}

// NewEncryption returns an Encryption, or an error that says what is missing.
func NewEncryption(c EncryptionConfig) (*Encryption, error) {
	switch {
	case c.Verifier == nil:
		return nil, errors.New("verify: EncryptionConfig.Verifier is nil; it is the one whose Middleware comes behind")
	case c.Keys == nil:
		return nil, errors.New("verify: EncryptionConfig.Keys is nil; use EncryptionKeys with a key of seal.ParseServerKey")
	case c.MaxContent < 0 || c.MaxAge < 0 || c.Agreements < 0:
		return nil, errors.New("verify: MaxContent, MaxAge and Agreements of EncryptionConfig cannot be negative")
	}
	if c.MaxContent == 0 {
		c.MaxContent = DefaultMaxContent
	}
	c.MaxAge = orElse(c.MaxAge, DefaultMaxAge)
	if c.Agreements == 0 {
		c.Agreements = DefaultAgreements
	}
	if c.Path == nil {
		c.Path = sentPath
	}
	start := c.Verifier.now()
	return &Encryption{c, seal.NewReplays(c.Agreements, start), seal.NewReplays(c.Agreements/2+1, start)}, nil
}

// EncryptionKeys is EncryptionConfig.Keys for keys that do not change.
func EncryptionKeys(keys ...*seal.ServerKey) func(kid string) *seal.ServerKey {
	byID := map[string]*seal.ServerKey{}
	for _, k := range keys {
		byID[k.ID()] = k
	}
	return func(kid string) *seal.ServerKey { return byID[kid] }
}

func sentPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

type encryptedKey struct{}

// EncryptedWith returns the thumbprint of the client's key, if the request of
// this context came encrypted; its response then is, too.
func EncryptedWith(ctx context.Context) (thumbprint string, ok bool) {
	thumbprint, ok = ctx.Value(encryptedKey{}).(string)
	return thumbprint, ok
}

// Middleware decrypts requests that are encrypted, and encrypts their responses;
// others pass as they are. It belongs before [Verifier.Middleware] and behind
// CORS handling. Refusals are in plain text, because there is no
// key to trust then.
//
// A response is held back until it is whole. Streams, compressed responses and
// responses over MaxContent become an encrypted 500 encryption_unsupported.
func (e *Encryption) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inBody := isJOSE(r.Header.Get("Content-Type"))
		inHeader := r.Header[wire.HeaderSeal] != nil
		if !inBody && !inHeader {
			if asksForJOSE(r.Header) {
				e.c.Verifier.WriteError(w, r, ErrEncryptionRequired)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		in, err := e.open(w, r, inBody, inHeader)
		if err != nil {
			if errors.Is(err, seal.ErrStale) { // the clock that counts
				w.Header().Set("Date", e.c.Verifier.now().UTC().Format(http.TimeFormat))
			}
			e.c.Verifier.WriteError(w, r, err)
			return
		}
		ctx, cancel := context.WithCancel(in.request.Context())
		defer cancel()
		out := &sealedWriter{ResponseWriter: w, max: e.c.MaxContent, cancel: cancel}
		out.run(next, in.request.WithContext(ctx))
		out.finish(e, in)
	})
}

// Require lets only requests through that came encrypted. It belongs behind
// [Encryption.Middleware].
func (e *Encryption) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := EncryptedWith(r.Context()); !ok {
			e.c.Verifier.WriteError(w, r, ErrEncryptionRequired)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// opened is a request that was encrypted.
type opened struct {
	request *http.Request // as the client meant it
	header  seal.Header
	keys    *seal.Keys
}

// open checks what can be checked before the content is read, cheapest first,
// then reads it, and only then takes note of its number.
func (e *Encryption) open(w http.ResponseWriter, r *http.Request, inBody, inHeader bool) (*opened, error) {
	body := &patientBody{r.Body, http.NewResponseController(w), false}
	var source io.Reader = body
	if inHeader {
		if values := r.Header[wire.HeaderSeal]; inBody || len(values) != 1 || hasBody(r) {
			return nil, seal.ErrMalformed // what is beside the seal would be unprotected
		}
		source = strings.NewReader(r.Header.Get(wire.HeaderSeal))
	} else if r.ContentLength > seal.MaxEncoded(e.c.MaxContent) {
		return nil, seal.ErrTooLarge
	}
	m, err := seal.Read(source)
	if err != nil {
		return nil, bodyError(err)
	}
	h := m.Header
	if h.Client == nil || h.Status != 0 {
		return nil, seal.ErrMalformed
	}
	if body.patient, err = e.authenticate(r, h); err != nil {
		return nil, err
	}
	now := e.c.Verifier.now().UnixMilli()
	switch server := e.c.Keys(h.KeyID); {
	case server == nil || server.ID() != h.KeyID:
		return nil, seal.ErrKey
	case h.Method != r.Method || h.Path != e.c.Path(r):
		return nil, seal.ErrBinding
	case h.Time < now-e.c.MaxAge.Milliseconds() || h.Time > now+e.c.MaxAge.Milliseconds():
		return nil, seal.ErrStale
	default:
		return e.accept(r, m, server)
	}
}

// authenticate checks that the token is one of the session and the key that the
// message names, and returns whether it is bound to that key.
func (e *Encryption) authenticate(r *http.Request, h seal.Header) (bound bool, err error) {
	if h.Session == "" && e.c.Unbound {
		return false, nil // who calls is for those behind to find out
	}
	raw, err := Bearer(r.Header)
	if err != nil {
		return false, err
	}
	t, err := e.c.Verifier.verify(r.Context(), raw)
	switch {
	case err != nil:
		return false, err
	case t.session != h.Session, t.encryptionKey != "" && t.encryptionKey != h.Client.ID():
		return false, seal.ErrKey
	case t.encryptionKey == "" && !e.c.Unbound:
		return false, errUnbound
	}
	return t.encryptionKey != "", nil
}

func (e *Encryption) accept(r *http.Request, m *seal.Message, server *seal.ServerKey) (*opened, error) {
	h := m.Header
	replays, limit := e.known, e.c.MaxContent
	if h.Session == "" {
		replays, limit = e.unknown, min(limit, maxAnonymous)
	}
	name := seal.Agreement{Server: h.KeyID, Client: h.Client.ID(), Session: h.Session}
	keys := replays.Keys(name)
	if keys == nil {
		var err error
		if keys, err = server.Agree(h.Client, h.Session); err != nil {
			return nil, err
		}
	}
	content, err := keys.OpenRequest(m, limit)
	if err != nil {
		return nil, bodyError(err)
	}
	if err := replays.Accept(name, keys, h.Sequence, h.Time); err != nil {
		return nil, err
	}
	return &opened{inside(r, h, content), h, keys}, nil
}

// inside is the request as the client meant it.
func inside(r *http.Request, h seal.Header, content []byte) *http.Request {
	in := r.Clone(context.WithValue(r.Context(), encryptedKey{}, h.Client.ID()))
	in.Header.Del(wire.HeaderSeal)
	in.Header.Del("Accept-Encoding") // what is encrypted cannot be compressed on its way
	in.Header.Del("Upgrade")
	in.TransferEncoding, in.Trailer = nil, nil
	in.Header.Del("Content-Type")
	if h.ContentType != "" {
		in.Header.Set("Content-Type", h.ContentType)
	}
	if accept := withoutJOSE(in.Header["Accept"]); accept != "" {
		in.Header.Set("Accept", accept)
	} else {
		in.Header.Del("Accept")
	}
	in.Body, in.ContentLength = http.NoBody, int64(len(content))
	in.Header.Del("Content-Length")
	if len(content) > 0 {
		in.Body = io.NopCloser(bytes.NewReader(content))
		in.Header.Set("Content-Length", strconv.Itoa(len(content)))
	}
	return in
}

// patientBody has no time limit for the whole of it once the caller is known,
// which would cut long uploads: only one who pauses for too long is cut.
type patientBody struct {
	io.Reader
	control *http.ResponseController
	patient bool
}

func (b *patientBody) Read(p []byte) (int, error) {
	if b.patient {
		_ = b.control.SetReadDeadline(time.Now().Add(stall)) // nothing to do where there are none
	}
	return b.Reader.Read(p)
}

// hasBody reports whether anything comes behind the header.
func hasBody(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength > 0
	}
	var one [1]byte
	n, _ := io.ReadFull(r.Body, one[:])
	return n > 0
}

// bodyError tells messages that are not good from bodies that did not come.
func bodyError(err error) error {
	for _, known := range encryptionRefusals {
		if errors.Is(err, known.err) {
			return err
		}
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		return seal.ErrTooLarge
	}
	return seal.ErrMalformed // cut off
}

func isJOSE(contentType string) bool {
	if !strings.Contains(strings.ToLower(contentType), "jose") {
		return false // almost always, and cheaper
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == wire.ContentTypeJOSE || t == "jose")
}

func asksForJOSE(h http.Header) bool {
	for _, v := range h["Accept"] {
		if !strings.Contains(v, "jose") {
			continue
		}
		for item := range strings.SplitSeq(v, ",") {
			if isJOSE(strings.TrimSpace(item)) {
				return true
			}
		}
	}
	return false
}

// withoutJOSE is what else the client accepts, which is for the content.
func withoutJOSE(accept []string) string {
	var rest []string
	for _, v := range accept {
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" && !isJOSE(item) {
				rest = append(rest, item)
			}
		}
	}
	return strings.Join(rest, ", ")
}
