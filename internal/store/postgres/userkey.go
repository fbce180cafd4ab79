package postgres

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tacet-dev/tacet/rotation"
)

// A user id is in every session and in an index. Ids are usually 128 bits,
// written as a UUID or, like those of the embedded directory, as a prefix and
// base32; these are stored as 16 bytes and a word that says how to write them.
// Any other id is stored as it is, under a key that is its hash.

// lower32 is base32 (RFC 4648 §6) in lower case, without padding.
var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// verbatim marks an id that is stored as it is.
const verbatim = "="

// userKey is a user id as it is stored.
func userKey(id string) (key pgtype.UUID, form string) {
	if u, err := rotation.ParseSessionID(id); err == nil { // the canonical spelling of a UUID
		return uuid(u), ""
	}
	key.Valid = true
	if i := strings.LastIndexByte(id, '_'); i > 0 && !strings.HasPrefix(id, verbatim) {
		b, err := lower32.DecodeString(id[i+1:])
		if err == nil && len(b) == len(key.Bytes) && lower32.EncodeToString(b) == id[i+1:] {
			key.Bytes = [16]byte(b)
			return key, id[:i]
		}
	}
	sum := sha256.Sum256([]byte(id))
	key.Bytes = [16]byte(sum[:16])
	return key, verbatim + id
}

// userID is the reverse of userKey.
func userID(key pgtype.UUID, form string) string {
	if form == "" {
		return rotation.SessionID(key.Bytes).String()
	}
	if id, ok := strings.CutPrefix(form, verbatim); ok {
		return id
	}
	return form + "_" + lower32.EncodeToString(key.Bytes[:])
}
