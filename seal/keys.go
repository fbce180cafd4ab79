package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/tacet-dev/tacet/wire/jose"
)

// PublicKey is a public key on P-256, as a JWK in JSON (RFC 7518 §6.2.1).
type PublicKey struct {
	key *ecdh.PublicKey
	id  string
}

func newPublicKey(k *ecdh.PublicKey) *PublicKey {
	j := jose.NewPoint(k.Bytes())
	return &PublicKey{k, j.Thumbprint()}
}

// ID is the key's thumbprint with SHA-256 (RFC 7638), in base64url.
func (k *PublicKey) ID() string { return k.id }

// MarshalJSON writes the JWK.
func (k *PublicKey) MarshalJSON() ([]byte, error) { return json.Marshal(jose.NewPoint(k.key.Bytes())) }

// ParsePublicKey reads a JWK. Points that are not on the curve are refused.
func ParsePublicKey(data []byte) (*PublicKey, error) {
	j, err := jose.ParseKey(data)
	if err != nil {
		return nil, errPublicKey
	}
	point, err := j.Point()
	if err != nil {
		return nil, errPublicKey
	}
	k, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, errPublicKey
	}
	return &PublicKey{k, j.Thumbprint()}, nil
}

var errPublicKey = errors.New("seal: not a JWK of a public key on P-256")

// ParseJWKS returns the first key for encryption in a JWK Set (RFC 7517 §5) that
// this package can use: the one that the server wants clients to take.
func ParseJWKS(data []byte) (*PublicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("seal: the key set is not a JWK Set: %w", err)
	}
	for _, raw := range set.Keys {
		if k, err := jose.ParseKey(raw); err != nil || k.Use != "enc" {
			continue
		} else if p, err := ParsePublicKey(raw); err == nil && p.id == k.ID {
			return p, nil
		}
	}
	return nil, errors.New("seal: the key set holds no P-256 key for encryption (use: enc) that is named by its thumbprint; is encryption switched on at the server?")
}

// ServerKey is a server's key for agreements.
type ServerKey struct {
	private *ecdh.PrivateKey
	public  *PublicKey
}

// NewServerKey takes a private key on P-256.
func NewServerKey(private *ecdh.PrivateKey) (*ServerKey, error) {
	if private == nil || private.Curve() != ecdh.P256() {
		return nil, errors.New("seal: the server's key must be on P-256")
	}
	return &ServerKey{private, newPublicKey(private.PublicKey())}, nil
}

// ParseServerKey reads a key from PEM, PKCS #8 or SEC 1, as "openssl genpkey
// -algorithm EC -pkeyopt ec_paramgen_curve:P-256" or "openssl ecparam -name
// prime256v1 -genkey -noout" make it.
func ParseServerKey(data []byte) (*ServerKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("seal: the key is not in PEM: it should begin with -----BEGIN PRIVATE KEY-----")
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		if p, err := k.ECDH(); err == nil {
			return NewServerKey(p)
		}
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("seal: the PEM block is not a private key in PKCS #8 or SEC 1")
	}
	if k, ok := any.(interface {
		ECDH() (*ecdh.PrivateKey, error)
	}); ok {
		if p, err := k.ECDH(); err == nil {
			return NewServerKey(p)
		}
	}
	return nil, errors.New("seal: the server's key must be on P-256")
}

// ID is the kid.
func (k *ServerKey) ID() string { return k.public.id }

// Public is what clients agree with.
func (k *ServerKey) Public() *PublicKey { return k.public }

// JWKS is the key set (RFC 7517) that publishes the keys: the one that clients
// shall take first. An older one stays in use without being published.
func JWKS(keys ...*ServerKey) []byte {
	list := make([]jose.Key, len(keys))
	for i, k := range keys {
		list[i] = jose.NewPoint(k.public.key.Bytes())
		list[i].ID, list[i].Use = k.ID(), "enc"
	}
	return jose.MarshalKeys(list...)
}

// Agree returns the keys that the server shares with the client in a session.
func (k *ServerKey) Agree(client *PublicKey, session string) (*Keys, error) {
	return agree(k.private, client, k.ID(), client.id, session)
}

// Keys are what an agreement yields. They are safe for concurrent use.
type Keys struct {
	request, response cipher.AEAD
	random            io.Reader
}

// Labels of the two keys in HKDF's info.
const (
	labelRequest  = "tacet encryption v1 request"
	labelResponse = "tacet encryption v1 response"
)

// agree is ECDH and HKDF with SHA-256 (RFC 5869), without salt. The info names
// the direction, both public keys and the session: other parties, or the same
// ones in another session, share other keys.
func agree(private *ecdh.PrivateKey, public *PublicKey, server, client, session string) (*Keys, error) {
	secret, err := private.ECDH(public.key)
	if err != nil {
		return nil, ErrKey
	}
	derive := func(label string) (cipher.AEAD, error) {
		key, err := contentKey(secret, label, server, client, session)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(block)
	}
	k := &Keys{}
	if k.request, err = derive(labelRequest); err != nil {
		return nil, err
	}
	k.response, err = derive(labelResponse)
	return k, err
}

func contentKey(secret []byte, label, server, client, session string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, label+"\x00"+server+"\x00"+client+"\x00"+session, 32)
}
