package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/wire"
)

// EncryptedConfig is what [NewEncrypted] needs. Auth is required.
type EncryptedConfig struct {
	// Auth is the base path of the session server, like
	// "https://app.example.com/auth".
	Auth string
	// Keys is the key set of the server that requests go to. Empty:
	// /.well-known/jwks.json at the origin of Auth.
	Keys string
	// Pins are the thumbprints (kid) of the server keys that are taken, and no
	// others. Empty: whoever controls the connection while the key set is read can
	// put a key of their own in its place.
	Pins []string
	// Base makes the requests; nil is [http.DefaultTransport].
	Base http.RoundTripper
	// MaxContent bounds the content of a response, in bytes. Zero: 16 MiB.
	MaxContent int64
	// Clock is the time. Nil: time.Now.
	Clock func() time.Time
}

// EncryptionError says why an encrypted request was refused by the server, or
// its response here. Nothing of the response can be trusted then.
type EncryptionError struct {
	Code   string // of the server's problem; empty: the response was refused
	Status int
	err    error
}

func (e *EncryptionError) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("client: the server refused the encrypted request (%d %s)", e.Status, e.Code)
	}
	return fmt.Sprintf("client: the response (%d) to an encrypted request is refused: %v", e.Status, e.err)
}

// Unwrap is [ErrPlaintext] or an error of package seal.
func (e *EncryptionError) Unwrap() error { return e.err }

// ErrPlaintext is the response in plain text to an encrypted request.
var ErrPlaintext = errors.New("it is in plain text")

// Encrypted encrypts requests that carry an access token, and decrypts their
// answers (docs/encryption.md). It belongs below a [Transport], which
// adds the token and renews it:
//
//	encrypted, err := client.NewEncrypted(client.EncryptedConfig{Auth: "https://app.example.com/auth"})
//	transport, err := client.NewTransport(source, encrypted, "https://app.example.com")
//
// Requests without a bearer token pass as they are. Bodies are held in memory as
// a whole. A response in plain text is an error below 400; from 400 on, it has
// its status and no body.
type Encrypted struct {
	c      EncryptedConfig
	client *seal.Client

	mu       sync.Mutex
	server   *seal.PublicKey
	channels map[string]*seal.Channel // by server key and session
	last     *binding
	ahead    time.Duration // the server's clock minus ours
}

// binding is the exchange of a token for one that is bound to our key.
type binding struct {
	from string
	done chan struct{}
	to   string
	res  *http.Response // instead: what the server said
	err  error
}

const (
	defaultMaxContent = 16 << 20
	bindTimeout       = 10 * time.Second
	maxProblem        = 64 << 10
)

// NewEncrypted makes a key that lives as long as the Encrypted.
func NewEncrypted(c EncryptedConfig) (*Encrypted, error) {
	auth, err := url.Parse(c.Auth)
	if err != nil || auth.Host == "" || auth.RawQuery != "" || auth.Fragment != "" {
		return nil, errors.New(`client: EncryptedConfig.Auth must be the base path of the session server, like "https://app.example.com/auth"`)
	}
	c.Auth = strings.TrimRight(c.Auth, "/")
	if c.Keys == "" {
		c.Keys = auth.Scheme + "://" + auth.Host + wire.PathJWKS
	}
	if c.Base == nil {
		c.Base = http.DefaultTransport
	}
	if c.MaxContent == 0 {
		c.MaxContent = defaultMaxContent
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	client, err := seal.NewClient()
	if err != nil {
		return nil, err
	}
	return &Encrypted{c: c, client: client, channels: map[string]*seal.Channel{}}, nil
}

// RoundTrip implements [http.RoundTripper].
func (e *Encrypted) RoundTrip(req *http.Request) (*http.Response, error) {
	token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return e.c.Base.RoundTrip(req)
	}
	var content []byte
	if req.Body != nil {
		var err error
		content, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	bound, refused, err := e.bound(req.Context(), token)
	if err != nil || refused != nil {
		if refused != nil {
			refused.Request = req
		}
		return refused, err
	}
	return e.exchange(req, bound, content)
}

// bound returns the token for encrypted requests, or the response of the server
// instead. Callers that need the same one wait for one exchange, which belongs to
// none of them.
func (e *Encrypted) bound(ctx context.Context, token string) (string, *http.Response, error) {
	e.mu.Lock()
	b := e.last
	if b == nil || b.from != token {
		b = &binding{from: token, done: make(chan struct{})}
		e.last = b
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), bindTimeout)
			defer cancel()
			b.to, b.res, b.err = e.bind(ctx, token)
			if b.to == "" { // to be asked for again
				e.mu.Lock()
				if e.last == b {
					e.last = nil
				}
				e.mu.Unlock()
			}
			close(b.done)
		}()
	}
	e.mu.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
	if b.res != nil {
		own := *b.res
		own.Header, own.Body = own.Header.Clone(), http.NoBody
		return "", &own, nil
	}
	return b.to, nil, b.err
}

