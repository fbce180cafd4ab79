package keys

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/tacet-dev/tacet/rotation"
)

// MinSum is how many bytes of a labelled MAC must be left for it to count.
const MinSum = 16

// SignLabelled authenticates msg for one purpose under the current MAC key. A
// sum made under one label is worth nothing under another, nor as a refresh
// token. The sum has 32 bytes and may be cut to [MinSum].
func (r *Ring) SignLabelled(label string, msg []byte) (kid uint32, sum []byte) {
	k := r.MAC()
	return uint32(k.ID), labelled(k, label, msg)
}

// VerifyLabelled reports whether sum came from [Ring.SignLabelled] for this
// label and message. Sums under retired keys are accepted as long as refresh
// tokens under them.
func (r *Ring) VerifyLabelled(label string, kid uint32, msg, sum []byte) bool {
	k, known := r.MACKey(rotation.KeyID(kid))
	want := labelled(k, label, msg)
	return len(sum) >= MinSum && len(sum) <= len(want) && hmac.Equal(sum, want[:len(sum)]) && known
}

// labelled uses a key of its own for every label. The input that derives it
// starts as no input of package rotation does ("tacet refresh token …").
func labelled(k rotation.Key, label string, msg []byte) []byte {
	h := hmac.New(sha256.New, k.Secret[:])
	h.Write([]byte("tacet label v1\x00"))
	h.Write([]byte(label))
	h = hmac.New(sha256.New, h.Sum(nil))
	h.Write(msg)
	return h.Sum(nil)
}
