package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"

	"github.com/tacet-dev/tacet/rotation"
)

// sealedSalt is the length of the random part that every sealed text has a key
// of its own by, in bytes.
const sealedSalt = 16

// SealLabelled encrypts and authenticates plain for one purpose, under a key
// that every node has: for what is left with a browser for a while. What was
// sealed under one label cannot be opened under another. The result is safe in
// cookies and URLs, and 48 bytes longer than plain, in base64url.
func (r *Ring) SealLabelled(label string, plain []byte) string {
	k := r.MAC()
	var salt [sealedSalt]byte
	_, _ = rand.Read(salt[:]) // never fails (crypto/rand)
	out := binary.BigEndian.AppendUint32(nil, uint32(k.ID))
	out = append(out, salt[:]...)
	aead := labelledAEAD(k, label, salt[:])
	return base64.RawURLEncoding.EncodeToString(aead.Seal(out, make([]byte, aead.NonceSize()), plain, nil))
}

// OpenLabelled is the reverse of [Ring.SealLabelled], also for what another node
// has sealed under a key that it has just made. What was sealed under a retired
// key can be opened as long as refresh tokens under it.
func (r *Ring) OpenLabelled(ctx context.Context, label, sealed string) (plain []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw) < 4+sealedSalt {
		return nil, false
	}
	k, known, err := r.FindMACKey(ctx, rotation.KeyID(binary.BigEndian.Uint32(raw)))
	if err != nil || !known {
		return nil, false
	}
	aead := labelledAEAD(k, label, raw[4:4+sealedSalt])
	plain, err = aead.Open(nil, make([]byte, aead.NonceSize()), raw[4+sealedSalt:], nil)
	return plain, err == nil
}

// labelledAEAD is AES-256-GCM under a key that serves one text only, so its
// nonce need not vary.
func labelledAEAD(k rotation.Key, label string, salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(labelled(k, "seal "+label, salt))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return aead
}