func (e *Encrypted) bind(ctx context.Context, token string) (string, *http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.c.Auth+wire.PathEncryption, nil)
	if err != nil {
		return "", nil, err
	}
	res, err := e.exchange(req, token, nil)
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", res, nil
	}
	var agreed wire.EncryptionResponse
	if err := json.NewDecoder(res.Body).Decode(&agreed); err != nil || agreed.AccessToken == "" {
		return "", nil, errors.New("client: the response to the agreement on encryption holds no access token")
	}
	return agreed.AccessToken, nil, nil
}

// exchange sends a request encrypted; once more where the server says that
// nothing was done, under the same number, so that it is never done twice.
func (e *Encrypted) exchange(req *http.Request, token string, content []byte) (*http.Response, error) {
	var channel *seal.Channel
	r := seal.Request{Method: req.Method, Path: req.URL.RequestURI()}
	for tries := 0; ; tries++ {
		c, err := e.channel(req.Context(), sessionOf(token))
		if err != nil {
			return nil, err
		}
		if c != channel {
			channel, r.Sequence = c, c.Next()
		}
		res, err := e.send(req, channel, r, token, content)
		if err != nil {
			return nil, err
		}
		if res.Header.Get(wire.HeaderSeal) != "" || res.Header.Get("Content-Type") == wire.ContentTypeJOSE {
			return e.opened(res, channel, r)
		}
		code := plainCode(res)
		switch {
		case res.StatusCode < 400:
			return nil, &EncryptionError{Status: res.StatusCode, err: ErrPlaintext}
		case !strings.HasPrefix(code, "encryption_"):
			return emptied(res), nil
		case tries == 0 && code == wire.CodeEncryptionKey:
			e.forgetServer()
		case tries == 0 && code == wire.CodeEncryptionStale:
			e.setClock(res.Header.Get("Date"))
		case tries == 0 && code == wire.CodeEncryptionReplayed && (req.Method == http.MethodGet || req.Method == http.MethodHead):
			channel = nil // net/http has repeated it; what only reads may be asked for anew
		default:
			return nil, &EncryptionError{Code: code, Status: res.StatusCode}
		}
	}
}

func (e *Encrypted) send(req *http.Request, c *seal.Channel, r seal.Request, token string, content []byte) (*http.Response, error) {
	out := req.Clone(req.Context())
	contentType := ""
	if len(content) > 0 {
		contentType = req.Header.Get("Content-Type")
	}
	message, err := c.Seal(r, contentType, content, e.now().UnixMilli())
	if err != nil {
		return nil, err
	}
	out.Header.Del("Content-Type")
	out.Body, out.GetBody, out.ContentLength, out.TransferEncoding = nil, nil, 0, nil
	if len(content) > 0 {
		out.Header.Set("Content-Type", wire.ContentTypeJOSE)
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
	} else {
		out.Header.Set(wire.HeaderSeal, string(message))
	}
	accept := out.Header.Get("Accept")
	if accept == "" {
		accept = "*/*"
	}
	out.Header.Set("Accept", wire.ContentTypeJOSE+", "+accept)
	out.Header.Set("Authorization", "Bearer "+token)
	return e.c.Base.RoundTrip(out)
}

// opened is a response as the handler wrote it.
func (e *Encrypted) opened(res *http.Response, c *seal.Channel, r seal.Request) (*http.Response, error) {
	defer res.Body.Close()
	message := []byte(res.Header.Get(wire.HeaderSeal))
	if len(message) == 0 {
		var err error
		limit := seal.MaxEncoded(e.c.MaxContent)
		if message, err = io.ReadAll(io.LimitReader(res.Body, limit+1)); err != nil {
			return nil, err
		}
	}
	content, contentType, err := c.Open(r, res.StatusCode, message, e.c.MaxContent)
	if err != nil {
		return nil, &EncryptionError{Status: res.StatusCode, err: err}
	}
	out := emptied(res)
	if contentType != "" {
		out.Header.Set("Content-Type", contentType)
	}
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	return out, nil
}

// emptied is a response without its body and what is said of that.
func emptied(res *http.Response) *http.Response {
	out := *res
	out.Header = res.Header.Clone()
	for _, name := range []string{"Content-Type", "Content-Length", wire.HeaderSeal} {
		out.Header.Del(name)
	}
	out.Body, out.ContentLength, out.TransferEncoding = http.NoBody, 0, nil
	return &out
}

// plainCode reads the code of a problem in plain text and closes the body.
func plainCode(res *http.Response) string {
	defer res.Body.Close()
	var p wire.Problem
	_ = json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&p) // or none
	return p.Code
}
