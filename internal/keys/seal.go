package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const (
	masterLen   = 32
	sealVersion = 1
	sealLabel   = "tacet key ring v1"
)

// ErrWrongMaster is wrapped when stored keys were sealed under another master key.
var ErrWrongMaster = errors.New("keys: the key ring was sealed under another master key")

// Master seals the secrets of stored keys (AES-256-GCM, NIST SP 800-38D).
type Master struct{ aead cipher.AEAD }

func newMaster(raw []byte) (*Master, error) {
	// The ring gets a key of its own, so that the master key can serve others.
	sub, err := hkdf.Key(sha256.New, raw, nil, sealLabel, masterLen)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sub)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Master{aead}, nil
}

// String, GoString and LogValue keep the key out of logs.
func (m *Master) String() string             { return "keys.Master" }
func (m *Master) GoString() string           { return m.String() }
func (m *Master) LogValue() slog.Value       { return slog.StringValue(m.String()) }
func (m *Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// seal returns version 1 · nonce 12 · ciphertext and tag.
func (m *Master) seal(random io.Reader, k Key, secret []byte) ([]byte, error) {
	out := make([]byte, 1+m.aead.NonceSize(), 1+m.aead.NonceSize()+len(secret)+m.aead.Overhead())
	out[0] = sealVersion
	if _, err := io.ReadFull(random, out[1:]); err != nil {
		return nil, fmt.Errorf("keys: random source: %w", err)
	}
	return m.aead.Seal(out, out[1:], secret, k.context()), nil
}

var errSealed = errors.New("keys: cannot be opened with this master key")

func (m *Master) open(k Key) ([]byte, error) {
	n := 1 + m.aead.NonceSize()
	if len(k.Sealed) < n || k.Sealed[0] != sealVersion {
		return nil, fmt.Errorf("keys: key %d is damaged or was stored by a newer version of this program", k.ID)
	}
	secret, err := m.aead.Open(nil, k.Sealed[1:n], k.Sealed[n:], k.context())
	if err != nil {
		return nil, errSealed
	}
	return secret, nil
}

// context binds a sealed secret to its place: a store cannot pass one key off
// as another.
func (k Key) context() []byte {
	b := append([]byte(nil), sealLabel...)
	b = append(b, 0)
	b = append(b, k.Use...)
	b = append(b, 0)
	b = append(b, k.Algorithm...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint32(b, k.ID)
}
