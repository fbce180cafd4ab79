package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"io"
	"sync/atomic"
)

// Client is a client's ephemeral key. It never leaves the process.
type Client struct {
	private *ecdh.PrivateKey
	public  *PublicKey
	random  io.Reader
}

// NewClient makes a key.
func NewClient() (*Client, error) {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("seal: make a key: %w", err)
	}
	return newClient(k, rand.Reader), nil
}

func newClient(k *ecdh.PrivateKey, random io.Reader) *Client {
	return &Client{k, newPublicKey(k.PublicKey()), random}
}

// ID is the thumbprint of the key, to which access tokens are bound.
func (c *Client) ID() string { return c.public.id }

// Channel agrees with a server for a session; the session is empty before there
// is one. Messages of all channels of a client with the same server and session
// must come from one Channel.
func (c *Client) Channel(server *PublicKey, session string) (*Channel, error) {
	k, err := agree(c.private, server, server.id, c.public.id, session)
	if err != nil {
		return nil, err
	}
	k.random = c.random
	return &Channel{client: c, server: server.id, session: session, keys: k}, nil
}

// Channel is a client's side of an agreement. It is safe for concurrent use.
type Channel struct {
	client          *Client
	server, session string
	keys            *Keys
	sequence        atomic.Uint64
}

// Next is the next sequence number. A request that is repeated keeps its own, so
// that a server which has seen it refuses the second.
func (c *Channel) Next() uint64 { return c.sequence.Add(1) }

// Request is what a message is bound to.
type Request struct {
	Method string
	Path   string // with the query, as it is sent
	// Sequence is from [Channel.Next].
	Sequence uint64
}

// Seal returns the JWE of a request. now is in milliseconds since the epoch, by
// the server's clock.
func (c *Channel) Seal(r Request, contentType string, content []byte, now int64) ([]byte, error) {
	return c.keys.SealRequest(Header{KeyID: c.server, Client: c.client.public, Session: c.session, ContentType: contentType,
		Method: r.Method, Path: r.Path, Sequence: r.Sequence, Time: now}, content)
}

// Open returns the content and its type of a response to r with this status, or
// an error if it is anything else.
func (c *Channel) Open(r Request, status int, message []byte, max int64) (content []byte, contentType string, err error) {
	m, err := Read(bytes.NewReader(message))
	if err != nil {
		return nil, "", err
	}
	if content, err = c.keys.OpenResponse(m, max); err != nil {
		return nil, "", err
	}
	if h := m.Header; h.KeyID != c.server || h.Method != r.Method || h.Path != r.Path || h.Sequence != r.Sequence || h.Status != status {
		return nil, "", ErrBinding
	}
	return content, m.Header.ContentType, nil
}
